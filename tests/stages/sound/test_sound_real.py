"""Sound through a real sound server: PipeWire with PulseAudio's protocol and null sinks."""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests import ROOT
from tests.stages.sinks.test_virtual_real import virtual_machine  # noqa: F401  a fixture

pytestmark = [pytest.mark.real, pytest.mark.slow]

PROGRAMS = ("pipewire", "pipewire-pulse", "wireplumber", "dbus-run-session", "pactl", "pw-record")
PACKAGES = (
    "pipewire pipewire-pulse wireplumber dbus pipewire-bin pulseaudio-utils libportaudio2 "
    "libasound2-plugins"
)
# What a camera adds that the program cannot see: told by hand here, as `calibrate --av` tells it.
CAMERA_MS = 40.0


@pytest.fixture
def session(shared: Path) -> list[str]:
    """The command that runs another one in a PipeWire session of its own."""
    script = shared / "tools" / "pw-session.sh"
    if not script.is_file():
        pytest.skip(f"no {script}, which starts a private PipeWire")
    missing = [name for name in PROGRAMS if not shutil.which(name)]
    if missing:
        pytest.skip(f"needs {', '.join(missing)}: apt-get install {PACKAGES}")
    return ["bash", str(script)]


def run(session: list[str], module: str, *arguments: str) -> dict[str, Any]:
    done = subprocess.run(
        [*session, sys.executable, "-m", f"tests.stages.sound.{module}", *arguments],
        cwd=ROOT, env={**os.environ, "PULSE": "1"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout[done.stdout.index("{") :])
    assert isinstance(found, dict)
    return found


def apart_ms(found: dict[str, Any], camera_ms: float) -> np.ndarray[Any, Any]:
    """How much later each click was heard than its picture was shown."""
    sound = np.array(found["sound_ms"], np.float64)
    return sound[np.isfinite(sound)] - found["picture_ms"] - camera_ms


def test_sound_and_picture_are_in_step_and_nothing_is_lost(session: list[str]) -> None:
    """20 seconds; AVATAR_SOUND_SECONDS=300 for the five minutes of the acceptance."""
    seconds = os.environ.get("AVATAR_SOUND_SECONDS", "20")
    found = run(session, "av_round_trip", "--seconds", seconds, "--av-offset", str(CAMERA_MS))
    apart = apart_ms(found, CAMERA_MS)
    sys.stdout.write(
        f"{len(apart)} clicks, sound later by {np.median(apart):.1f} ms in the middle, "
        f"{apart.min():.1f} to {apart.max():.1f}, {np.mean(np.abs(apart) > 20):.1%} beyond 20; "
        f"{found['report']}\n"
    )
    assert len(apart) >= 0.98 * len(found["sound_ms"]) > 20
    # What else runs on the machine may make the server late: it is then 5 seconds behind.
    assert np.quantile(np.abs(apart), 0.95) <= 20
    assert abs(np.median(apart)) <= 10
    assert found["report"]["xruns"] == 0
    assert found["report"]["outages"] == 0
    assert found["threads"] == ["MainThread"], "nothing is left running"


def test_a_cable_that_is_unplugged_comes_back(session: list[str]) -> None:
    found = run(
        session, "av_round_trip", "--seconds", "30", "--av-offset", str(CAMERA_MS), "--unplug"
    )
    heard = [not math.isnan(delay) for delay in found["sound_ms"]]
    assert found["report"]["outages"] == 1
    lost, back = found["said"]
    assert lost.startswith("sound: lost")
    assert back.startswith("sound: back after")
    assert all(heard[:12]), "before"
    assert not any(heard[22:26]), "while it is away"
    assert all(heard[-8:]), "after"
    assert np.abs(apart_ms(found, CAMERA_MS)[-6:]).max() <= 20
    assert found["frames"] > 700, "the picture went on"


@pytest.mark.parametrize(
    ("what", "kind"), [("flashes", "flashes"), ("claps", "claps"), ("applause", "claps")]
)
def test_calibrate_av_finds_the_delay_of_a_camera(session: list[str], what: str, kind: str) -> None:
    """By light and by hands that touch, held together or not; the sound comes by a null sink."""
    found = run(session, "clap_round_trip", "--what", what)
    offset = found["offset"]
    sys.stdout.write(f"{what}: {offset}, camera {found['camera_ms']} ms\n")
    assert offset["kind"] == kind
    assert offset["events"] >= 8
    assert offset["ms"] == pytest.approx(found["camera_ms"], abs=15)


def test_a_card_that_another_program_holds_is_told(virtual_machine: list[str]) -> None:  # noqa: F811
    """A kernel's sound card without a sound server, in a virtual machine."""
    inside = [sys.executable, "-m", "tests.stages.sound.busy_device"]
    environment = {"WORK": "/tmp/v4l2-vm-sound", **os.environ, "MODULES": "snd-aloop"}
    done = subprocess.run(
        [*virtual_machine, *inside],
        env=environment, cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    start = done.stdout.index('{"told"')
    found, _ = json.JSONDecoder().raw_decode(done.stdout[start:])
    assert found["told"].startswith("SoundBusyError: --mic Loopback")
    assert "Another program holds it" in found["told"]
    assert found["blocks_once_free"] > 50


def test_no_such_device_and_no_such_library_are_told(session: list[str]) -> None:
    command = "pactl load-module module-null-sink sink_name=cable >/dev/null; {} run --camera demo"
    avatar = f"{sys.executable} -c 'from avatar.app.cli import main; main()'"
    for arguments, told in (
        ("--mic yeti", "expected one of cable.monitor"),
        ("--mic cable.monitor --speaker headphones", "--speaker: expected one of cable"),
    ):
        done = subprocess.run(
            [*session, "bash", "-c", f"{command.format(avatar)} --out none {arguments}"],
            cwd=ROOT, env={**os.environ, "PULSE": "1"}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 2
        assert told in done.stderr
        assert "Traceback" not in done.stderr
