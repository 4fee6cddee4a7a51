"""What every generator promises, for each of them."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest

from avatar.core.face.rotation import rotation_from_vector
from avatar.core.frames import Face, Motion, Presence, UInt8Image, still
from avatar.core.home import Home
from avatar.core.options import PUBLISHED
from avatar.core.stages import Generator
from avatar.stages.generate.album import AlbumGenerator
from avatar.stages.generate.deck import Deck
from avatar.stages.generate.group import GroupGenerator
from avatar.stages.generate.matte_cache import MatteCache
from avatar.stages.generate.portrait import PortraitGenerator, PortraitSettings
from tests.stages.generate.neural.toys import toy_generator
from tests.stages.generate.trained.toys import trained

SIZE_PX = (320, 240)
Make = Callable[[UInt8Image, Face], Generator]


def _deck(photo: UInt8Image, face: Face) -> Generator:
    return Deck(["a", "b"], [PortraitGenerator(photo, face, "portrait", SIZE_PX)] * 2)


def _settings() -> PortraitSettings:
    """Return settings with which the same people are cut out once for all tests."""
    return PortraitSettings(mattes=MatteCache(Home.of_user().mattes))


def _group(photo: UInt8Image, face: Face) -> Generator:
    """The photograph twice side by side: two faces on one canvas."""
    aside = face.landmarks_px + np.array([photo.shape[1], 0, 0], np.float32)
    faces = [face, replace(face, landmarks_px=aside)]
    return GroupGenerator(np.hstack([photo, photo]), faces, "photo", SIZE_PX, _settings())


def _album(photo: UInt8Image, face: Face) -> Generator:
    """The photograph, and the same in another light and size as a second one of the person."""
    small = np.ascontiguousarray(photo[::2, ::2] // 2)
    width, height = small.shape[1], small.shape[0]
    other = replace(
        face, landmarks_px=face.landmarks_px * np.float32(0.5), image_size_px=(width, height)
    )
    return AlbumGenerator([(photo, face), (small, other)], "portrait", SIZE_PX, _settings())


def _trained(photo: UInt8Image, face: Face) -> Generator:
    """The portrait engine, its mouth and eyes painted by a toy network."""
    return trained(photo, face, "portrait", SIZE_PX, colour=(90, 60, 60), settings=_settings())[0]


MAKERS: dict[str, Make] = {
    **{
        f"portrait {framing}": lambda photo, face, framing=framing: PortraitGenerator(
            photo, face, framing, SIZE_PX
        )
        for framing in ("portrait", "photo")
    },
    "neural": _trained,
    "deck": _deck,
    **{
        f"{name} {framing}, toy networks": lambda photo, face, name=name, framing=framing: (
            toy_generator(name, photo, face, framing, SIZE_PX, cache=Home.of_user().features)
        )
        for name in PUBLISHED
        for framing in ("portrait", "photo")
    },
    "group": _group,
    "album": _album,
}


@pytest.fixture(params=MAKERS)
def generator(
    request: pytest.FixtureRequest, portrait: UInt8Image, portrait_face: Face
) -> Generator:
    return MAKERS[request.param](portrait, portrait_face)


@pytest.fixture(scope="module", params=MAKERS)
def entered(
    request: pytest.FixtureRequest, portrait: UInt8Image, portrait_face: Face
) -> Iterator[Generator]:
    """Laying out takes most of the time; who only draws shares one that is laid out."""
    with MAKERS[request.param](portrait, portrait_face) as generator:
        yield generator


def _turned(yaw: float, index: int = 3) -> Motion:
    rotation = rotation_from_vector(np.array([0, yaw, 0], np.float32))
    return replace(still(77, index, Presence.TRACKED), rotation=rotation)


def test_pictures_have_the_promised_size_and_keep_time_and_index(entered: Generator) -> None:
    assert entered.size_px == SIZE_PX
    frame = entered.generate(_turned(0.1))
    assert frame.image.shape == (SIZE_PX[1], SIZE_PX[0], 3)
    assert frame.image.flags["C_CONTIGUOUS"]
    assert (frame.timestamp_ns, frame.index, frame.presence) == (77, 3, Presence.TRACKED)


def test_the_same_motion_gives_the_same_picture_and_each_is_the_callers(
    entered: Generator,
) -> None:
    first = entered.generate(_turned(0.2)).image
    kept = first.copy()
    first[:] = 0
    entered.generate(_turned(-0.2))
    assert np.array_equal(entered.generate(_turned(0.2)).image, kept)


def test_motion_moves_the_picture(entered: Generator) -> None:
    rest = entered.generate(still(0, 0, Presence.TRACKED)).image
    turned = entered.generate(_turned(0.3)).image
    assert np.abs(rest.astype(int) - turned).mean() > 1


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e30])
@pytest.mark.parametrize("field", ["expression", "rotation", "translation", "eye_closure", "gaze"])
def test_any_motion_gives_a_picture(entered: Generator, field: str, bad: float) -> None:
    motion = still(0, 0, Presence.TRACKED)
    spoiled = getattr(motion, field).copy()
    spoiled.flat[1] = bad
    frame = entered.generate(replace(motion, **{field: spoiled}))
    assert frame.image.shape == (SIZE_PX[1], SIZE_PX[0], 3)


@pytest.mark.parametrize("absolute", [False, True])
@pytest.mark.parametrize("scale", [np.nan, 0.0, -3.0, 1e9])
def test_any_scale_gives_a_picture(entered: Generator, scale: float, absolute: bool) -> None:
    motion = replace(still(0, 0, Presence.TRACKED, absolute), scale=scale)
    assert entered.generate(motion).image.shape == (SIZE_PX[1], SIZE_PX[0], 3)


def test_entering_again_works_and_leaving_twice_does_nothing(generator: Generator) -> None:
    for _ in range(2):
        with generator:
            generator.generate(_turned(0.1))
        generator.__exit__(None, None, None)
