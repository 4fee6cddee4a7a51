import numpy as np
import pytest

from avatar.core.frames import Face, Float32, UInt8Image
from avatar.stages.generate.mouth_light import mouth_light, teeth_colour, to_lab, to_rgb


def rgb(light: float, a: float, b: float) -> Float32:
    return to_rgb(np.array([[light, a, b]], np.float32))[0]


def lightness(colour: Float32) -> float:
    return float(to_lab(colour[None])[0, 0])


# Skin, whites and bright teeth of six people in six lights, L*a*b*.
REAL = [
    ((59.9, 13.1, 12.7), (65.2, 6.0, 3.1), (70.2, 5.9, 10.2)),
    ((76.1, 19.7, 24.9), (70.5, 13.1, 0.6), (84.6, 14.6, 4.5)),
    ((54.4, 12.5, 9.7), (54.1, 6.1, 4.3), (59.0, 13.3, 4.8)),
    ((80.9, 10.1, 11.3), (77.4, 8.0, 8.6), (88.7, 6.0, 6.7)),
    ((54.2, 20.2, 15.7), (42.8, 10.7, 6.6), (67.3, 8.9, 14.4)),
    ((52.0, 22.1, 14.6), (51.5, 5.6, 6.7), (70.5, 8.4, 14.9)),
]


@pytest.mark.parametrize(("skin", "whites", "teeth"), REAL)
def test_teeth_are_as_real_ones_beside_such_skin_and_whites(
    skin: tuple[float, ...], whites: tuple[float, ...], teeth: tuple[float, ...]
) -> None:
    found = to_lab(teeth_colour(rgb(*skin), rgb(*whites))[None])[0]
    assert found[0] == pytest.approx(teeth[0], rel=0.19)
    assert np.linalg.norm(found[1:] - teeth[1:]) < 10


def test_teeth_of_a_dark_face_go_by_its_whites() -> None:
    skin, whites = rgb(32, 12, 16), rgb(62, 4, 6)
    assert lightness(teeth_colour(skin, whites)) > 1.6 * 32
    assert lightness(teeth_colour(skin, whites)) < 1.12 * 62


def test_whites_in_a_brows_shadow_do_not_darken_teeth() -> None:
    skin = rgb(70, 14, 16)
    assert lightness(teeth_colour(skin, rgb(35, 8, 8))) > 0.97 * 70


@pytest.mark.parametrize("light", [(0.9, 0.7, 0.5), (0.55, 0.6, 0.75), (0.3, 0.3, 0.3)])
def test_teeth_take_the_light_that_falls_on_the_face(
    portrait: UInt8Image, portrait_face: Face, light: tuple[float, float, float]
) -> None:
    plain = mouth_light(portrait, portrait_face.landmarks_px).teeth
    coloured = (portrait * np.array(light)).astype(np.uint8)
    found = mouth_light(coloured, portrait_face.landmarks_px).teeth
    assert to_lab(found[None])[0] == pytest.approx(to_lab((plain * light)[None])[0], abs=9)


def test_a_grey_photograph_has_grey_teeth(portrait: UInt8Image, portrait_face: Face) -> None:
    grey = np.repeat(portrait.mean(axis=2, keepdims=True).astype(np.uint8), 3, axis=2)
    light = mouth_light(grey, portrait_face.landmarks_px)
    assert np.ptp(light.teeth) < 1
    assert abs(light.redness) < 0.01


def test_light_from_one_side_is_a_slope(portrait: UInt8Image, portrait_face: Face) -> None:
    points = portrait_face.landmarks_px
    width = float(np.linalg.norm(points[61, :2] - points[291, :2]))
    x = (np.arange(portrait.shape[1]) - points[0, 0]) / width
    sideways = portrait * 0.8 * np.exp(0.2 * np.clip(x, -2, 2))[None, :, None]
    before = mouth_light(portrait, points).slope
    after = mouth_light(np.clip(sideways, 0, 255).astype(np.uint8), points).slope
    assert (after[0] - before[0]) == pytest.approx(0.2 * 0.55, abs=0.04)
    assert np.abs(after[1] - before[1]).max() < 0.04


def test_a_face_beyond_the_picture_has_some_light(
    portrait: UInt8Image, portrait_face: Face
) -> None:
    for points in (portrait_face.landmarks_px + 10_000, portrait_face.landmarks_px * 0):
        light = mouth_light(portrait, points.astype(np.float32))
        assert np.isfinite(light.teeth).all() and np.isfinite(light.slope).all()
