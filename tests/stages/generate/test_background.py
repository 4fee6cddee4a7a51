"""What stands behind the avatar, and how the avatar is cut out for it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from avatar.core.errors import PhotoError, UsageError
from avatar.core.face.rotation import rotation_from_vector
from avatar.core.frames import Face, GeneratedFrame, Motion, Presence, UInt8Image, still
from avatar.core.home import Home
from avatar.stages.generate.album import AlbumGenerator
from avatar.stages.generate.background import cover, parse_background
from avatar.stages.generate.group import GroupGenerator
from avatar.stages.generate.matte_cache import MatteCache
from avatar.stages.generate.portrait import PortraitGenerator, PortraitSettings

SIZE_PX = (320, 240)
Generator = PortraitGenerator | AlbumGenerator | GroupGenerator
Make = Callable[[UInt8Image, Face, PortraitSettings], Generator]


def _one(photo: UInt8Image, face: Face, settings: PortraitSettings) -> Generator:
    return PortraitGenerator(photo, face, "portrait", SIZE_PX, settings)


def _album(photo: UInt8Image, face: Face, settings: PortraitSettings) -> Generator:
    return AlbumGenerator([(photo, face)] * 2, "portrait", SIZE_PX, settings)


def _group(photo: UInt8Image, face: Face, settings: PortraitSettings) -> Generator:
    aside = face.landmarks_px + np.array([photo.shape[1], 0, 0], np.float32)
    faces = [face, replace(face, landmarks_px=aside)]
    return GroupGenerator(np.hstack([photo, photo]), faces, "photo", SIZE_PX, settings)


MAKERS: dict[str, Make] = {"one": _one, "album": _album, "group": _group}


@pytest.fixture(params=MAKERS)
def make(request: pytest.FixtureRequest, portrait: UInt8Image, portrait_face: Face) -> Make:
    return lambda photo, face, settings: MAKERS[request.param](photo, face, settings)


def _turned(yaw: float) -> Motion:
    rotation = rotation_from_vector(np.array([0, yaw, 0], np.float32))
    return replace(still(0, 0, Presence.TRACKED), rotation=rotation)


def _drawn(
    make: Make, photo: UInt8Image, face: Face, background: str, yaw: float = 0.2
) -> GeneratedFrame:
    settings = PortraitSettings(
        mattes=MatteCache(Home.of_user().mattes), background=parse_background(background)
    )
    with make(photo, face, settings) as generator:
        return generator.generate(_turned(yaw))


@pytest.mark.parametrize("yaw", [0.0, 0.25])
def test_transparent_laid_on_a_colour_is_the_picture_with_that_colour(
    make: Make, portrait: UInt8Image, portrait_face: Face, yaw: float
) -> None:
    cut = _drawn(make, portrait, portrait_face, "transparent", yaw)
    green = _drawn(make, portrait, portrait_face, "#20c040", yaw)
    assert cut.alpha is not None
    assert green.alpha is None
    rest = 255 - cut.alpha[..., None].astype(int)
    laid = cut.image + rest * np.array([0x20, 0xC0, 0x40]) / 255
    assert np.abs(laid - green.image).max() <= 3


def test_transparent_has_a_face_a_background_and_premultiplied_colours(
    make: Make, portrait: UInt8Image, portrait_face: Face
) -> None:
    frame = _drawn(make, portrait, portrait_face, "transparent")
    assert frame.alpha is not None
    assert 0.1 < float(np.mean(frame.alpha == 255)) < 0.9
    assert float(np.mean(frame.alpha == 0)) > 0.1
    assert (frame.image.max(axis=2).astype(int) <= frame.alpha.astype(int) + 1).all()


def test_the_photographs_own_background_needs_no_alpha_and_stays(
    make: Make, portrait: UInt8Image, portrait_face: Face
) -> None:
    frame = _drawn(make, portrait, portrait_face, "photo", 0.0)
    assert frame.alpha is None
    blurred = _drawn(make, portrait, portrait_face, "blur", 0.0)
    cut = _drawn(make, portrait, portrait_face, "transparent", 0.0)
    assert cut.alpha is not None
    solid, clear = cut.alpha == 255, cut.alpha == 0
    assert np.abs(blurred.image[solid].astype(int) - frame.image[solid]).mean() < 1
    assert float(blurred.image[clear].std()) < float(frame.image[clear].std())


def test_a_picture_fills_the_canvas_from_its_middle(tmp_path: Path) -> None:
    tall = np.zeros((300, 100, 3), np.uint8)
    tall[100:200] = (0, 0, 255)
    shown = cover(tall, (80, 60))
    assert shown.shape == (60, 80, 3)
    assert (shown[30] == (0, 0, 255)).all()


@pytest.mark.parametrize(
    ("text", "rgb"),
    [
        ("green", (0, 128, 0)),
        ("#0f0", (0, 255, 0)),
        ("#00FF00", (0, 255, 0)),
        ("Lime", (0, 255, 0)),
    ],
)
def test_colours(text: str, rgb: tuple[int, int, int]) -> None:
    background = parse_background(text)
    assert (background.kind, background.colour) == ("colour", rgb)


@pytest.mark.parametrize("text", ["gren", "transparant", "#12345", "nowhere.png", ""])
def test_what_is_no_background_is_refused_with_what_is_one(text: str) -> None:
    with pytest.raises(UsageError, match="photo, blur, transparent, a colour"):
        parse_background(text)


def test_the_nearest_is_named() -> None:
    with pytest.raises(UsageError, match="Did you mean transparent"):
        parse_background("transparant")


def test_a_file_that_is_no_picture_is_told(tmp_path: Path) -> None:
    path = tmp_path / "room.jpg"
    path.write_text("no picture")
    with pytest.raises(PhotoError, match="--background"):
        parse_background(str(path))
