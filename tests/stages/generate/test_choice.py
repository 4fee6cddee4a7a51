"""Choosing among photographs: the nearest, without flicker, changed without a jump."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from avatar.core.frames import Float32
from avatar.stages.generate.choice import FADE_NS, Shown, SourceChooser

FRAME_NS = 33_333_333
COUNT = 6

values = st.floats(-3, 3, width=32)
point = st.lists(values, min_size=COUNT, max_size=COUNT).map(lambda v: np.array(v, np.float32))
sources = st.lists(point, min_size=2, max_size=5).map(np.stack)


def run(
    chooser: SourceChooser, targets: list[Float32], start: int = 0, step_ns: int = FRAME_NS
) -> list[Shown]:
    return [chooser.choose(t, (start + k) * step_ns) for k, t in enumerate(targets)]


def apart(*positions: float) -> Float32:
    """Return photographs that differ in their jaw only."""
    photos = np.zeros((len(positions), COUNT), np.float32)
    photos[:, 2] = positions
    return photos


def at(jaw: float) -> Float32:
    return apart(jaw)[0]


@given(sources, point, st.integers(0, 2**32 - 1))
def test_noise_never_brings_a_photograph_back(photos: Float32, centre: Float32, seed: int) -> None:
    noise = np.random.default_rng(seed).normal(size=(120, COUNT))
    noise *= 0.1 / np.linalg.norm(noise, axis=1, keepdims=True)
    shown = run(SourceChooser(photos), [(centre + n).astype(np.float32) for n in noise])
    order = [a.to for a, b in pairwise(shown) if a.to != b.to] + [shown[-1].to]
    assert len(order) == len(set(order))


@given(sources, st.lists(point, min_size=2, max_size=60), st.integers(1, 400_000_000))
def test_whatever_is_wanted_the_picture_changes_in_small_steps(
    photos: Float32, targets: list[Float32], step_ns: int
) -> None:
    shown = run(SourceChooser(photos), [t for t in targets for _ in range(3)], step_ns=step_ns)
    for before, after in pairwise(shown):
        old, new = (np.zeros(len(photos)) for _ in range(2))
        for weights, what in ((old, before), (new, after)):
            weights[what.to] += what.share
            if what.since is not None:
                weights[what.since] += 1 - what.share
        assert np.abs(new - old).max() < 0.4


def test_the_first_picture_is_the_nearest_at_once() -> None:
    assert SourceChooser(apart(0, 2, 4)).choose(at(3.8), 5) == Shown(2)


def test_a_lasting_change_is_followed_within_half_a_second() -> None:
    chooser = SourceChooser(apart(0, 4))
    run(chooser, [at(0)] * 30)
    shown = run(chooser, [at(4)] * 16, 30)
    assert shown[-1] == Shown(1)
    fading = [s for s in shown if s.since is not None]
    assert len(fading) == FADE_NS // FRAME_NS
    assert all(s.since == 0 and s.to == 1 for s in fading)
    assert [s.share for s in fading] == sorted(s.share for s in fading)


def test_a_moment_is_not_followed() -> None:
    chooser = SourceChooser(apart(0, 4))
    run(chooser, [at(0)] * 30)
    assert set(run(chooser, [at(4)] * 3 + [at(0)] * 30, 30)) == {Shown(0)}


def test_half_way_between_two_the_present_one_stays() -> None:
    chooser = SourceChooser(apart(0, 2))
    run(chooser, [at(0)] * 30)
    assert set(run(chooser, [at(1.1)] * 30, 30)) == {Shown(0)}


def test_of_two_as_far_the_one_from_the_front_is_taken() -> None:
    photos = np.zeros((2, COUNT), np.float32)
    photos[1, 0] = 2
    target = np.zeros(COUNT, np.float32)
    target[0] = 1
    assert SourceChooser(photos).choose(target, 0) == Shown(0)


def test_time_that_stands_still_or_runs_back_changes_nothing() -> None:
    chooser = SourceChooser(apart(0, 4))
    run(chooser, [at(0)] * 30)
    assert {chooser.choose(at(4), 10) for _ in range(50)} == {Shown(0)}


def test_a_target_that_is_no_number_changes_nothing() -> None:
    chooser = SourceChooser(apart(0, 4))
    run(chooser, [at(4)] * 3)
    assert set(run(chooser, [at(np.nan)] * 30, 3)) == {Shown(1)}
    assert SourceChooser(apart(0, 4)).choose(at(np.nan), 0) == Shown(0)
