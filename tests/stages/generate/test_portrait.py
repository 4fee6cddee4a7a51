from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from avatar.core.clock import ManualClock
from avatar.core.face.head import decompose, iris_offset
from avatar.core.face.rotation import rotation_from_vector, vector_from_rotation
from avatar.core.face.topology import EYE_RINGS
from avatar.core.frames import (
    BLENDSHAPE_INDEX,
    LANDMARK_COUNT,
    Face,
    Float32,
    Motion,
    Presence,
    UInt8Image,
    still,
)
from avatar.stages.generate import backward_map
from avatar.stages.generate.framing import View
from avatar.stages.generate.portrait import PortraitGenerator
from avatar.stages.sources import create_source
from avatar.stages.track.landmarker import detect_faces

SIZE_PX = (512, 512)


def motion(
    turn: tuple[float, float, float] = (0, 0, 0),
    shift: tuple[float, float] = (0, 0),
    jaw: float = 0.0,
    closure: float = 0.0,
    gaze: tuple[float, float] = (0, 0),
) -> Motion:
    """Return a relative motion; ``jaw`` lowers the lower lip and chin by head units."""
    rest = still(0, 0, Presence.TRACKED)
    return replace(
        rest,
        expression=rest.expression + _jaw_share() * np.array([0, -jaw, 0], np.float32),
        rotation=rotation_from_vector(np.array(turn, np.float32)),
        translation=np.array(shift, np.float32),
        eye_closure=np.full(2, closure, np.float32),
        gaze=np.tile(np.array(gaze, np.float32), (2, 1)),
    )


def _jaw_share() -> Float32:
    """Return how much each landmark follows the jaw, float32 (478, 1): lower lip and chin."""
    share = np.zeros((LANDMARK_COUNT, 1), np.float32)
    lower_lip = [14, 87, 317, 178, 402, 88, 318, 95, 324, 17, 84, 314, 181, 405, 91, 321, 146, 375,
                 15, 86, 316, 179, 403, 89, 319, 96, 325, 16, 85, 315, 180, 404, 90,
                 320]  # fmt: skip
    chin = [152, 148, 377, 176, 400, 149, 378, 200, 199, 175, 171, 396, 208, 428, 18, 83, 313, 201,
            421, 182, 406, 106, 335, 140, 369, 32, 262, 194, 418, 43, 273, 204, 424, 211, 431,
            150, 379, 170, 395, 169, 394]  # fmt: skip
    share[lower_lip + chin] = 1
    share[[95, 324, 146, 375, 96, 325]] = 0.4
    return share


@pytest.fixture(scope="module")
def drawn_face(face_model: Path) -> tuple[UInt8Image, Face]:
    """The demo driver's drawn face at rest: a picture without glasses, the project's own."""
    with create_source("demo", clock=ManualClock()) as source:
        frame = source.read()
    assert frame is not None
    return frame.image, detect_faces(frame.image, face_model)[0]


@pytest.fixture(scope="module")
def generator(drawn_face: tuple[UInt8Image, Face]) -> PortraitGenerator:
    return PortraitGenerator(*drawn_face, "portrait", SIZE_PX).__enter__()


def draw(generator: PortraitGenerator, moved: Motion) -> UInt8Image:
    return generator.generate(moved).image


