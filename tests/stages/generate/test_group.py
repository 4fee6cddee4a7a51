"""Several faces in one photograph: one canvas, people in front of each other."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from avatar.core.errors import UsageError
from avatar.core.face.head import decompose
from avatar.core.face.rotation import rotation_from_vector
from avatar.core.frames import Face, Motion, Presence, UInt8Image, still
from avatar.stages.generate.framing import View, make_canvases
from avatar.stages.generate.group import GroupGenerator
from avatar.stages.generate.matte import split_layers
from avatar.stages.generate.portrait import PortraitGenerator

PHOTO_PX = (960, 600)


def turned(yaw: float, roll: float = 0.0) -> Motion:
    rotation = rotation_from_vector(np.array([0, yaw, roll], np.float32))
    return replace(still(0, 0, Presence.TRACKED), rotation=rotation)


def at(face: Face, scale: float, x: int, y: int) -> Face:
    """Return ``face`` where its photograph went when it was scaled and pasted at (x, y)."""
    landmarks = face.landmarks_px * np.float32(scale)
    landmarks[:, :2] += np.array([x, y], np.float32)
    return Face(landmarks, face.blendshapes, face.pose, PHOTO_PX)


def two_people(portrait: UInt8Image, face: Face, x: int) -> tuple[UInt8Image, list[Face]]:
    """Return a picture of the portrait twice: a smaller one at ``x`` behind a large one, cut out.

    The faces come largest first.
    """
    person = split_layers(portrait, face.landmarks_px, decompose(face))
    cut = Image.fromarray(person.person[person.crown_px :])
    small = cut.resize((cut.width * 2 // 3, cut.height * 2 // 3))
    picture = np.empty((PHOTO_PX[1], PHOTO_PX[0], 3), np.uint8)
    picture[:] = np.linspace(90, 150, PHOTO_PX[0], dtype=np.uint8)[None, :, None]
    for layer, left in ((small, x), (cut, PHOTO_PX[0] - cut.width)):
        pixels = np.asarray(layer).astype(np.float32)
        width = min(pixels.shape[1], PHOTO_PX[0] - left)
        part = picture[PHOTO_PX[1] - pixels.shape[0] :, left : left + width]
        over = pixels[:, :width]
        part[:] = np.clip(part * (1 - over[..., 3:] / 255) + over[..., :3] + 0.5, 0, 255)
    top = PHOTO_PX[1] - small.height
    return picture, [at(face, 1, PHOTO_PX[0] - cut.width, 0), at(face, 2 / 3, x, top)]


@pytest.fixture(scope="module", params=[40, 240], ids=["apart", "overlapping"])
def pair(
    request: pytest.FixtureRequest, portrait: UInt8Image, portrait_face: Face
) -> tuple[UInt8Image, list[Face]]:
    return two_people(portrait, portrait_face, request.param)


@pytest.fixture(scope="module")
def group(pair: tuple[UInt8Image, list[Face]]) -> GroupGenerator:
    return GroupGenerator(*pair, "photo").__enter__()


def around(faces: Sequence[Face], margin_px: int = 12) -> list[tuple[slice, slice]]:
    boxes = []
    for face in faces:
        low, high = face.landmarks_px[:468, :2].min(axis=0), face.landmarks_px[:468, :2].max(axis=0)
        x0, y0 = (low - margin_px).astype(int)
        x1, y1 = (high + margin_px).astype(int)
        boxes.append((slice(y0, y1), slice(x0, x1)))
    return boxes


def test_at_rest_the_photograph_is_there(
    pair: tuple[UInt8Image, list[Face]], group: GroupGenerator
) -> None:
    rest = group.generate(turned(0)).image.astype(int)
    assert rest.shape[:2] == (PHOTO_PX[1], PHOTO_PX[0])
    assert np.abs(rest - pair[0]).max(axis=2).mean() < 0.2


def test_every_face_moves_and_what_is_far_from_heads_stays(
    pair: tuple[UInt8Image, list[Face]], group: GroupGenerator
) -> None:
    photo, faces = pair
    moved = np.abs(group.generate(turned(0.3)).image.astype(int) - photo).max(axis=2)
    for box in around(faces):
        assert moved[box].mean() > 4
    assert moved[:, :20].mean() < 1


def test_each_face_is_drawn_as_it_would_be_alone(portrait: UInt8Image, portrait_face: Face) -> None:
    photo, faces = two_people(portrait, portrait_face, 40)
    with GroupGenerator(photo, faces, "photo") as group:
        together = group.generate(turned(0.2, 0.1)).image.astype(int)
    for face, box in zip(faces, around(faces, 0), strict=True):
        with PortraitGenerator(photo, face, "photo") as alone:
            drawn = alone.generate(turned(0.2, 0.1)).image
        assert np.abs(together[box] - drawn[box]).mean() < 2


def test_a_head_in_front_uncovers_the_one_behind_it(
    portrait: UInt8Image, portrait_face: Face
) -> None:
    photo, faces = two_people(portrait, portrait_face, 240)
    with GroupGenerator(photo, faces, "photo") as group:
        leaning = replace(turned(0), translation=np.array([0.9, 0.0], np.float32))
        drawn = group.generate(leaning).image
        # The order in which faces are given does not decide what hides what.
        with GroupGenerator(photo, faces[::-1], "photo") as other:
            assert np.array_equal(other.generate(leaning).image, drawn)
        rest = group.generate(turned(0)).image
    # The larger person's head no longer covers the smaller one's face, and nothing of the grey
    # wall shows there.
    _, far = around(faces, -10)
    assert np.abs(drawn[far].astype(int) - rest[far]).mean() > 25
    assert (np.ptp(drawn[far].astype(int), axis=2) > 12).mean() > 0.8


def test_portrait_framing_shows_all_heads(portrait: UInt8Image, portrait_face: Face) -> None:
    photo, faces = two_people(portrait, portrait_face, 240)
    for canvas in make_canvases(photo, faces, "portrait", (720, 540), View()):
        points = canvas.face.landmarks_px[:468, :2]
        assert points.min() > 20
        assert (points.max(axis=0) < np.array([700, 520])).all()
        assert canvas.photo_rect == (0, 0, 720, 540)


def test_faces_too_far_apart_for_a_portrait_are_an_error_that_offers_the_photo(
    portrait: UInt8Image, portrait_face: Face
) -> None:
    photo, faces = two_people(portrait, portrait_face, 40)
    with (
        pytest.raises(UsageError, match="--frame photo"),
        GroupGenerator(photo, faces, "portrait", (512, 512)),
    ):
        pass


def test_one_face_is_the_single_portrait(portrait: UInt8Image, portrait_face: Face) -> None:
    with (
        GroupGenerator(portrait, [portrait_face]) as group,
        PortraitGenerator(portrait, portrait_face) as single,
    ):
        for yaw in (0.0, 0.25):
            one, other = (g.generate(turned(yaw)).image for g in (group, single))
            assert np.array_equal(one, other)
