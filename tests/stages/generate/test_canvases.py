"""Canvases go round, and what somebody still holds is never drawn into."""

from dataclasses import replace

import cv2
import numpy as np

from avatar.core.face.rotation import rotation_from_vector
from avatar.core.frames import Face, Float32, Presence, UInt8Image, still
from avatar.stages.generate.canvases import Canvases
from avatar.stages.generate.portrait import PortraitGenerator

PICTURE = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)


def test_a_canvas_that_nobody_holds_is_taken_again() -> None:
    canvases = Canvases()
    first = canvases.copy_of(PICTURE)
    place = first.ctypes.data
    first[:] = 0
    del first
    again = canvases.copy_of(PICTURE)
    assert again.ctypes.data == place
    np.testing.assert_array_equal(again, PICTURE)


def test_what_is_held_stays_as_it_is() -> None:
    canvases = Canvases()
    held = [canvases.copy_of(PICTURE) for _ in range(9)]
    for number, canvas in enumerate(held):
        canvas[:] = number
    for number, canvas in enumerate(held):
        assert (canvas == number).all()


def test_a_view_or_a_buffer_holds_its_canvas() -> None:
    canvases = Canvases()
    view = canvases.copy_of(PICTURE)[1:, :, :2]
    buffer = canvases.copy_of(PICTURE).data
    canvases.copy_of(PICTURE)[:] = 255
    canvases.copy_of(PICTURE)[:] = 255
    np.testing.assert_array_equal(view, PICTURE[1:, :, :2])
    assert buffer.tobytes() == PICTURE.tobytes()


def test_another_size_gets_another_canvas() -> None:
    canvases = Canvases()
    canvases.copy_of(PICTURE)
    np.testing.assert_array_equal(canvases.copy_of(PICTURE[:2]), PICTURE[:2])


def turned(degrees: float) -> Float32:
    return rotation_from_vector(np.radians(np.array([0, degrees, 0], np.float32)))


def test_a_kept_frame_never_changes(portrait: UInt8Image, portrait_face: Face) -> None:
    rest = still(0, 0, Presence.TRACKED)
    with PortraitGenerator(portrait, portrait_face, size_px=(96, 96)) as generator:
        kept = generator.generate(replace(rest, rotation=turned(12)))
        before = kept.image.copy()
        for degrees in (-12.0, 0.0, 6.0):
            cv2.rectangle(
                generator.generate(replace(rest, rotation=turned(degrees))).image,
                (0, 0), (95, 95), (255, 0, 0), -1,
            )  # fmt: skip
        np.testing.assert_array_equal(kept.image, before)
        again = generator.generate(replace(rest, rotation=turned(12)))
        np.testing.assert_array_equal(again.image, before)
