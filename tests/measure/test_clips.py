"""What clips promise, measured: on small pictures, that the measure itself is right."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from avatar.core.home import Home
from avatar.library.face_model import find_face_model
from avatar.measure import clips
from avatar.measure.clips import Spent, accents_off, loop_jump, played_apart
from avatar.sessions.clip import make_clip
from avatar.sessions.clip_request import SIZES_PX, ClipRequest
from avatar.sessions.clip_song import Song
from avatar.stages.generate.photo import builtin_photo

ME = builtin_photo()


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SIZES_PX, "1:1", (288, 288))


def asked(tmp_path: Path, **options: object) -> ClipRequest:
    given = {"shape": "1:1", "template": "nod"} | options
    return ClipRequest(photos=(ME,), out=tmp_path / "a.mp4", **given)  # type: ignore[arg-type]


def test_accents_are_on_the_beat_and_late_ones_are_seen(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = find_face_model(None, home)
    request = asked(tmp_path, end=6.0)
    make_clip(request, home, lambda line: None)
    on_time = accents_off(request.out, model)
    assert len(on_time) >= 8
    assert np.abs(on_time).max() <= 1
    noses = clips._noses
    monkeypatch.setattr(clips, "_noses", lambda *given: late(*noses(*given)))
    assert np.median(accents_off(request.out, model) - on_time) == pytest.approx(3, abs=0.2)


def late(times_s: np.ndarray, nose_px: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same movement, three pictures later."""
    return times_s, np.concatenate([nose_px[:3], nose_px[:-3]])


def test_a_loop_that_does_not_close_is_seen(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = asked(tmp_path, template="sway", music="stroll")
    px, levels = loop_jump(request, home)
    assert px <= 0.5 and levels <= 1
    monkeypatch.setattr(Song, "time_s", lambda song, k: k / 33)
    px, levels = loop_jump(request, home)
    assert px > 0.5


@pytest.mark.slow
def test_a_recording_gives_the_pictures_of_its_clip(shared_media: Path, home: Home) -> None:
    bare, coded = played_apart(shared_media / "clips" / "d0.mp4", str(ME), 0.6, home)
    assert bare <= 1
    assert bare < coded


def test_two_idle_cores_need_the_longer_of_thread_and_half() -> None:
    assert Spent(9.0, 4.0, 6.0).idle_s == 4.0
    assert Spent(9.0, 2.0, 6.0).idle_s == 3.0
