"""What a network learns from: pairs of several frames, and references that lie elsewhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from avatar.core.home import Home
from avatar.learn.generator.prepare import (
    MORE_SOURCES,
    SHADINGS,
    Split,
    Take,
    clip_takes,
    split,
    take_source,
    write_pairs,
)
from avatar.learn.generator.watch import WatchedClip, watch
from avatar.library.face_model import find_face_model
from avatar.library.generators.card import REFERENCES
from avatar.stages.generate.trained.references import KEPT, References
from avatar.stages.sources.demo import performance
from avatar.stages.sources.illustration import Illustrator
from engines.patches import SIZES
from engines.training.pairs import Pairs
from tests.sessions.test_film import write_film

PATCHES = SIZES["regions"]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    illustrator = Illustrator((480, 400))
    # From where nothing stands still any more: in a film, equal pictures stay equal to the pixel.
    acting = [illustrator.draw(performance(1.2 + k / 25)) for k in range(66)]
    return write_film(tmp_path_factory.mktemp("person") / "acting.mp4", acting, range(66))


@pytest.fixture(scope="module")
def watched(clip: Path) -> WatchedClip:
    return watch(clip, find_face_model(None, Home.of_user()))


@pytest.fixture(scope="module")
def chosen(watched: WatchedClip) -> Split:
    every = split(watched, 1.0)
    return Split(every.train[::2], every.held_out[::2], every.rest)


@pytest.fixture(scope="module")
def takes(watched: WatchedClip, chosen: Split) -> list[Take]:
    model = find_face_model(None, Home.of_user())
    return clip_takes(take_source(watched, chosen.train, model), watched, chosen, model)


@pytest.fixture(scope="module")
def folder(takes: list[Take], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pairs") / "pairs"
    write_pairs(folder, "regions", PATCHES, takes)
    return folder


def test_a_clip_is_drawn_from_its_best_frame_and_some_others(takes: list[Take]) -> None:
    assert len(takes) == 1 + MORE_SOURCES
    assert takes[0].shadings == SHADINGS and takes[0].held_out
    assert all(len(take.shadings) == 1 and not take.held_out for take in takes[1:])
    assert len({take.source.track.index for take in takes}) == len(takes)


def test_every_moment_is_drawn_with_its_truth(folder: Path, takes: list[Take]) -> None:
    pairs = Pairs(folder, PATCHES)
    assert len(pairs.train) == sum(len(take.train) * len(take.shadings) for take in takes)
    assert len(pairs.held_out) == len(takes[0].held_out) * len(SHADINGS)
    for patch in PATCHES:
        batch = pairs.batch(patch, pairs.held_out)
        # The photograph itself is like its moments, and nothing is left empty.
        assert np.abs(batch.picture.astype(int) - batch.truth).mean() < 30
        assert batch.reference.any(axis=(1, 2, 3)).all()


def test_a_moment_is_never_its_own_reference(folder: Path, takes: list[Take]) -> None:
    """Frames of this clip differ in every moment: none equals the truth to the pixel."""
    pairs = Pairs(folder, PATCHES)
    for patch in PATCHES:
        batch = pairs.batch(patch, pairs.train)
        same = (batch.reference == batch.truth).all(axis=(1, 2, 3))
        assert not same.any()


def test_the_references_for_running_are_of_moments_learnt_from(
    folder: Path, takes: list[Take]
) -> None:
    references = References.load(folder / REFERENCES, PATCHES)
    with np.load(folder / REFERENCES, allow_pickle=False) as file:
        truths = np.load(folder / "mouth.truth.npy")
        count = len(file["mouth/pictures"])
        assert count == min(KEPT, len(takes[0].train))
        held_out = [k for k, i in enumerate(takes[0].moments) if i in set(takes[0].held_out)]
        for picture in file["mouth/pictures"]:
            where = np.flatnonzero((truths == picture).all(axis=(1, 2, 3)))
            assert len(where) and not set(where) <= set(held_out)
        points, turns, known = (file[f"mouth/{k}"][3] for k in ("points", "turns", "pictures"))
    found = references.find("mouth", points, turns, np.zeros_like(known))
    assert np.abs(found.astype(int) - known).mean() < 6
