"""Stills: a photograph with another expression keeps its size, and its pixels beside the face."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from avatar.core.errors import PhotoError, UsageError
from avatar.core.frames import BLENDSHAPE_INDEX, Face
from avatar.core.home import Home
from avatar.core.options import declared
from avatar.sessions.still import asked, look_like, make_still
from avatar.sessions.still_request import STILL, StillRequest
from avatar.stages.generate.photo import builtin_photo, load_photo
from avatar.stages.label import check_still_size
from avatar.stages.motion.expressions import Look
from tests.stages.motion.faces import posed

ME = builtin_photo()


def still(home: Home, out: Path, **options: Any) -> np.ndarray[Any, Any]:
    assert make_still(StillRequest(photo=ME, out=out, **options), home, lambda line: None) == 0
    with Image.open(out) as made:
        return np.asarray(made.convert("RGB"), np.int16)


def test_nothing_asked_is_the_photograph_with_its_label(home: Home, tmp_path: Path) -> None:
    made, photo = still(home, tmp_path / "a.png"), load_photo(ME).astype(np.int16)
    assert made.shape == photo.shape
    changed = np.abs(made - photo).max(axis=-1) > 6
    height, width = changed.shape
    assert changed[: height // 6, width * 3 // 4 :].any(), "the label"
    assert changed[height // 4 :].mean() < 0.01


def test_only_the_face_changes(home: Home, tmp_path: Path) -> None:
    rest = still(home, tmp_path / "a.png")
    smile = still(home, tmp_path / "b.png", smile=1.0, brows=-0.5)
    changed = np.abs(smile - rest).max(axis=-1) > 3
    assert 0.002 < changed.mean() < 0.2
    rows, columns = np.nonzero(changed)
    height, width = changed.shape
    assert rows.max() < 0.75 * height and columns.min() > 0.2 * width


def test_a_strip_goes_from_the_photograph_to_the_expression(home: Home, tmp_path: Path) -> None:
    made = still(home, tmp_path / "a.webp", jaw=1.0, frames=3)
    photo = load_photo(ME)
    assert made.shape == (photo.shape[0], 3 * photo.shape[1], 3)
    first, second, third = np.split(made, 3, axis=1)
    assert np.abs(third - first).mean() > np.abs(second - first).mean() > 0.1


def test_there_are_sliders_for_all_that_a_face_does() -> None:
    sliders = [name for name, option in declared(StillRequest).items() if option.bounds]
    assert len(sliders) >= 17
    assert all(option.on == (STILL,) for option in declared(StillRequest).values())


@pytest.mark.parametrize(
    ("options", "scores"),
    [
        ({"smile": 0.4, "smile_left": 0.3}, {"mouthSmileLeft": 0.7, "mouthSmileRight": 0.4}),
        ({"lids": -1.0}, {"eyeWideLeft": 1, "eyeWideRight": 1}),
        ({"lids": 0.5, "wink_left": 0.5}, {"eyeBlinkLeft": 1.0, "eyeBlinkRight": 0.5}),
        ({"look": -1.0}, {"eyeLookInLeft": 1, "eyeLookOutRight": 1}),
        ({"look_down": 0.5}, {"eyeLookDownLeft": 0.5, "eyeLookDownRight": 0.5}),
        ({"brows": -1.0}, {"browDownLeft": 1, "browDownRight": 1}),
    ],
)
def test_each_slider_does_what_it_says(options: Any, scores: dict[str, float]) -> None:
    found = asked(StillRequest(photo=ME, **options), Look()).scores
    assert {name: score for name, score in found.items() if score} == pytest.approx(scores)


def test_another_faces_expression_is_taken(portrait_face: Face) -> None:
    smiling = posed(portrait_face, turn=(0.0, 0.2, 0.0), mouthSmileLeft=0.9)
    look = look_like(smiling, posed(portrait_face, mouthSmileLeft=0.2))
    assert look.scores["mouthSmileLeft"] == pytest.approx(0.7, abs=0.05)
    assert look.yaw_deg == pytest.approx(np.degrees(0.2), abs=2)
    # A face that smiles already does not smile twice.
    less = look_like(posed(portrait_face, mouthSmileLeft=0.2), smiling)
    assert "mouthSmileLeft" not in less.scores
    assert BLENDSHAPE_INDEX["mouthSmileLeft"] > 0
    assert look.weaker(0.0).yaw_deg == 0 and not any(look.weaker(0.0).scores.values())


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"photo": Path()}, "expected a photograph"),
        ({"out": Path("a.bmp")}, "expected a name that ends in .png"),
        ({"smile": 2.0}, "--smile: expected 0 to 1"),
        ({"turn": -90.0}, "--turn: expected −35 to 35 degrees"),
        ({"zoom": float("nan")}, "--zoom: expected a number"),
    ],
)
def test_what_cannot_be_is_refused_at_once(options: dict[str, Any], expected: str) -> None:
    with pytest.raises(UsageError, match=expected):
        StillRequest(**({"photo": ME} | options))


def test_an_old_picture_and_the_photograph_stay(home: Home, tmp_path: Path) -> None:
    out = tmp_path / "a.png"
    out.write_bytes(b"precious")
    with pytest.raises(UsageError, match="--force"):
        make_still(StillRequest(photo=ME, out=out), home, lambda line: None)
    with pytest.raises(UsageError, match="used by this command for something else"):
        make_still(StillRequest(photo=out, out=out, force=True), home, lambda line: None)
    assert out.read_bytes() == b"precious"
    Image.new("RGB", (300, 300), (90, 140, 90)).save(tmp_path / "grass.png")
    with pytest.raises(PhotoError):
        make_still(
            StillRequest(photo=tmp_path / "grass.png", out=tmp_path / "b.png"),
            home,
            lambda line: None,
        )


@pytest.mark.parametrize(("suffix", "px"), [(".webp", 16_384), (".jpg", 65_501)])
def test_what_a_kind_of_file_cannot_hold_is_refused_before_it_is_drawn(
    home: Home, tmp_path: Path, suffix: str, px: int
) -> None:
    check_still_size(tmp_path / f"a{suffix}", (px - 1, 600))
    check_still_size(tmp_path / "a.png", (px, 600))
    with pytest.raises(UsageError, match=rf"{px}×600. Write a.png"):
        check_still_size(tmp_path / f"a{suffix}", (px, 600))
    with Image.open(ME) as photo:
        frames = -(-px // photo.width)
    request = StillRequest(photo=ME, out=tmp_path / f"a{suffix}", frames=min(frames, 12))
    if frames > 12:
        return  # as many pictures as there can be of this photograph fit
    with pytest.raises(UsageError, match="pixels a side"):
        make_still(request, home, lambda line: None)
