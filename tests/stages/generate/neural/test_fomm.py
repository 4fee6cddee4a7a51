"""The First Order Motion Model's keypoints against its formulas."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avatar.core.frames import Float32, NetworkMotion
from avatar.core.options import Options
from avatar.stages.generate.neural.family import Source, Values
from avatar.stages.generate.neural.fomm import POINTS, FirstOrder, hull_area, relative
from avatar.stages.generate.neural.networks import Networks
from tests.stages.generate.neural.toys import ToyRunner

Seeds = st.integers(0, 2**32 - 1)
NONE_OPEN = Networks(ToyRunner, "toys")


def random_points(seed: int) -> dict[str, Float32]:
    rng = np.random.default_rng(seed)
    jacobian = np.eye(2) + 0.2 * rng.standard_normal((POINTS, 2, 2))
    return {
        "value": rng.uniform(-0.8, 0.8, (POINTS, 2)).astype(np.float32),
        "jacobian": jacobian.astype(np.float32),
        "crop": np.array([320, 240, 300], np.float32),
    }


def driven(
    source: Values, now: Values, then: Values, *, absolute: bool = False, strength: float = 1
) -> Values:
    family = FirstOrder(Options(strength=strength))
    motion = NetworkMotion("fomm", now, then)
    return family.driven(NONE_OPEN, Source(source, None, 0.3), motion, absolute=absolute)


def test_the_hull_of_a_square_is_its_area() -> None:
    corners = np.array([[0, 0], [2, 0], [2, 2], [0, 2], [1, 1]], np.float32)
    assert hull_area(corners) == pytest.approx(4)


@given(seed=Seeds)
def test_a_driver_at_the_reference_leaves_the_photographs_keypoints(seed: int) -> None:
    source, driver = random_points(seed), random_points(seed + 1)
    found = driven(source, driver, driver)
    for name in ("value", "jacobian"):
        assert found[name] == pytest.approx(source[name], abs=1e-3)


@given(seed=Seeds)
def test_relative_motion_is_scaled_by_the_ratio_of_the_hulls(seed: int) -> None:
    source, then, now = (random_points(seed + k) for k in range(3))
    found = relative(source, now, then)
    scale = np.sqrt(hull_area(source["value"])) / np.sqrt(hull_area(then["value"]))
    expected = source["value"] + (now["value"] - then["value"]) * scale
    assert found["value"] == pytest.approx(expected, abs=1e-4)
    for k in range(POINTS):
        bend = now["jacobian"][k] @ np.linalg.pinv(then["jacobian"][k].astype(np.float64))
        if abs(np.linalg.det(then["jacobian"][k])) > 0.05:
            assert found["jacobian"][k] == pytest.approx(bend @ source["jacobian"][k], abs=1e-3)


def test_a_jacobian_without_inverse_leaves_the_photographs() -> None:
    source, then, now = (random_points(k) for k in range(3))
    then["jacobian"][3] = 0
    found = relative(source, now, then)
    assert np.array_equal(found["jacobian"][3], source["jacobian"][3])
    assert np.isfinite(found["jacobian"]).all()


@given(seed=Seeds)
def test_absolute_motion_is_the_drivers_own(seed: int) -> None:
    source, then, now = (random_points(seed + k) for k in range(3))
    found = driven(source, now, then, absolute=True)
    assert found["value"] == pytest.approx(now["value"], abs=1e-5)
    assert found["jacobian"] == pytest.approx(now["jacobian"], abs=1e-5)


def test_no_strength_is_the_photograph() -> None:
    source, then, now = (random_points(k) for k in range(3))
    found = driven(source, now, then, strength=0)
    assert np.array_equal(found["value"], source["value"])
