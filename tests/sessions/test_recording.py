"""``avatar record``: counts in, takes down, keeps whatever ends it, and overwrites nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

import av
import numpy as np
import pytest

from avatar.core.clock import ManualClock
from avatar.core.errors import SinkError, SourceEndedError, SourceLostError, UsageError
from avatar.core.frames import CameraFrame
from avatar.core.home import Home
from avatar.core.options import Options
from avatar.sessions import recording, template
from avatar.sessions.film import INTERRUPTED, animate
from avatar.sessions.record_request import RecordRequest
from avatar.sessions.recording import record
from avatar.stages.motion import template as motion_template
from avatar.stages.motion.performance import FACE, FACE_SHAPES
from avatar.stages.motion.template import Template, load_template
from avatar.stages.sources.demo import DemoSource
from tests.stages.motion.test_live_link import row, timecode, written

COUNTED, RATE = 2.0, 30.0


class Filmed:
    """The made-up performance for so many frames, at once; then it ends as it is told to."""

    name = "filmed"

    def __init__(self, frames: int, end: Exception, *, dark: int = 0) -> None:
        self._inner = DemoSource((320, 240), RATE, ManualClock(1_000_000_000))
        self._left, self._end, self._dark = frames, end, dark

    def __enter__(self) -> Self:
        self._inner.__enter__()
        return self

    def __exit__(self, *raised: Any) -> None:
        self._inner.__exit__(*raised)

    def read(self) -> CameraFrame | None:
        if self._left == 0:
            raise self._end
        self._left -= 1
        frame = self._inner.read()
        if frame is not None and self._dark > 0:
            self._dark -= 1
            return CameraFrame(np.zeros_like(frame.image), frame.timestamp_ns, frame.index)
        return frame


def ended() -> Exception:
    return SourceEndedError("over")


def recorded(path: Path) -> Template:
    return load_template(path, {FACE: FACE_SHAPES}, FACE)


def asked(out: Path, **values: Any) -> RecordRequest:
    return RecordRequest(out=out, count_in=COUNTED, **values)


def test_the_count_begins_with_a_face_and_is_not_recorded(home: Home, tmp_path: Path) -> None:
    out, lines = tmp_path / "wave.npz", list[str]()
    source = Filmed(115, ended(), dark=15)
    assert record(asked(out), home, lines.append, source=source) == 0
    made = recorded(out)
    # 15 frames in the dark, two seconds of counting.
    assert 38 <= made.frames <= 41
    assert made.rate == pytest.approx(RATE, abs=0.1)
    assert [line for line in lines if line.endswith("…")] == ["2 …", "1 …"]
    assert "recording; Q or Ctrl-C ends it" in lines
    assert str(out) in lines[-1]


def test_it_ends_after_the_seconds_that_were_asked_for(home: Home, tmp_path: Path) -> None:
    out = tmp_path / "wave.npz"
    source = Filmed(200, AssertionError("read on"))
    assert record(asked(out, seconds=1.0), home, print, source=source) == 0
    assert recorded(out).frames == 30


def test_a_camera_that_is_lost_leaves_what_was_recorded(home: Home, tmp_path: Path) -> None:
    out = tmp_path / "wave.npz"
    with pytest.raises(SourceLostError):
        record(asked(out), home, print, source=Filmed(90, SourceLostError("pulled out")))
    assert 28 <= recorded(out).frames <= 31


def test_a_key_ends_it_and_nothing_is_lost(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Typed:
        """Presses Q when the recording says that it began."""

        press: Any = None

        def __init__(self, press: Any) -> None:
            Typed.press = press

        def __enter__(self) -> None:
            return None

        def __exit__(self, *_: object) -> None:
            return None

    monkeypatch.setattr(recording, "TerminalKeys", Typed)
    frames = iter(range(1000))

    def say(line: str) -> None:
        if line.startswith("recording"):
            Typed.press("x")  # means nothing
            monkeypatch.setattr(recording, "seen_of", seen_until_q)

    def seen_until_q(motion: Any) -> Any:
        if next(frames) == 9:
            Typed.press("q")
        return kept(motion)

    kept = recording.seen_of
    out = tmp_path / "wave.npz"
    source = Filmed(500, AssertionError("read on"))
    assert record(asked(out), home, say, source=source) == 0
    assert recorded(out).frames == 10


def test_ended_in_the_count_nothing_is_written(home: Home, tmp_path: Path) -> None:
    out, lines = tmp_path / "wave.npz", list[str]()
    assert record(asked(out), home, lines.append, source=Filmed(20, ended())) == INTERRUPTED
    assert lines[-1] == "nothing was recorded" and not out.exists()


def test_a_full_template_ends_it(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(motion_template, "MAX_FRAMES", 20)
    out, lines = tmp_path / "wave.npz", list[str]()
    source = Filmed(500, AssertionError("read on"))
    assert record(asked(out), home, lines.append, source=source) == 0
    assert recorded(out).frames == 20
    assert any("holds no more" in line for line in lines)


def test_where_the_disk_fails_it_lies_elsewhere(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, lines = tmp_path / "wave.npz", list[str]()
    save = template.save_template

    def full(made: Template, path: Path) -> None:
        if path == out:
            raise OSError(28, "No space left on device")
        save(made, path)

    monkeypatch.setattr(template, "save_template", full)
    monkeypatch.setattr(recording.tempfile, "mkdtemp", lambda prefix: str(tmp_path))
    spare = tmp_path / "spare"
    spare.mkdir()
    monkeypatch.setattr(recording.tempfile, "mkdtemp", lambda prefix: str(spare))
    with pytest.raises(SinkError, match="No space left"):
        record(asked(out), home, lines.append, source=Filmed(90, ended()))
    assert recorded(spare / "wave.npz").frames > 20
    assert str(spare / "wave.npz") in lines[-1]


def test_an_existing_file_is_kept_unless_forced(home: Home, tmp_path: Path) -> None:
    out = tmp_path / "wave.npz"
    out.write_bytes(b"mine")
    with pytest.raises(UsageError, match="exists already"):
        record(asked(out), home, print, source=Filmed(1, ended()))
    assert out.read_bytes() == b"mine"
    assert record(asked(out, force=True), home, print, source=Filmed(90, ended())) == 0
    assert recorded(out).frames > 20


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({}, "expected a file to write"),
        ({"out": Path("a.npz"), "take": Path("t.csv"), "seconds": 3.0}, "leave out --seconds"),
        ({"out": Path("a.npz"), "seconds": 0.1}, "--seconds: expected 0.5 to 1200"),
    ],
)
def test_what_cannot_be_is_refused(values: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        RecordRequest(**values)


def test_only_npz_is_written(home: Home, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"ends in \.npz"):
        record(asked(tmp_path / "wave.mp4"), home, print, source=Filmed(1, ended()))


@pytest.mark.parametrize("kind", ["csv", "npz"])
def test_a_telephones_take_moves_an_avatar(home: Home, tmp_path: Path, kind: str) -> None:
    rows = [row(timecode(k), (0.02 * k, 0, 0), JawOpen=k / 20) for k in range(12)]
    driving = written(tmp_path / "take.csv", rows)
    if kind == "npz":
        made = tmp_path / "take.npz"
        assert record(RecordRequest(out=made, take=driving), home, print) == 0
        driving = made
    out = tmp_path / "out.mp4"
    assert animate(
        Options(), home, driving=driving, out=out, size_px=(240, 240), audio="keep", face=1
    ) == 0  # fmt: skip
    with av.open(str(out)) as film:
        pictures = [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]
        assert film.streams.video[0].average_rate == 60
    assert len(pictures) == 12
    assert np.abs(pictures[0].astype(int) - pictures[-1]).mean() > 2
