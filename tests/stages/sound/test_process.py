"""The child process of sound: started, told, ended; it never ends the picture's."""

from __future__ import annotations

import subprocess
import sys

import pytest

from avatar.core.errors import AvatarError
from avatar.core.libraries import missing_libraries
from avatar.stages.sound.portaudio import StreamClock
from avatar.stages.sound.process import SoundProcess
from avatar.stages.sound.voice import SpokenMouth


def test_what_the_child_cannot_open_is_raised_here_in_its_words() -> None:
    process = SoundProcess("no such microphone", None, say=lambda line: None)
    with pytest.raises(AvatarError) as raised, process:
        pass
    expected = "libportaudio" if missing_libraries("sound") else "--mic: expected"
    assert expected in str(raised.value)


def test_a_child_whose_orders_end_ends() -> None:
    child = subprocess.run(
        [sys.executable, "-m", "avatar.stages.sound.child"],
        input='{"mic": "none such", "speaker": null, "delay_s": 0, "voice": false}\n',
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert child.returncode == 1
    assert '"error"' in child.stdout
    assert "Traceback" not in child.stderr


class Dying(SoundProcess):
    """Its first child answers and dies; the second one plays on."""

    def __init__(self, said: list[str], mouth: SpokenMouth) -> None:
        super().__init__("mic", None, say=said.append, mouth=mouth)
        self.children = 0

    def _started(self) -> subprocess.Popen[str]:
        self.children += 1
        heard = '{"mouth": [[5000000000, true, 0.5, 0.0, 0.0, 0.0, 1.0]]}'
        ends = "" if self.children == 1 else "; sys.stdin.read()"
        code = f"import sys; print('{heard}', flush=True){ends}"
        return subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )


def test_a_child_that_dies_is_started_again_and_left_cleanly() -> None:
    said: list[str] = []
    mouth = SpokenMouth()
    with Dying(said, mouth) as process:
        while len(said) < 2:
            process._stop.wait(0.01)
    assert "starting it again" in said[0]
    assert said[1] == "sound: back"
    assert process.children == 2
    assert mouth.at(5_000_000_000).jaw == 0.5


def test_a_late_call_does_not_move_the_clock() -> None:
    clock = StreamClock()
    for k in range(5):
        clock.monotonic_s(k, k, 100.0 + k)
    assert clock.monotonic_s(6, 5, 105.3) == pytest.approx(106), "0.3 s late, and nothing learnt"
    for k in range(3_000):
        clock.monotonic_s(k, k, 200.0 + k)
    assert clock.monotonic_s(1, 1, 201.0) == pytest.approx(201), "but other clocks are"
