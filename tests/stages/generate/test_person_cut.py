"""A person is cut out once, in the photograph's own pixels, and drawn in any view."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from avatar.core.face.head import decompose
from avatar.core.frames import Face, UInt8Image
from avatar.stages.generate.background import parse_background
from avatar.stages.generate.framing import Canvas, View, make_canvas
from avatar.stages.generate.matte import Layers, face_frame, lay_out
from avatar.stages.generate.matte_cache import MatteCache
from avatar.stages.generate.person_cut import PersonCut, cut_photo
from avatar.stages.generate.portrait import PortraitGenerator, PortraitSettings, at_rest

SIZE_PX = (320, 240)


@pytest.fixture(scope="module")
def cut(portrait: UInt8Image, portrait_face: Face) -> PersonCut:
    return cut_photo(portrait, [portrait_face], None)[0]


def _laid_out(canvas: Canvas, cut: PersonCut) -> Layers:
    matrix = np.array(
        [[canvas.scale, 0, canvas.offset_px[0]], [0, canvas.scale, canvas.offset_px[1]]],
        np.float32,
    )
    frame = face_frame(canvas.face.landmarks_px, decompose(canvas.face))
    return lay_out(cut, canvas.image, matrix, frame)


@pytest.mark.parametrize("view", [View(), View(zoom=1.7, pan_x=0.2), View(zoom=0.5)])
def test_in_any_view_the_layers_give_the_picture_back(
    portrait: UInt8Image, portrait_face: Face, cut: PersonCut, view: View
) -> None:
    canvas = make_canvas(portrait, portrait_face, "portrait", SIZE_PX, view)
    layers = _laid_out(canvas, cut)
    off = np.abs(at_rest(layers.plate, layers).astype(int) - canvas.image)
    assert off.max() <= 2


def test_away_from_the_person_the_background_is_the_photograph_bit_for_bit(
    portrait: UInt8Image, portrait_face: Face, cut: PersonCut
) -> None:
    canvas = make_canvas(portrait, portrait_face, "portrait", SIZE_PX, View())
    layers = _laid_out(canvas, cut)
    alpha = layers.person[layers.crown_px :, :, 3]
    near = cv2.dilate(alpha, np.ones((17, 17), np.uint8)) > 0
    assert np.array_equal(layers.plate[~near], canvas.image[~near])
    assert (~near).mean() > 0.2


def test_the_body_reaches_the_photographs_lower_edge(cut: PersonCut) -> None:
    last = cut.coverage[-4]
    assert last[100:400].min() > 0.95


def test_nothing_of_the_person_is_left_in_the_background(cut: PersonCut) -> None:
    red, green, blue = np.moveaxis(cut.plate.astype(int), -1, 0)
    skin = (red > 150) & (green > 90) & (red - blue > 40) & (red - green > 15)
    face = np.zeros(skin.shape, bool)
    face[170:380, 170:350] = True
    assert skin[face].mean() < 0.01


def test_a_photographs_own_alpha_is_the_matte(
    portrait: UInt8Image, portrait_face: Face, tmp_path: Path
) -> None:
    own = np.zeros(portrait.shape[:2], np.float32)
    cv2.ellipse(own, (256, 300), (150, 250), 0, 0, 360, (1.0,), -1, cv2.LINE_AA)
    for mattes in (None, MatteCache(tmp_path), MatteCache(tmp_path)):
        (found,) = cut_photo(portrait, [portrait_face], mattes, own)
        assert np.array_equal(found.coverage, own)
    settings = PortraitSettings(background=parse_background("transparent"))
    size_px = (portrait.shape[1], portrait.shape[0])
    with PortraitGenerator(portrait, portrait_face, "photo", size_px, settings, own) as generator:
        person = generator._layers.shown
    assert np.abs(person[..., 3] / 255 - own).max() < 0.1


def test_a_large_photograph_is_cut_smaller_and_drawn_in_its_place(
    portrait: UInt8Image, portrait_face: Face
) -> None:
    large = cv2.resize(portrait, None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC)
    face = Face(
        portrait_face.landmarks_px * 3, portrait_face.blendshapes, portrait_face.pose, (1536, 1800)
    )
    (cut,) = cut_photo(np.asarray(large, np.uint8), [face], None)
    assert cut.ratio < 0.7
    assert decompose(face).scale_px > 0
    canvas = make_canvas(np.asarray(large, np.uint8), face, "photo", (512, 600), View())
    layers = _laid_out(canvas, cut)
    alpha = layers.person[layers.crown_px :, :, 3]
    x, y = canvas.face.landmarks_px[:468, :2].astype(int).T
    assert np.mean(alpha[y, x] > 250) > 0.95


def test_beside_a_photograph_that_is_full_of_a_face_are_no_pieces_of_it(
    portrait: UInt8Image, portrait_face: Face
) -> None:
    low, high = (
        edge(portrait_face.landmarks_px[:, :2], axis=0).astype(int) for edge in (np.min, np.max)
    )
    (left, top), (right, bottom) = low - 4, high + 4
    landmarks = portrait_face.landmarks_px - np.array([left, top, 0], np.float32)
    size_px = int(right - left), int(bottom - top)
    face = Face(landmarks, portrait_face.blendshapes, portrait_face.pose, size_px)
    tight = np.ascontiguousarray(portrait[top:bottom, left:right])
    with PortraitGenerator(tight, face, "portrait", (480, 270)) as generator:
        plate = generator._layers.plate.astype(np.float32)
    assert np.abs(plate - cv2.GaussianBlur(plate, (0, 0), 2)).max() < 12
    assert plate.mean() > 20
