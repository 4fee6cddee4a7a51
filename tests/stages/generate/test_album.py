"""Several photographs of one person on one canvas."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from avatar.core.face.head import decompose
from avatar.core.face.rotation import rotation_from_vector
from avatar.core.frames import Face, Float32, Motion, Presence, UInt8Image, still
from avatar.stages.generate.album import AlbumGenerator
from avatar.stages.generate.album_layers import first_source, further_source
from avatar.stages.generate.framing import View, make_canvas
from avatar.stages.generate.person_cut import cut_photo
from avatar.stages.generate.portrait import PortraitGenerator

SIZE_PX = (384, 384)
YAW = 0.4
FRAME_NS = 33_333_333


def turned(yaw: float, index: int = 0, gaze: float = 0.0) -> Motion:
    rotation = rotation_from_vector(np.array([0, yaw, 0], np.float32))
    look = np.tile(np.array([gaze, 0], np.float32), (2, 1))
    rest = still(index * FRAME_NS, index, Presence.TRACKED)
    return replace(rest, rotation=rotation, gaze=look)


def photographed(portrait: UInt8Image, face: Face, motion: Motion) -> tuple[UInt8Image, Face]:
    """Return another photograph of the same person, drawn, with its landmarks known exactly."""
    with PortraitGenerator(portrait, face, "photo") as camera:
        image = camera.generate(motion).image
        posed = camera.pose(motion)
    matrix = np.eye(4, dtype=np.float32)
    matrix[:3, :3] = posed.rotation
    return image, Face(posed.landmarks_px, face.blendshapes, matrix, face.image_size_px)


@pytest.fixture(scope="module")
def photos(portrait: UInt8Image, portrait_face: Face) -> list[tuple[UInt8Image, Face]]:
    """The portrait, and the same head turned, in darker and yellower light."""
    image, face = photographed(portrait, portrait_face, turned(YAW))
    light = np.array([0.7, 0.6, 0.4], np.float32)
    return [(portrait, portrait_face), ((image * light).astype(np.uint8), face)]


@pytest.fixture
def album(photos: list[tuple[UInt8Image, Face]]) -> AlbumGenerator:
    return AlbumGenerator(photos, "portrait", SIZE_PX).__enter__()


def apart(a: UInt8Image, b: UInt8Image) -> float:
    return float(np.abs(a.astype(int) - b).mean())


def similar(face: Face, angle: float, scale: float, shift: tuple[float, float]) -> Face:
    """Return ``face`` as it stands in its photograph turned, scaled and moved."""
    cos, sin = np.cos(angle), np.sin(angle)
    turn = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]], np.float32)
    landmarks = (face.landmarks_px @ turn.T * np.float32(scale)).astype(np.float32)
    landmarks[:, :2] += np.array(shift, np.float32)
    pose = face.pose.copy()
    pose[:3, :3] = turn.T @ pose[:3, :3]
    return Face(landmarks, face.blendshapes, pose, face.image_size_px)


@pytest.mark.parametrize(
    ("angle", "scale", "shift"), [(0.0, 0.5, (0, 0)), (0.3, 1.4, (90, -40)), (-0.5, 0.4, (10, 200))]
)
def test_a_photograph_that_was_turned_scaled_and_moved_comes_back_to_its_place(
    portrait: UInt8Image, portrait_face: Face, angle: float, scale: float,
    shift: tuple[float, float],
) -> None:  # fmt: skip
    import cv2

    moved = similar(portrait_face, angle, scale, shift)
    matrix = (
        np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0]]) * scale
    )
    # Pixel centres are at halves.
    matrix[:, 2] = matrix[:, :2] @ [0.5, 0.5] - 0.5 + shift
    image = cv2.warpAffine(portrait, matrix, (900, 900), flags=cv2.INTER_AREA)
    canvas = make_canvas(portrait, portrait_face, "portrait", SIZE_PX, View())
    first = first_source(canvas, cut_photo(portrait, [portrait_face], None)[0])
    taken = np.asarray(image, np.uint8)
    other = further_source(first, taken, moved, cut_photo(taken, [moved], None)[0])
    wanted, found = first.canvas.face.landmarks_px, other.canvas.face.landmarks_px
    assert np.abs(found - wanted).max() < 0.05
    x, y = wanted[[6, 197, 50, 280, 13, 151], :2].astype(int).T
    here, there = (cv2.blur(c.canvas.image, (5, 5))[y, x].astype(int) for c in (first, other))
    assert np.abs(here - there).mean() < 8


def test_heads_meet_in_light_place_and_size_and_share_the_rest(album: AlbumGenerator) -> None:
    first, second = (source.canvas for source in album.sources)
    heads = [decompose(canvas.face) for canvas in (first, second)]
    assert np.allclose(heads[0].centre_px, heads[1].centre_px, atol=0.05)
    assert heads[0].scale_px == pytest.approx(heads[1].scale_px, rel=1e-3)
    cheeks = [
        np.median(c.image[tuple(c.face.landmarks_px[[50, 280, 205, 425], 1::-1].astype(int).T)],
                  axis=0)
        for c in (first, second)
    ]  # fmt: skip
    assert np.abs(cheeks[0] - cheeks[1]).max() < 25
    beyond = np.abs(first.image.astype(int) - second.image).max(axis=2)
    assert beyond[:, :20].mean() < 3
    assert beyond[-40:].mean() < 1, "the body is the first photograph's"


def test_at_rest_it_is_the_first_photograph(
    album: AlbumGenerator, photos: list[tuple[UInt8Image, Face]]
) -> None:
    with PortraitGenerator(*photos[0], "portrait", SIZE_PX) as single:
        assert np.array_equal(album.generate(turned(0)).image, single.generate(turned(0)).image)


def frames(album: AlbumGenerator, yaws: list[float]) -> list[UInt8Image]:
    return [album.generate(turned(yaw, k)).image for k, yaw in enumerate(yaws)]


def test_a_turned_head_is_that_of_the_turned_photograph(album: AlbumGenerator) -> None:
    drawn = frames(album, [0.0] * 12 + [YAW] * 18)[-1]
    source = album.sources[1].canvas
    # Next to nothing is bent: but for where the head comes to stand, it is the photograph.
    left, top = source.face.landmarks_px[:468, :2].min(axis=0).astype(int)
    right, bottom = source.face.landmarks_px[:468, :2].max(axis=0).astype(int)
    box = np.s_[top:bottom, left:right]
    assert apart(drawn[box], source.image[box]) < apart(
        drawn[box], album.sources[0].canvas.image[box]
    )


def test_changing_photographs_never_jumps(album: AlbumGenerator) -> None:
    shown = frames(album, [0.0] * 12 + [YAW] * 18)[12:]
    # The pose stands still from here on; what changes is the photograph.
    steps = [apart(a, b) for a, b in pairwise(shown)]
    whole = apart(shown[0], shown[-1])
    assert whole > 1, "both photographs differ"
    assert max(steps) < 0.4 * whole
    assert steps[0] == steps[-1] == 0


def test_both_photographs_look_where_the_driver_looks(
    photos: list[tuple[UInt8Image, Face]], portrait: UInt8Image, portrait_face: Face
) -> None:
    aside = photographed(portrait, portrait_face, turned(YAW, gaze=0.12))
    image, face = aside
    # The mesh does not move irises: the landmarks of the photographed gaze are put by hand.
    landmarks: Float32 = face.landmarks_px.copy()
    width = float(np.linalg.norm(landmarks[33, :2] - landmarks[133, :2]))
    landmarks[468:, 0] += 0.12 * width * np.cos(YAW)
    album = AlbumGenerator([photos[0], (image, replace(face, landmarks_px=landmarks))])
    with album:
        assert album.looks[1][:, 0] == pytest.approx(-0.12, abs=0.03)
        assert np.abs(album.looks[0]).max() == 0


def test_zoom_shows_all_photographs_larger(album: AlbumGenerator) -> None:
    before = [np.ptp(s.canvas.face.landmarks_px[:468, 1]) for s in album.sources]
    album.set_view(View(zoom=1.5))
    after = [np.ptp(s.canvas.face.landmarks_px[:468, 1]) for s in album.sources]
    assert after == pytest.approx([1.5 * b for b in before], rel=1e-2)
