"""LivePortrait's keypoints against the formulas of its paper and release."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avatar.core.frames import Face, Float32, NetworkMotion
from avatar.core.options import Options
from avatar.stages.generate.neural import liveportrait
from avatar.stages.generate.neural.crop import eye_ratios, lip_ratio
from avatar.stages.generate.neural.family import Source
from avatar.stages.generate.neural.liveportrait import (
    EYES,
    LIPS,
    POINTS,
    LivePortrait,
    degrees,
    driven_pose,
    keypoints,
    rotation,
)
from avatar.stages.generate.neural.networks import Networks
from tests.stages.generate.neural.toys import ToyRunner

Angles = st.floats(-60, 60)
Seeds = st.integers(0, 2**32 - 1)
UNSTITCHED = Options(stitching=False)
NONE_OPEN = Networks(ToyRunner, "toys")


def random_pose(
    seed: int, crop: tuple[float, float, float] = (320, 240, 300)
) -> dict[str, Float32]:
    rng = np.random.default_rng(seed)
    return {
        "rotation": rotation(*rng.uniform(-40, 40, 3)),
        "expression": rng.normal(0, 0.05, (POINTS, 3)).astype(np.float32),
        "translation": rng.normal(0, 0.2, 3).astype(np.float32),
        "scale": rng.uniform(0.8, 1.6, 1).astype(np.float32),
        "crop": np.array(crop, np.float32),
        "closure": np.zeros(2, np.float32),
        "lips": np.zeros(1, np.float32),
    }


def random_source(seed: int) -> Source:
    canonical = np.random.default_rng(seed).normal(0, 0.3, (POINTS, 3)).astype(np.float32)
    return Source({**random_pose(seed + 1), "canonical": canonical}, None, 0.3)


def driven(
    source: Source,
    now: dict[str, Float32],
    then: dict[str, Float32],
    options: Options = UNSTITCHED,
    absolute: bool = False,
) -> Float32:
    motion = NetworkMotion("liveportrait", now, then)
    return LivePortrait(options).driven(NONE_OPEN, source, motion, absolute=absolute)["points"]


def test_bins_stand_for_three_degrees_each_around_zero() -> None:
    for index, expected in ((0, -97.5), (32, -1.5), (33, 1.5), (65, 97.5)):
        bins = np.full((1, 66), -100, np.float32)
        bins[0, index] = 100
        assert degrees(bins) == pytest.approx(expected, abs=1e-4)
    assert degrees(np.zeros((1, 66), np.float32)) == pytest.approx(0, abs=1e-4)


@given(pitch=Angles, yaw=Angles, roll=Angles)
def test_the_rotation_is_the_transpose_of_roll_after_yaw_after_pitch(
    pitch: float, yaw: float, roll: float
) -> None:
    def about(axis: int, angle: float) -> Float32:
        made = np.eye(3)
        i, j = [(1, 2), (2, 0), (0, 1)][axis]
        made[i, i] = made[j, j] = np.cos(np.radians(angle))
        made[j, i], made[i, j] = np.sin(np.radians(angle)), -np.sin(np.radians(angle))
        return made

    expected = (about(2, roll) @ about(1, yaw) @ about(0, pitch)).T
    assert rotation(pitch, yaw, roll) == pytest.approx(expected, abs=1e-6)
    assert np.linalg.det(rotation(pitch, yaw, roll)) == pytest.approx(1, abs=1e-5)


@given(seed=Seeds)
def test_keypoints_are_scaled_turned_and_moved_in_x_and_y_only(seed: int) -> None:
    pose, canonical = random_pose(seed), random_source(seed).values["canonical"]
    found = keypoints(canonical, pose)
    for point, x_c, delta in zip(found, canonical, pose["expression"], strict=True):
        expected = pose["scale"][0] * (x_c @ pose["rotation"] + delta)
        expected[:2] += pose["translation"][:2]
        assert point == pytest.approx(expected, abs=1e-5)


@given(seed=Seeds)
def test_a_driver_at_the_reference_leaves_the_photographs_keypoints(seed: int) -> None:
    source, driver = random_source(seed), random_pose(seed + 7)
    rest = LivePortrait(UNSTITCHED).rest(source)["points"]
    assert driven(source, driver, driver) == pytest.approx(rest, abs=2e-5)


@given(seed=Seeds, x=st.floats(100, 500), y=st.floats(100, 400), side=st.floats(150, 600))
def test_a_step_of_the_drivers_square_is_no_step_of_the_avatar(
    seed: int, x: float, y: float, side: float
) -> None:
    """The same face seen through two squares: its numbers differ as the squares do."""
    source, then, now = random_source(seed), random_pose(seed + 7), random_pose(seed + 8)
    ratio = then["crop"][2] / side
    seen_elsewhere = dict(now)
    seen_elsewhere["crop"] = np.array([x, y, side], np.float32)
    seen_elsewhere["scale"] = (now["scale"] * ratio).astype(np.float32)
    place = then["crop"][:2] + now["translation"][:2] * then["crop"][2] / 2
    t = now["translation"].copy()
    t[:2] = (place - [x, y]) / (side / 2)
    seen_elsewhere["translation"] = t
    assert driven(source, seen_elsewhere, then) == pytest.approx(
        driven(source, now, then), abs=2e-4
    )


@given(seed=Seeds)
def test_absolute_motion_takes_the_drivers_pose_and_keeps_the_photographs_size(seed: int) -> None:
    source, driver = random_source(seed), random_pose(seed + 7)
    expected = keypoints(source.values["canonical"], {**driver, "scale": source.values["scale"]})
    assert driven(source, driver, random_pose(seed + 9), absolute=True) == pytest.approx(
        expected, abs=1e-5
    )


@given(seed=Seeds, strength=st.floats(0, 2))
def test_strength_goes_from_the_photograph_through_the_driver_and_beyond(
    seed: int, strength: float
) -> None:
    source, then, now = random_source(seed), random_pose(seed + 7), random_pose(seed + 8)
    rest = LivePortrait(UNSTITCHED).rest(source)["points"]
    full = driven(source, now, then)
    options = Options(stitching=False, strength=strength)
    assert driven(source, now, then, options) == pytest.approx(
        rest + (full - rest) * strength, abs=1e-4
    )


@pytest.mark.parametrize("absolute", [False, True])
def test_regions_choose_what_follows(absolute: bool) -> None:
    source, then, now = random_source(1).values, random_pose(2), random_pose(3)
    motion = NetworkMotion("liveportrait", now, then)

    def changed(*regions: str) -> tuple[bool, set[int]]:
        pose = driven_pose(source, motion, regions, absolute=absolute)
        moved = (pose["expression"] != source["expression"]).any(axis=1)
        return bool((pose["rotation"] != source["rotation"]).any()), set(np.flatnonzero(moved))

    assert changed("pose") == (True, set())
    assert changed("lips") == (False, set(LIPS))
    assert changed("eyes") == (False, set(EYES))
    assert changed("lips", "eyes") == (False, set(LIPS) | set(EYES))
    assert changed("expression", "pose") == (True, set(range(POINTS)))
    turned, moved = changed("expression")
    assert not turned
    assert moved > set(LIPS) | set(EYES)


def test_stitching_adds_its_outputs_to_the_keypoints_and_its_last_two_to_x_and_y(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given_inputs = []

    class Stitching(ToyRunner):
        def _infer(self, feeds):  # type: ignore[no-untyped-def]
            given_inputs.append(feeds["input"])
            change = np.arange(65, dtype=np.float32)[None] / 100
            return {"output": change}

    source, then, now = random_source(1), random_pose(2), random_pose(3)
    plain = driven(source, now, then)
    networks = Networks(Stitching, "toys")
    with networks:
        motion = NetworkMotion("liveportrait", now, then)
        family = LivePortrait(Options())
        found = family.driven(networks, source, motion, absolute=False)["points"]
    change = np.arange(63).reshape(POINTS, 3) / 100
    change[:, :2] += [0.63, 0.64]
    assert found == pytest.approx(plain + change, abs=1e-5)
    rest = family.rest(source)["points"]
    assert given_inputs[0][0] == pytest.approx(np.concatenate([rest.ravel(), plain.ravel()]))


class Recorded(ToyRunner):
    """A runner that adds 1 to what it gives, and keeps what it was given."""

    fed: dict[str, Float32]

    def _infer(self, feeds: Mapping[str, Any]) -> dict[str, Any]:
        self.fed[self.name.rsplit("/", 1)[1]] = feeds["input"][0]
        return {name: value + 1 for name, value in super()._infer(feeds).items()}


@pytest.mark.parametrize("shut", [0.0, 0.5, 1.0])
def test_eyes_and_lips_are_retargeted_by_ratios_in_place_of_the_expression(
    portrait_face: Face, shut: float
) -> None:
    Recorded.fed = {}
    source, then, now = random_source(1), random_pose(2), random_pose(3)
    source = Source(source.values, portrait_face, 0.3)
    now |= {"closure": np.full(2, shut, np.float32), "lips": np.array([0.4], np.float32)}
    motion = NetworkMotion("liveportrait", now, then)
    options = Options(stitching=False, retarget_eyes=True, retarget_lips=True)
    networks = Networks(Recorded, "recorded")
    with networks:
        family = LivePortrait(options)
        found = family.driven(networks, source, motion, absolute=False)["points"]
    rest = family.rest(source)["points"].ravel()
    own = eye_ratios(portrait_face)
    eye, lip = Recorded.fed["eye"], Recorded.fed["lip"]
    assert eye == pytest.approx([*rest, own[1], own[0], own.mean() * (1 - shut)], abs=1e-6)
    assert lip == pytest.approx([*rest, *lip_ratio(portrait_face), 0.4], abs=1e-6)
    pose = driven_pose(source.values, motion, options.regions, absolute=False)
    parts = [*EYES, *LIPS]
    pose["expression"][parts] = source.values["expression"][parts]
    assert found == pytest.approx(keypoints(source.values["canonical"], pose) + 2, abs=1e-5)


def test_a_picture_without_a_face_has_no_ratios_to_retarget_by() -> None:
    options = Options(stitching=False, retarget_eyes=True, retarget_lips=True)
    source, then, now = random_source(1), random_pose(2), random_pose(3)
    assert np.isfinite(driven(source, now, then, options)).all()


def test_the_networks_of_every_frame_are_only_those_asked_for() -> None:
    def parts(**options: bool) -> set[str]:
        models = LivePortrait(Options(**options)).models  # type: ignore[arg-type]
        return {name.rsplit("/", 1)[1] for name in models} - {"motion_extractor", "frame"}

    assert parts() == {"stitching"}
    assert parts(stitching=False) == set()
    assert parts(retarget_eyes=True, retarget_lips=True) == {"stitching", "eye", "lip"}


def test_the_indices_of_lips_and_eyes_do_not_overlap() -> None:
    assert not set(liveportrait.EYES) & set(liveportrait.LIPS)
