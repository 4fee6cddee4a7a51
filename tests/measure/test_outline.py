"""What outlines are measured against: backgrounds, people of known coverage, their movement."""

from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest

from avatar.core.errors import MissingDependencyError
from avatar.core.frames import Face, Presence, UInt8Image, still
from avatar.measure.outline.backdrops import backdrops
from avatar.measure.outline.figures import OutlineFigures, _carried
from avatar.measure.outline.truth import KnownPortrait, known_portraits
from avatar.stages.generate.portrait import PortraitGenerator

SIDE = 128


def test_twelve_backgrounds_differ_and_repeat() -> None:
    first, second = backdrops(SIDE, 3), backdrops(SIDE, 3)
    assert len(first) == 12
    for name, picture in first.items():
        assert picture.shape == (SIDE, SIDE, 3)
        assert picture.dtype == np.uint8
        assert picture.std() > 3
        assert np.array_equal(picture, second[name])
    assert not np.array_equal(first["leaves"], backdrops(SIDE, 4)["leaves"])


def test_ratios_are_averaged_as_ratios() -> None:
    low = OutlineFigures(sad=1, gradient=2, detail=0.5, psnr_db=10, seconds=1)
    high = replace(low, sad=3, detail=2.0)
    mean = OutlineFigures.mean([low, high])
    assert mean.sad == 2
    assert mean.detail == pytest.approx(1.0)
    assert len(mean.line("all").split()) == 6


def test_a_person_who_rests_covers_what_they_covered(
    portrait: UInt8Image, portrait_face: Face
) -> None:
    random = np.random.default_rng(2)
    coverage = np.zeros(portrait.shape[:2], np.float32)
    coverage[100:500, 120:400] = random.random((400, 280)) > 0.5
    known = KnownPortrait("any", portrait, portrait, coverage, np.zeros(portrait.shape, np.float32))
    own = np.ones(portrait.shape[:2], np.float32)
    with PortraitGenerator(portrait, portrait_face, "photo", matte=own) as generator:
        now = _carried(generator, still(0, 0, Presence.TRACKED), known.coverage)
    assert np.abs(now - coverage).mean() < 0.02


def test_the_truth_adds_up_to_the_picture() -> None:
    if find_spec("anny") is None:
        pytest.skip("renders need: pip install 'webcam-avatar[renders]'")
    try:
        known = next(known_portraits(128, 5))
    except MissingDependencyError as error:
        pytest.skip(str(error))
    assert known.coverage.min() >= 0
    assert known.coverage.max() <= 1
    assert 0.2 < known.coverage.mean() < 0.9
    mixed = known.person + known.background * (1 - known.coverage[..., None])
    assert np.abs(mixed - known.image).mean() < 4
