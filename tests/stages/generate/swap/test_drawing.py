"""Drawing: the film's light, what is before the face, and the film's own eyes and mouth."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from avatar.core.face.topology import EYES, FACE_OVAL, INNER_LIPS
from avatar.core.frames import Face, Float32, UInt8Image
from avatar.stages.generate.swap.drawing import Swap
from avatar.stages.generate.swap.layout import FaceSheet
from avatar.stages.generate.swap.person import SIDE, FilmFace
from avatar.stages.generate.swap.photograph import NewFace, face_width

ALL = frozenset({"eyes", "mouth", "glasses"})


@pytest.fixture(scope="module")
def new(portrait: UInt8Image, portrait_face: Face, layout: FaceSheet) -> NewFace:
    """A face that is told apart: the portrait's, with stripes on its skin."""
    striped = portrait.copy()
    striped[:, ::12] = (striped[:, ::12] * 0.5).astype(np.uint8)
    return NewFace(striped, portrait_face, layout)


def swap_on(film: UInt8Image, points: Float32, new: NewFace, layout: FaceSheet) -> Swap:
    sheets = [layout.unwrap(film, points, SIDE)] * 3
    return Swap(layout, new, FilmFace(layout, sheets, face_width(points), 0.8), ALL)


def inside(image: UInt8Image, points: Float32, shrunk: float = 0.7) -> np.ndarray:  # type: ignore[type-arg]
    oval = points[FACE_OVAL, :2]
    mask = np.zeros(image.shape[:2], np.uint8)
    middle = oval.mean(axis=0)
    cv2.fillPoly(mask, [(middle + (oval - middle) * shrunk).astype(np.int32)], 1)
    return mask > 0


def test_the_face_changes_and_nothing_beside_it(
    portrait: UInt8Image, portrait_face: Face, new: NewFace, layout: FaceSheet
) -> None:
    points = portrait_face.landmarks_px
    made = swap_on(portrait, points, new, layout).draw(portrait, points)
    changed = np.abs(made.astype(int) - portrait).max(axis=-1)
    assert changed[inside(portrait, points)].mean() > 3
    assert changed[~inside(portrait, points, 1.06)].max() == 0


@pytest.mark.parametrize("light", [0.45, 0.8])
def test_the_films_light_falls_on_the_new_face(
    portrait: UInt8Image, portrait_face: Face, new: NewFace, layout: FaceSheet, light: float
) -> None:
    points = portrait_face.landmarks_px
    across = np.linspace(light, 1.0, portrait.shape[1])[None, :, None]
    film = (portrait * across * [1.0, 0.9, 0.75]).astype(np.uint8)
    made = swap_on(film, points, new, layout).draw(film, points)
    place = inside(film, points)
    means = [image[place].mean(axis=0) for image in (made, film)]
    assert np.abs(means[0] / means[1] - 1).max() < 0.08


def test_the_films_eyes_and_mouth_stay(
    portrait: UInt8Image, portrait_face: Face, new: NewFace, layout: FaceSheet
) -> None:
    points = portrait_face.landmarks_px
    made = swap_on(portrait, points, new, layout).draw(portrait, points)
    for *_, iris in EYES:
        x, y = np.round(points[iris, :2]).astype(int)
        part = np.s_[y - 1 : y + 2, x - 1 : x + 2]
        assert np.abs(made[part].astype(int) - portrait[part]).max() <= 6
    mouth = np.zeros(portrait.shape[:2], np.uint8)
    cv2.fillPoly(mouth, [points[INNER_LIPS, :2].astype(np.int32)], 1)
    core = cv2.erode(mouth, np.ones((3, 3), np.uint8)) > 0
    if core.any():
        assert np.abs(made[core].astype(int) - portrait[core]).mean() < 12


@pytest.mark.parametrize("colour", [(30, 60, 160), (235, 235, 230), (20, 20, 22)])
def test_an_object_before_the_face_stays_before_it(
    portrait: UInt8Image, portrait_face: Face, new: NewFace, layout: FaceSheet,
    colour: tuple[int, int, int],
) -> None:  # fmt: skip
    points = portrait_face.landmarks_px
    swap = swap_on(portrait, points, new, layout)
    width, middle = face_width(points), points[:, :2].mean(axis=0)
    for aside in (-0.2, 0.1, 0.25):
        mask = np.zeros(portrait.shape[:2], np.uint8)
        at = (float(middle[0] + aside * width), float(middle[1] + 0.2 * width))
        box = cv2.boxPoints((at, (0.2 * width, 0.7 * width), 20.0))
        cv2.fillPoly(mask, [box.astype(np.int32)], 1)
        film = portrait.copy()
        film[mask > 0] = colour
        same = np.abs(swap.draw(film, points).astype(int) - film).max(axis=-1) <= 14
        assert same[mask > 0].mean() >= 0.95


def test_nothing_shown_is_the_film_itself(
    portrait: UInt8Image, portrait_face: Face, new: NewFace, layout: FaceSheet
) -> None:
    points = portrait_face.landmarks_px
    swap = swap_on(portrait, points, new, layout)
    assert swap.draw(portrait, points, 0.0) is portrait
    outside = points + np.float32(5000)
    assert swap.draw(portrait, outside) is portrait
