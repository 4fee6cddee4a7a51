from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avatar.core.clock import ManualClock
from avatar.core.face.head import HeadShape, decompose
from avatar.core.face.rotation import rotation_from_vector
from avatar.core.frames import BLENDSHAPE_NAMES, Face, Float32, Motion, Presence, UInt8Image, still
from avatar.stages.generate.deform import Pose
from avatar.stages.generate.photo import builtin_photo, load_photo
from avatar.stages.generate.portrait import PortraitGenerator
from avatar.stages.generate.untangle import Folds, RingUntangler
from avatar.stages.sources import create_source
from avatar.stages.track.landmarker import detect_faces
from tests.stages.generate.expressions import BESIDE, expression

YAW, PITCH, ROLL = np.radians(35), np.radians(25), np.radians(40)
turns = st.tuples(st.floats(-PITCH, PITCH), st.floats(-YAW, YAW), st.floats(-ROLL, ROLL))
shares = st.floats(0, 1)
weights = st.dictionaries(st.sampled_from(sorted(set(BLENDSHAPE_NAMES) - {"_neutral"})), shares)


@pytest.fixture(scope="module", params=["built-in", "drawn"])
def generator(request: pytest.FixtureRequest, face_model: Path) -> PortraitGenerator:
    if request.param == "built-in":
        photo: UInt8Image = load_photo(builtin_photo())
    else:
        with create_source("demo", clock=ManualClock()) as source:
            frame = source.read()
        assert frame is not None
        photo = frame.image
    face: Face = detect_faces(photo, face_model)[0]
    return PortraitGenerator(photo, face, "portrait", (512, 512)).__enter__()


def motion(
    generator: PortraitGenerator, turn: tuple[float, float, float], weights: dict[str, float]
) -> Motion:
    shape = decompose(generator.canvas.face).shape
    rest = still(0, 0, Presence.TRACKED)
    shut = [weights.get(f"eyeBlink{side}", 0.0) for side in ("Left", "Right")]
    wide = [weights.get(f"eyeWide{side}", 0.0) for side in ("Left", "Right")]
    return replace(
        rest,
        expression=expression(shape, weights),
        neutral=shape,
        rotation=rotation_from_vector(np.array(turn, np.float32)),
        eye_closure=np.array(shut, np.float32) - 0.4 * np.array(wide, np.float32),
    )


@settings(max_examples=300, deadline=None)
@given(turn=turns, weights=weights)
def test_nothing_folds_in_any_pose_with_any_expression(
    generator: PortraitGenerator, turn: tuple[float, float, float], weights: dict[str, float]
) -> None:
    assert generator.folded(motion(generator, turn, weights)) == 0


@pytest.mark.parametrize("turn", [(-PITCH, -YAW, ROLL), (PITCH, YAW, ROLL), (-PITCH, YAW, -ROLL)])
def test_nothing_folds_at_the_ends_of_the_range(
    generator: PortraitGenerator, turn: tuple[float, float, float]
) -> None:
    for name in BLENDSHAPE_NAMES:
        assert generator.folded(motion(generator, turn, {name: 1.0})) == 0, name


def test_the_test_expressions_move_something() -> None:
    rng = np.random.default_rng(1)
    shape = rng.normal(0, 0.5, (478, 3)).astype(np.float32)
    for name in set(BLENDSHAPE_NAMES) - BESIDE:
        assert np.abs(expression(shape, {name: 1.0})).max() > 0.01, name


COUNT, RINGS = 12, 4


def net() -> tuple[Float32, np.ndarray, HeadShape]:
    """Return rings around a middle, their triangles and a head that stands straight."""
    angles = np.linspace(0, 2 * np.pi, COUNT, endpoint=False)
    circle = np.stack([np.cos(angles), np.sin(angles), np.zeros(COUNT)], axis=1)
    rest = np.concatenate([circle * (20 + 15 * k) for k in range(RINGS)]).astype(np.float32)
    triangles = []
    for k in range(RINGS - 1):
        for i in range(COUNT):
            a, b = k * COUNT + i, k * COUNT + (i + 1) % COUNT
            triangles += [(a, a + COUNT, b + COUNT), (a, b + COUNT, b)]
    head = HeadShape(
        np.zeros((478, 3), np.float32), np.eye(3, dtype=np.float32), np.zeros(3, np.float32), 1.0
    )
    return rest, np.array(triangles, np.int32), head


def straight(head: HeadShape) -> Pose:
    return Pose(head.shape, head.rotation, head.centre_px, 1.0, np.zeros(2, np.float32))


def test_a_vertex_drawn_over_its_neighbours_folds_and_is_smoothed() -> None:
    rest, triangles, head = net()
    folds = Folds(rest, triangles, head, 0)
    moved = rest.copy()
    assert len(folds.of(moved, straight(head))) == 0
    moved[COUNT] += (40, 5, 0)
    assert len(folds.of(moved, straight(head))) > 0
    RingUntangler(folds, rest, triangles, 0, COUNT).smooth(moved, straight(head))
    assert len(folds.of(moved, straight(head))) == 0
    np.testing.assert_array_equal(moved[:COUNT], rest[:COUNT])


def test_what_a_turn_alone_hides_does_not_fold() -> None:
    rest, triangles, head = net()
    folds = Folds(rest, triangles, head, 0)
    away = rotation_from_vector(np.array([0, np.pi, 0], np.float32))
    turned = (rest * [1, -1, -1]) @ away.T * [1, -1, -1]
    pose = replace(straight(head), rotation=away)
    assert len(folds.of(turned.astype(np.float32), pose)) == 0


@pytest.fixture(scope="module", params=[0.02, 0.15])
def cut_off(request: pytest.FixtureRequest, face_model: Path) -> PortraitGenerator:
    """A photograph that ends below the chin, by a share of the face's height."""
    photo: UInt8Image = load_photo(builtin_photo())
    face: Face = detect_faces(photo, face_model)[0]
    chin = float(face.landmarks_px[152, 1])
    height = chin - float(face.landmarks_px[10, 1])
    cut = np.ascontiguousarray(photo[: round(chin + request.param * height)])
    face = Face(face.landmarks_px, face.blendshapes, face.pose, (cut.shape[1], cut.shape[0]))
    return PortraitGenerator(cut, face, "photo", (512, 512)).__enter__()


@pytest.mark.parametrize("roll", [-0.4, 0.0, 0.4])
@pytest.mark.parametrize("aside", [-0.5, 0.0, 0.5])
@pytest.mark.parametrize("down", [0.1, 0.3, 0.8])
def test_nothing_folds_when_the_chin_leaves_the_picture(
    cut_off: PortraitGenerator, down: float, aside: float, roll: float
) -> None:
    for opened in (0.0, 1.0):
        moved = motion(cut_off, (0.1, aside / 2, roll), {"jawOpen": opened})
        moved = replace(moved, translation=np.array([aside, down], np.float32))
        assert cut_off.folded(moved) == 0


def test_a_picture_cut_off_at_the_chin_is_unchanged_at_rest(cut_off: PortraitGenerator) -> None:
    rest = replace(motion(cut_off, (0, 0, 0), {}), neutral=np.zeros((478, 3), np.float32))
    np.testing.assert_array_equal(cut_off.generate(rest).image, cut_off.canvas.image)
