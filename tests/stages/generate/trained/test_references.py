"""What a network may copy: the moments most like a pose, moved onto it, without jumps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from avatar.core.errors import EngineError
from avatar.core.frames import Float32, UInt8Image
from avatar.stages.generate.trained.references import Kept, References, farthest
from engines.patches import Patch

SIDE = 32
PATCH = Patch("thing", 1, SIDE, 2, ("valid",), (0.0,), (8, 12), 32, 16)
RING = 0.5 + 0.2 * np.stack(
    [np.cos(np.linspace(0, 6, 12)), np.sin(np.linspace(0, 6, 12))], axis=1
).astype(np.float32)
WARP = np.full((1, SIDE, SIDE, 3), 128, np.uint8)
LARGE = 128
LARGE_WARP = np.full((1, LARGE, LARGE, 3), 128, np.uint8)
AHEAD = np.zeros(3, np.float32)


def moment(open_: float, colour: int) -> tuple[Float32, UInt8Image]:
    """Return landmarks of something that opens, (1, P, 2), and its picture: all of one colour."""
    points = (RING - 0.5) * np.array([1, 1 + open_], np.float32) + 0.5
    return points[None], np.full((1, SIDE, SIDE, 3), colour, np.uint8)


def known(*moments: tuple[Float32, UInt8Image]) -> References:
    points, pictures = (np.stack(parts) for parts in zip(*moments, strict=True))
    return References(
        {"thing": Kept(points, np.zeros((len(points), 3), np.float32), pictures, (len(RING),))},
        opening=0.25,
    )


def colour(references: References, points: Float32, **options: object) -> float:
    return float(references.find("thing", points, AHEAD, WARP, **options).mean())  # type: ignore[arg-type]


def test_a_moment_that_is_known_is_shown_as_it_was() -> None:
    references = known(moment(0.0, 20), moment(0.5, 120), moment(1.0, 220))
    assert colour(references, moment(0.5, 0)[0]) == pytest.approx(120, abs=4)


def test_moments_that_are_not_allowed_are_not_shown() -> None:
    references = known(moment(0.0, 20), moment(0.05, 220))
    allowed = np.array([False, True])
    assert colour(references, moment(0.0, 0)[0], allowed=allowed) > 180


def test_without_any_moment_the_warp_is_shown() -> None:
    references = known(moment(0.0, 20))
    found = references.find("thing", moment(0.0, 0)[0], AHEAD, WARP, np.array([False]))
    assert np.array_equal(found, WARP) and found is not WARP


def test_what_is_far_from_all_that_is_known_becomes_the_warp() -> None:
    references = known(moment(0.0, 20), moment(0.1, 20))
    assert colour(references, moment(0.05, 0)[0]) < 40
    # A shape that no stretching gives.
    strange = moment(0.0, 0)[0].copy()
    strange[0, ::2] += 0.4
    assert colour(references, strange) == pytest.approx(128, abs=3)


@settings(max_examples=40, deadline=None)
@given(st.floats(0, 1.5), st.integers(0, 5))
@example(1.095703125, 1)  # three moments are as near as each other
@example(1.22, 3)
def test_nothing_jumps_as_a_pose_moves(at: float, seed: int) -> None:
    random = np.random.default_rng(seed)
    references = known(
        *(moment(float(random.uniform(0, 1.5)), colour_) for colour_ in range(0, 240, 40))
    )
    near, next_ = (colour(references, moment(o, 0)[0]) for o in (at, at + 1e-3))
    assert abs(near - next_) < 12


def test_moments_that_are_all_alike_are_mixed_evenly() -> None:
    references = known(*(moment(0.5, colour_) for colour_ in range(0, 240, 40)))
    assert colour(references, moment(0.5, 0)[0]) == pytest.approx(60, abs=2)


def test_a_picture_is_moved_onto_the_landmarks() -> None:
    points, picture = moment(0.0, 0)
    picture[0, 8:12, 8:12] = 255
    shifted = points + np.array([4 / SIDE, 0], np.float32)
    found = known((points, picture)).find("thing", shifted, AHEAD, WARP)[0]
    assert found[10, 14].min() > 240 and found[10, 8].max() < 30


def test_moments_that_lie_far_apart_are_chosen() -> None:
    points = np.array([0.0, 0.01, 0.02, 1.0, 1.01, 5.0], np.float32)[:, None]
    assert farthest(points, 3).tolist() == [0, 4, 5]
    assert farthest(points, 9).tolist() == [0, 1, 2, 3, 4, 5]


def two_eyed(first: float, second: float, colour: int) -> tuple[Float32, UInt8Image]:
    """Return landmarks of a frame with two rings in it that open, and its picture."""
    frame = 0.5 + 0.45 * np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], np.float32)
    rings = [
        0.12 * (RING - 0.5) * np.array([1, 1 + open_], np.float32) + np.array(at, np.float32)
        for open_, at in ((first, (0.25, 0.5)), (second, (0.75, 0.5)))
    ]
    points = np.concatenate([frame, *rings])
    return points[None], np.full((1, LARGE, LARGE, 3), colour, np.uint8)


def test_each_part_is_taken_from_a_moment_of_its_own() -> None:
    moments = [two_eyed(0.0, 1.0, 40), two_eyed(1.0, 0.0, 200)]
    points, pictures = (np.stack(parts) for parts in zip(*moments, strict=True))
    kept = Kept(points, np.zeros((2, 3), np.float32), pictures, (4, len(RING), len(RING)))
    references = References({"thing": kept}, opening=1.0)
    both_shut = references.find("thing", two_eyed(0.0, 0.0, 0)[0], AHEAD, LARGE_WARP)[0].astype(int)
    left, right = int(LARGE * 0.25), int(LARGE * 0.75)
    # No moment had both shut: the first had the one, the second the other.
    assert both_shut[LARGE // 2, left, 0] == pytest.approx(40, abs=8)
    assert both_shut[LARGE // 2, right, 0] == pytest.approx(200, abs=8)
    # Nothing is cut with an edge: between 40 and 200 lie several pixels.
    assert np.abs(np.diff(both_shut[..., 0], axis=1)).max() < 40


@settings(max_examples=60, deadline=None)
@given(st.floats(0.01, 1e5), st.floats(-1e5, 1e5), st.floats(-1e5, 1e5), st.floats(-np.pi, np.pi))
def test_a_pose_however_wild_has_a_reference(size: float, x: float, y: float, turn: float) -> None:
    moments = [two_eyed(0.0, 1.0, 40), two_eyed(1.0, 0.0, 200), two_eyed(0.5, 0.5, 90)]
    points, pictures = (np.stack(parts) for parts in zip(*moments, strict=True))
    kept = Kept(points, np.zeros((3, 3), np.float32), pictures, (4, len(RING), len(RING)))
    references = References({"thing": kept}, opening=1.0)
    wild = (points[0] - 0.5) * np.float32(size) + np.array([x, y], np.float32)
    found = references.find("thing", wild, np.array([0, turn, 0], np.float32), LARGE_WARP)
    assert found.shape == LARGE_WARP.shape and found.min() >= 40


def test_what_is_no_part_is_taken_from_when_the_head_was_turned_alike() -> None:
    moments = [two_eyed(0.0, 0.0, 40), two_eyed(0.0, 0.0, 200)]
    points, pictures = (np.stack(parts) for parts in zip(*moments, strict=True))
    points[:, :, :4] = (points[:, :, :4] - 0.5) * 0.7 + 0.5  # round it there is room
    turns = np.array([[0, 0, 0], [0, 0.3, 0]], np.float32)
    kept = Kept(points, turns, pictures, (4, len(RING), len(RING)))
    references = References({"thing": kept}, opening=1.0)
    corners = [
        float(references.find("thing", points[0], turn, LARGE_WARP)[0, 0, 0, 0]) for turn in turns
    ]
    assert corners[0] == pytest.approx(40, abs=8) and corners[1] == pytest.approx(200, abs=8)


def test_they_come_back_from_their_file(tmp_path: Path) -> None:
    references = known(moment(0.0, 20), moment(0.5, 120))
    references.save(tmp_path / "r.npz")
    again = References.load(tmp_path / "r.npz", [PATCH])
    points = moment(0.3, 0)[0]
    found = [r.find("thing", points, AHEAD, WARP) for r in (again, references)]
    assert np.array_equal(*found)
    assert again.opening == references.opening == 0.25


@pytest.mark.parametrize("harm", ["absent", "cut short", "a pickle", "another size"])
def test_a_file_that_is_not_whole_is_refused(tmp_path: Path, harm: str) -> None:
    path = tmp_path / "r.npz"
    known(moment(0.0, 20)).save(path)
    data = path.read_bytes()
    if harm == "absent":
        path.unlink()
    elif harm == "cut short":
        path.write_bytes(data[: len(data) // 2])
    elif harm == "a pickle":
        np.savez(path, **{"thing/pictures": np.array([{}], object), "thing/points": RING})
    else:
        pictures = np.zeros((1, 1, 16, 16, 3), np.uint8)
        np.savez(path, **{"thing/pictures": pictures, "thing/points": RING[None, None]})
    with pytest.raises(EngineError, match="none that are whole"):
        References.load(path, [PATCH])
