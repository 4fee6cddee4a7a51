"""What a network is shown, and how its correction comes back into the picture."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from avatar.core.face.head import decompose
from avatar.core.face.topology import EYE_RINGS, OUTER_LIPS
from avatar.core.frames import Face, Presence, UInt8Image, still
from avatar.stages.generate.deform import FaceDeformer
from avatar.stages.generate.framing import View, make_canvas
from avatar.stages.generate.matte_cache import MatteCache
from avatar.stages.generate.portrait import PortraitGenerator, PortraitSettings
from avatar.stages.generate.trained.maps import draw_maps, mouth_opening
from avatar.stages.generate.trained.placement import add_back, all_places, cut
from engines.patches import inputs_of, patches_of
from tests.stages.generate.expressions import expression
from tests.stages.generate.trained.toys import trained

SIZE_PX = (512, 512)
STILL = still(0, 0, Presence.TRACKED)


@pytest.fixture(scope="module")
def settings(own_cache: Path) -> PortraitSettings:
    return PortraitSettings("teeth", mattes=MatteCache(own_cache / "mattes"))


@pytest.fixture(scope="module")
def plain(portrait: UInt8Image, portrait_face: Face, settings: PortraitSettings) -> UInt8Image:
    with PortraitGenerator(portrait, portrait_face, "portrait", SIZE_PX, settings) as generator:
        return generator.generate(STILL).image


@pytest.mark.parametrize("size", ["regions", "head"])
def test_a_network_that_changes_nothing_changes_nothing(
    size: str,
    portrait: UInt8Image,
    portrait_face: Face,
    plain: UInt8Image,
    settings: PortraitSettings,
) -> None:
    generator, _ = trained(
        portrait, portrait_face, "portrait", SIZE_PX, size=size, settings=settings
    )
    with generator:
        assert np.array_equal(generator.generate(STILL).image, plain)


@pytest.mark.parametrize("size", ["regions", "head"])
def test_nothing_is_taken_of_a_correction_that_asks_for_none(
    size: str,
    portrait: UInt8Image,
    portrait_face: Face,
    plain: UInt8Image,
    settings: PortraitSettings,
) -> None:
    generator, _ = trained(
        portrait, portrait_face, "portrait", SIZE_PX, size=size, colour=(255, 0, 0), share=0,
        settings=settings,
    )  # fmt: skip
    with generator:
        assert np.array_equal(generator.generate(STILL).image, plain)


def test_a_correction_lands_on_mouth_and_eyes_alone(
    portrait: UInt8Image, portrait_face: Face, plain: UInt8Image, settings: PortraitSettings
) -> None:
    generator, _ = trained(
        portrait, portrait_face, "portrait", SIZE_PX, colour=(0, 255, 0), settings=settings
    )
    with generator:
        drawn = generator.generate(STILL).image.astype(int)
    canvas = make_canvas(portrait, portrait_face, "portrait", SIZE_PX, View())
    for ring in (OUTER_LIPS, *EYE_RINGS):
        x, y = canvas.face.landmarks_px[ring, :2].mean(axis=0).astype(int)
        assert drawn[y, x, 1] > 240 and drawn[y, x, 0] < 15
    changed = np.abs(drawn - plain).max(axis=2)
    assert changed[:80].max() == 0 and changed[:, :80].max() == 0


def test_a_correction_fades_out_without_a_seam(
    portrait: UInt8Image, portrait_face: Face, settings: PortraitSettings
) -> None:
    pictures = []
    for green in (0, 255):
        generator, _ = trained(
            portrait, portrait_face, "portrait", SIZE_PX, colour=(0, green, 0), settings=settings
        )
        with generator:
            pictures.append(generator.generate(STILL).image[..., 1].astype(np.float64))
    # How much of the correction is taken, whatever lies below.
    opacity = (pictures[1] - pictures[0]) / 255
    assert opacity.max() > 0.98
    for axis in (0, 1):
        assert np.abs(np.diff(opacity, axis=axis)).max() < 0.35


def test_the_driver_is_not_shown_to_the_network(
    portrait: UInt8Image, portrait_face: Face, settings: PortraitSettings
) -> None:
    generator, runners = trained(portrait, portrait_face, "portrait", SIZE_PX, settings=settings)
    with generator:
        drawn = generator.generate(STILL)
    (mouth, _) = patches_of("regions")
    shown = runners[0].seen[-1][inputs_of(mouth)[0]][0]
    # What it sees is cut from the avatar's own picture.
    canvas = make_canvas(portrait, portrait_face, "portrait", SIZE_PX, View())
    place = all_places([mouth], decompose(canvas.face).shape)["mouth"][0]
    matrix = place.matrix(FaceDeformer(canvas).rest())
    assert np.abs(cut(drawn.image, matrix, mouth.side_px).astype(int) - shown).mean() < 3


@pytest.mark.parametrize("size", ["regions", "head"])
def test_a_mouth_wider_than_ever_seen_is_left_empty(
    size: str, portrait: UInt8Image, portrait_face: Face, settings: PortraitSettings
) -> None:
    wide = replace(STILL, expression=expression(decompose(portrait_face).shape, {"jawOpen": 0.8}))
    shares = {}
    for opening in (1.0, 0.05):
        pictures = []
        for green in (0, 255):
            generator, _ = trained(
                portrait, portrait_face, "portrait", SIZE_PX, size=size, colour=(0, green, 0),
                settings=settings, opening=opening,
            )  # fmt: skip
            with generator:
                pictures.append(generator.generate(wide).image[..., 1].astype(np.float64))
                lips = generator._portrait.pose(wide).landmarks_px
        assert mouth_opening(lips) > 1.5 * 0.05
        shares[opening] = (pictures[1] - pictures[0]) / 255
    inside = tuple(lips[[13, 14], :2].mean(axis=0).astype(int))[::-1]
    beside = tuple(lips[61, :2].astype(int) - 8)[::-1]
    assert shares[1.0][inside] > 0.9 and shares[0.05][inside] < 0.05
    assert abs(shares[1.0][beside] - shares[0.05][beside]) < 0.05


def test_both_eyes_look_like_the_same_eye(portrait: UInt8Image, portrait_face: Face) -> None:
    canvas = make_canvas(portrait, portrait_face, "portrait", SIZE_PX, View())
    pose = FaceDeformer(canvas).rest()
    eye = patches_of("regions")[1]
    corners = []
    for place, ring in zip(
        all_places([eye], decompose(canvas.face).shape)["eye"], EYE_RINGS, strict=True
    ):
        matrix = place.matrix(pose)
        inverse = np.linalg.inv(matrix[:, :2])
        corners.append((pose.landmarks_px[ring[[0, 8]], :2] - matrix[:, 2]) @ inverse.T)
    # The outer corner is on the left in both, at the same place within some pixels of 88.
    assert corners[0][0, 0] < corners[0][1, 0] and corners[1][0, 0] < corners[1][1, 0]
    assert np.abs(corners[0] - corners[1]).max() < 6


def test_maps_follow_the_lips(portrait: UInt8Image, portrait_face: Face) -> None:
    canvas = make_canvas(portrait, portrait_face, "portrait", SIZE_PX, View())
    pose = FaceDeformer(canvas).rest()
    mouth = patches_of("regions")[0]
    place = all_places([mouth], decompose(canvas.face).shape)["mouth"][0]
    matrix = place.matrix(pose)
    opened = pose.landmarks_px.copy()
    opened[[14, 87, 178, 317, 402], 1] += 25
    at_rest = draw_maps(place, matrix, pose.landmarks_px, canvas.photo_rect)
    talking = draw_maps(place, matrix, opened, canvas.photo_rect)
    inner = mouth.maps.index("inner mouth")
    assert talking[..., inner].sum() > 1.5 * at_rest[..., inner].sum()
    assert np.array_equal(talking[..., mouth.maps.index("oval")], at_rest[..., -1])
    assert at_rest[..., 0].min() == 255  # all of the patch lies on the photograph


def test_maps_say_where_the_photograph_ends(portrait: UInt8Image, portrait_face: Face) -> None:
    canvas = make_canvas(portrait, portrait_face, "portrait", SIZE_PX, View())
    pose = FaceDeformer(canvas).rest()
    mouth = patches_of("regions")[0]
    place = all_places([mouth], decompose(canvas.face).shape)["mouth"][0]
    left = int(pose.landmarks_px[13, 0])
    maps = draw_maps(place, place.matrix(pose), pose.landmarks_px, (left, 0, 512, 512))
    half = mouth.cells // 2
    # The head is tilted, and with it the patch.
    assert maps[:, : half // 2, 0].max() == 0 and maps[:, half + half // 2 :, 0].min() == 255


def test_adding_back_is_where_cutting_was() -> None:
    image = np.zeros((100, 100, 3), np.uint8)
    matrix = np.array([[0.5, 0.1, 20.0], [-0.1, 0.5, 40.0]])
    change = np.zeros((64, 64, 3), np.float32)
    change[24:40, 24:40] = 200
    add_back(image, change, matrix)
    back = cut(image, matrix, 64)
    assert back[32, 32, 0] == 200 and back[4, 4, 0] == 0


def test_a_correction_outside_the_picture_is_ignored() -> None:
    image = np.full((50, 50, 3), 9, np.uint8)
    matrix = np.array([[1.0, 0.0, 500.0], [0.0, 1.0, 500.0]])
    add_back(image, np.full((32, 32, 3), 100, np.float32), matrix)
    assert (image == 9).all()


def test_a_new_view_moves_the_patches(
    portrait: UInt8Image, portrait_face: Face, settings: PortraitSettings
) -> None:
    generator, _ = trained(
        portrait, portrait_face, "portrait", SIZE_PX, colour=(0, 255, 0), settings=settings
    )
    with generator:
        generator.set_view(View(zoom=1.5))
        drawn = generator.generate(STILL).image
    canvas = make_canvas(portrait, portrait_face, "portrait", SIZE_PX, View(zoom=1.5))
    x, y = canvas.face.landmarks_px[OUTER_LIPS, :2].mean(axis=0).astype(int)
    assert drawn[y, x, 1] > 240
