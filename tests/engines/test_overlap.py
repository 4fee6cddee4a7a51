"""Frames under way on a card come back whole, in whatever order its streams do their work."""

from __future__ import annotations

import threading
from itertools import pairwise
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avatar.core.errors import EngineError
from engines.graph import ModelSpec, TensorSpec
from engines.overlap import OverlappedRunner
from tests.engines.simulated_card import CardArray, SimulatedCard

SHAPE = (2, 3)
FLOAT = np.dtype(np.float32)
SPEC = ModelSpec(
    (TensorSpec("picture", FLOAT, SHAPE), TensorSpec("features", FLOAT, SHAPE)),
    (TensorSpec("same", FLOAT, SHAPE), TensorSpec("sum", FLOAT, SHAPE)),
)
seeds = st.integers(0, 10_000)


def runner(seed: int = 0) -> OverlappedRunner:
    def work(picture: Any, features: Any) -> Any:
        return {"same": picture, "sum": picture + features}

    card = SimulatedCard(SPEC, work, Random(seed))
    return OverlappedRunner("simulated", SPEC, card, card.work)


def values(seed: int) -> Any:
    return np.random.default_rng(seed).normal(size=SHAPE).astype(np.float32)


def feeds(seed: int) -> dict[str, Any]:
    return {"picture": values(seed), "features": values(100 + seed)}


def assert_of(found: Any, seed: int) -> None:
    np.testing.assert_array_equal(found["same"], values(seed))
    np.testing.assert_array_equal(found["sum"], values(seed) + values(100 + seed))


@settings(max_examples=40, deadline=None)
@given(seeds)
def test_each_frame_is_its_own(seed: int) -> None:
    with runner(seed) as opened:
        for frame in range(8):
            assert_of(opened.infer(feeds(frame)), frame)


@settings(max_examples=100, deadline=None)
@given(seeds)
def test_two_frames_are_under_way_and_come_back_in_their_order(seed: int) -> None:
    with runner(seed) as opened:
        opened.submit(feeds(0))
        for earlier, later in pairwise(range(10)):
            given_ = feeds(later)
            opened.submit(given_)
            given_["picture"][:] = np.nan  # the caller may use its arrays again
            assert_of(opened.result(), earlier)
        assert_of(opened.result(), 9)


@settings(max_examples=40, deadline=None)
@given(seeds)
def test_what_was_uploaded_stays(seed: int) -> None:
    with runner(seed) as opened:
        kept = opened.upload("features", values(100))
        np.testing.assert_array_equal(kept.array, values(100), "it is there at once")
        for frame in range(5):
            found = opened.infer({"picture": values(frame), "features": kept})
            np.testing.assert_array_equal(found["sum"], values(frame) + values(100))
        np.testing.assert_array_equal(kept.array, values(100))


def test_a_third_frame_and_a_result_of_none_are_errors() -> None:
    with runner() as opened:
        with pytest.raises(EngineError, match="no frame is under way"):
            opened.result()
        opened.submit(feeds(0))
        opened.submit(feeds(1))
        with pytest.raises(EngineError, match="two frames are under way"):
            opened.submit(feeds(2))
        assert_of(opened.infer(feeds(3)), 3)  # after what was under way
        with pytest.raises(EngineError, match="no frame is under way"):
            opened.result()


def test_what_does_not_fit_is_named() -> None:
    with runner() as opened:
        with pytest.raises(EngineError, match="no input 'other'"):
            opened.upload("other", values(0))
        with pytest.raises(EngineError, match=r"input features: expected .*found float32 \(3\)"):
            opened.upload("features", values(0)[0])
        with pytest.raises(EngineError, match="takes numpy arrays and arrays on its card"):
            opened.infer({"picture": [1], "features": values(0)})
        with pytest.raises(EngineError, match=r"input picture: expected .*found float32 \(2\)"):
            opened.infer({"picture": CardArray(values(0)[:, 0]), "features": values(0)})


def test_every_call_is_guarded_also_from_another_thread() -> None:
    card = SimulatedCard(SPEC, lambda picture, features: {"same": picture}, Random(0))
    with OverlappedRunner("simulated", SPEC, card, card.work) as opened:
        before = card.entered
        thread = threading.Thread(target=lambda: opened.infer(feeds(0)))
        thread.start()
        thread.join()
        assert card.entered == before + 2


def test_closing_waits_for_what_is_under_way() -> None:
    opened = runner()
    opened.submit(feeds(0))
    opened.close()
    with pytest.raises(EngineError, match="closed"):
        opened.infer(feeds(1))