@pytest.mark.parametrize("size_px", [(512, 512), (1280, 720)])
@pytest.mark.parametrize("moved", [motion(closure=0.5), motion(jaw=0.2)], ids=["lids", "jaw"])
def test_around_what_moves_there_is_no_rim(
    portrait: UInt8Image, portrait_face: Face, size_px: tuple[int, int], moved: Motion
) -> None:
    """Where a head keeps still the map is drawn for a box: its border must not be seen."""
    with PortraitGenerator(portrait, portrait_face, "portrait", size_px) as made:
        rest = made.generate(motion()).image.astype(np.int16)
        other = made.generate(moved).image.astype(np.int16)
    changed = np.abs(other - rest).max(axis=-1) > 2
    rows, columns = changed.any(axis=1).nonzero()[0], changed.any(axis=0).nonzero()[0]
    box = changed[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    edges = [box[0], box[1], box[-1], box[-2], box[:, 0], box[:, 1], box[:, -1], box[:, -2]]
    assert max(float(edge.mean()) for edge in edges) < 0.4


@pytest.mark.parametrize("closure", [0.5, 0.8, 1.0])
def test_lids_are_whole_where_the_head_keeps_still(
    generator: PortraitGenerator, closure: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is painted over beside what moves has to be drawn, too; else it would end in a box."""
    drawn = draw(generator, motion(closure=closure)).astype(int)
    monkeypatch.setattr(backward_map, "_STILL_PX", -1.0)
    everything = draw(generator, motion(closure=closure)).astype(int)
    points = generator.canvas.face.landmarks_px[np.concatenate(EYE_RINGS), :2].astype(int)
    (x0, y0), (x1, y1) = points.min(axis=0) - 40, points.max(axis=0) + 40
    apart = np.abs(drawn - everything)[y0:y1, x0:x1].max(axis=2)
    # Single pixels differ by what the map is rounded to.
    assert np.count_nonzero(apart > 4) <= 10


@pytest.mark.parametrize("closure", [0.2, 0.35, 0.5])
def test_a_lid_that_comes_down_covers_an_iris_and_does_not_squeeze_it(
    generator: PortraitGenerator, closure: float
) -> None:
    wide_open = draw(generator, motion()).astype(int)
    lowered = draw(generator, motion(closure=closure)).astype(int)
    landmarks = generator.canvas.face.landmarks_px
    for ring in EYE_RINGS:
        upper, lower = landmarks[ring[4], 1], landmarks[ring[12], 1]
        # What lids and lashes leave free, and the lower lid does not come up to.
        top, bottom = upper + (lower - upper) * np.array([closure + 0.25, 0.85])
        across = np.ptp(landmarks[ring, 0])
        x = int(landmarks[ring, 0].mean())
        part = np.s_[int(top) : int(bottom), x - int(across / 5) : x + int(across / 5)]
        assert np.abs(lowered[part] - wide_open[part]).mean() < 14


def test_at_rest_the_photograph_is_unchanged_but_for_the_eyes(
    generator: PortraitGenerator,
) -> None:
    rest = draw(generator, motion())
    apart = np.abs(rest.astype(int) - generator.canvas.image).max(axis=2)
    eyes = np.zeros(apart.shape, bool)
    for ring in EYE_RINGS:
        x, y = generator.canvas.face.landmarks_px[ring, :2].T
        eyes[int(y.min()) - 3 : int(y.max()) + 4, int(x.min()) - 3 : int(x.max()) + 4] = True
    assert (apart[~eyes] == 0).all()
    assert apart[eyes].mean() < 8


def test_the_sides_of_the_picture_never_move(generator: PortraitGenerator) -> None:
    rest = draw(generator, motion()).astype(int)
    moved = draw(generator, motion((0.3, 0.5, 0.4), (0.5, 0.3), 0.2))
    # Shoulders in the lower corners go a little with the neck.
    above = slice(0, round(0.9 * SIZE_PX[1]))
    for edge in (np.s_[:2], np.s_[above, :2], np.s_[above, -2:]):
        assert np.percentile(np.abs(rest[edge] - moved[edge]), 99) <= 8


def test_shoulders_go_on_below_the_picture(generator: PortraitGenerator) -> None:
    rest = draw(generator, motion()).astype(int)
    risen = draw(generator, motion((0.2, 0, 0.2), (0.0, -0.6)))
    shoulders = np.s_[-3:, 120:-120]
    assert np.abs(rest[shoulders] - risen[shoulders]).max() < 40


@pytest.mark.parametrize(
    ("moved", "feature"),
    [
        (motion(jaw=0.3), "jawOpen"),
        (motion(closure=1.0), "eyeBlinkLeft"),
        (motion(closure=1.0), "eyeBlinkRight"),
    ],
)
def test_the_tracker_sees_the_expression_that_was_asked_for(
    generator: PortraitGenerator, face_model: Path, moved: Motion, feature: str
) -> None:
    before, after = (
        detect_faces(draw(generator, m), face_model)[0].blendshapes[BLENDSHAPE_INDEX[feature]]
        for m in (motion(), moved)
    )
    assert after > before + 0.25


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("angle", [-0.25, 0.25])
def test_the_tracker_sees_the_head_turn_that_was_asked_for(
    generator: PortraitGenerator, face_model: Path, axis: int, angle: float
) -> None:
    turn = [0.0, 0.0, 0.0]
    turn[axis] = angle
    rest, turned = (
        decompose(detect_faces(draw(generator, m), face_model)[0]).rotation
        for m in (motion(), motion(tuple(turn)))  # type: ignore[arg-type]
    )
    seen = vector_from_rotation(turned @ rest.T)
    assert np.sign(seen[axis]) == np.sign(angle)
    assert abs(seen[axis]) > 0.5 * abs(angle)


@pytest.mark.parametrize(("gaze", "axis"), [((0.15, 0), 0), ((-0.15, 0), 0)])
def test_the_tracker_sees_the_gaze_that_was_asked_for(
    generator: PortraitGenerator, face_model: Path, gaze: tuple[float, float], axis: int
) -> None:
    rest, looking = (
        iris_offset(decompose(detect_faces(draw(generator, m), face_model)[0]).shape)
        for m in (motion(), motion(gaze=gaze))
    )
    moved = (looking - rest)[:, axis].mean()
    assert np.sign(moved) == np.sign(gaze[axis])
    assert abs(moved) > 0.03


@settings(max_examples=30, deadline=None)
@given(
    turn=st.tuples(*[st.floats(-2, 2) for _ in range(3)]),
    shift=st.tuples(st.floats(-5, 5), st.floats(-5, 5)),
    jaw=st.floats(-1, 1),
    closure=st.floats(-1, 2),
)
def test_no_motion_however_wild_breaks_the_picture(
    generator: PortraitGenerator,
    turn: tuple[float, float, float],
    shift: tuple[float, float],
    jaw: float,
    closure: float,
) -> None:
    image = draw(generator, motion(turn, shift, jaw, closure))
    assert image.shape == (SIZE_PX[1], SIZE_PX[0], 3)
    assert image.std() > 10


def test_zoom_shows_the_face_larger(portrait: UInt8Image, portrait_face: Face) -> None:
    with PortraitGenerator(portrait, portrait_face, "portrait", SIZE_PX) as generator:
        before = np.ptp(generator.canvas.face.landmarks_px[:468, 0])
        generator.set_view(View(zoom=1.5))
        assert np.ptp(generator.canvas.face.landmarks_px[:468, 0]) == pytest.approx(1.5 * before)


GOLDEN = Path(__file__).parent / "golden" / "demo-face.png"
# Where things are in it, rows and columns, and by how many levels a pixel may differ on average,
# since OpenCV rounds differently between processors. The background comes last: what is left.
REGIONS = {
    "mouth": (np.s_[148:184, 114:164], 2.0),
    "eyes": (np.s_[88:120, 90:178], 1.5),
    "face": (np.s_[80:205, 70:190], 1.0),
    "background": (np.s_[:, :], 0.5),
}
SPEAKING: dict[str, Any] = {
    "turn": (0.05, 0.25, 0.08), "shift": (0.1, 0.0), "jaw": 0.2, "closure": 0.1, "gaze": (0.1, 0.0)
}  # fmt: skip


def golden() -> UInt8Image:
    return np.asarray(Image.open(GOLDEN).convert("RGB"))


def differing(drawn: UInt8Image, expected: UInt8Image) -> dict[str, float]:
    """The regions in which two pictures differ by more than their limit, and by how much.

    Each pixel counts in the first region that has it: a still background hides no mouth.
    """
    difference = np.abs(drawn.astype(int) - expected).mean(axis=2)
    counted = np.zeros(difference.shape, bool)
    found = {}
    for name, (box, limit) in REGIONS.items():
        region = np.zeros_like(counted)
        region[box] = True
        region &= ~counted
        counted |= region
        mean = float(difference[region].mean())
        if mean > limit:
            found[name] = mean
    return found


def test_golden_picture(drawn_face: tuple[UInt8Image, Face]) -> None:
    """A drawn face (the demo driver) turned, speaking, looking aside: as it was looked at.

    Where drawing was changed on purpose, look at the new picture and replace the file.
    """
    with PortraitGenerator(*drawn_face, "portrait", (256, 256)) as generator:
        drawn = draw(generator, motion(**SPEAKING))
    if not GOLDEN.exists():
        GOLDEN.parent.mkdir(exist_ok=True)
        Image.fromarray(drawn).save(GOLDEN)
        pytest.fail(f"there was no golden picture; look at {GOLDEN} and run again")
    assert differing(drawn, golden()) == {}


@pytest.mark.parametrize(
    ("broken", "region"),
    [
        (SPEAKING | {"jaw": 0.0}, "mouth"),
        (SPEAKING | {"jaw": 0.15}, "mouth"),
        (SPEAKING | {"gaze": (0.0, 0.0)}, "eyes"),
        (SPEAKING | {"closure": 0.0}, "eyes"),
    ],
)
def test_the_golden_picture_tells_what_does_not_move(
    broken: dict[str, Any], region: str, drawn_face: tuple[UInt8Image, Face]
) -> None:
    with PortraitGenerator(*drawn_face, "portrait", (256, 256)) as generator:
        assert region in differing(draw(generator, motion(**broken)), golden())


@pytest.mark.parametrize("name", ["mouth", "eyes"])
@pytest.mark.parametrize("shift_px", [1, 2])
def test_the_golden_picture_tells_what_is_out_of_place(name: str, shift_px: int) -> None:
    box, _ = REGIONS[name]
    expected, moved = golden(), golden().copy()
    moved[box] = np.roll(moved[box], shift_px, axis=0)
    assert np.abs(moved.astype(int) - expected).mean() < 1.5, "the whole picture does not tell"
    assert differing(moved, expected).keys() == {name}
