"""Small, many, lying and cut faces of photographs are found, and nothing where nobody is."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avatar.core.face.bounds import face_box, face_px
from avatar.core.frames import Face, UInt8Image
from avatar.stages.track.find import find_faces, levels, tiles
from avatar.stages.track.networks import FaceNetworks
from avatar.stages.track.turned import quarters


@pytest.fixture(scope="module")
def networks(face_model: Path) -> Iterator[FaceNetworks]:
    with FaceNetworks(face_model) as opened:
        yield opened


def head(portrait: UInt8Image, face: Face, face_side: float) -> UInt8Image:
    """Return the portrait's head with a face of so many pixels."""
    left, top, right, bottom = face_box(face)
    x, y, reach = (left + right) / 2, (top + bottom) / 2, 0.9 * face_px(face)
    part = portrait[
        max(int(y - reach), 0) : int(y + reach), max(int(x - reach), 0) : int(x + reach)
    ]
    share = face_side / face_px(face)
    return np.asarray(cv2.resize(part, None, fx=share, fy=share, interpolation=cv2.INTER_AREA))


def wall(height: int, width: int) -> UInt8Image:
    noise = np.random.default_rng(3).integers(60, 160, (height, width, 3), dtype=np.uint8)
    return np.asarray(cv2.GaussianBlur(noise, (0, 0), 9), np.uint8)


def hung(picture: UInt8Image, part: UInt8Image, x: int, y: int) -> None:
    picture[y : y + part.shape[0], x : x + part.shape[1]] = part


@given(st.integers(1, 3000), st.integers(1, 3000), st.floats(64, 2000))
def test_tiles_cover_a_picture_and_overlap_by_half(width: int, height: int, side: float) -> None:
    found = list(tiles((width, height), side))
    for axis, length in (("left", width), ("top", height)):
        starts = sorted({getattr(tile, axis) for tile in found})
        assert starts[0] <= 0 and starts[-1] + side >= length - 1e-6
        assert all(b - a <= side / 2 + 1e-6 for a, b in pairwise(starts))


def test_tiles_become_smaller_down_to_the_smallest() -> None:
    assert list(levels((4000, 3000), 256)) == [2000, 1000, 500, 256]
    assert list(levels((200, 100), 256)) == []


@pytest.mark.parametrize("side", [64, 160, 300])
def test_a_small_face_in_a_large_photograph(
    side: int, networks: FaceNetworks, portrait: UInt8Image, portrait_face: Face
) -> None:
    picture = wall(1500, 2000)
    hung(picture, head(portrait, portrait_face, side), 1210, 640)
    (face,) = find_faces(networks, picture)
    assert face_px(face) == pytest.approx(side, rel=0.15)
    assert 1210 < face.landmarks_px[1, 0] < 1210 + 2 * side


def test_all_faces_of_a_group_of_forty(
    networks: FaceNetworks, portrait: UInt8Image, portrait_face: Face
) -> None:
    picture = wall(1080, 1920)
    for k in range(40):
        part = head(portrait, portrait_face, 64 + k % 5 * 5)
        hung(picture, part, 20 + k % 10 * 188, 40 + k // 10 * 255)
    faces = find_faces(networks, picture)
    assert len(faces) == 40
    assert [face_px(a) for a in faces] == sorted(map(face_px, faces), reverse=True)


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_lying_photograph_has_a_lying_face(
    turns: int, networks: FaceNetworks, portrait: UInt8Image, portrait_face: Face
) -> None:
    (face,) = find_faces(networks, np.ascontiguousarray(np.rot90(portrait, -turns)))
    assert quarters(face.landmarks_px) == turns
    assert face_px(face) == pytest.approx(face_px(portrait_face), rel=0.03)
    assert np.abs(face.blendshapes - portrait_face.blendshapes).max() < 0.1


def test_a_photograph_cut_from_brows_to_chin(
    networks: FaceNetworks, portrait: UInt8Image, portrait_face: Face
) -> None:
    left, top, right, bottom = map(int, face_box(portrait_face))
    fifth = (bottom - top) // 6
    tight = np.ascontiguousarray(portrait[top + fifth : bottom - fifth // 3, left:right])
    (face,) = find_faces(networks, tight)
    assert face_px(face) == pytest.approx(face_px(portrait_face), rel=0.15)
    assert face.image_size_px == (tight.shape[1], tight.shape[0])


def test_nobody_is_found_where_nobody_is(networks: FaceNetworks) -> None:
    assert find_faces(networks, wall(700, 900)) == []
    assert find_faces(networks, np.zeros((3, 5, 3), np.uint8)) == []
