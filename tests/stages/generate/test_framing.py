import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avatar.core.frames import Face, UInt8Image
from avatar.stages.generate.framing import View, default_size, make_canvas, make_canvases

SIZES = [(1280, 720), (720, 1280), (512, 512), (640, 480)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("framing", ["portrait", "photo"])
def test_landmarks_stay_on_the_face(
    portrait: UInt8Image, portrait_face: Face, framing: str, size: tuple[int, int]
) -> None:
    canvas = make_canvas(portrait, portrait_face, framing, size, View())  # type: ignore[arg-type]
    assert canvas.image.shape == (size[1], size[0], 3)
    # The colours around a landmark are the photo's: sampled where the photo is smooth.
    for index in (50, 280, 151, 199):
        x, y = portrait_face.landmarks_px[index, :2].astype(int)
        u, v = canvas.face.landmarks_px[index, :2].astype(int)
        there = portrait[y - 2 : y + 3, x - 2 : x + 3].reshape(-1, 3).mean(axis=0)
        here = canvas.image[v - 3 : v + 4, u - 3 : u + 4].reshape(-1, 3).mean(axis=0)
        assert np.abs(there - here).max() < 16


def test_the_whole_photo_in_its_own_size_is_the_photo(
    portrait: UInt8Image, portrait_face: Face
) -> None:
    size = default_size(portrait, "photo")
    canvas = make_canvas(portrait, portrait_face, "photo", size, View())
    assert np.array_equal(canvas.image, portrait[: size[1], : size[0]])


@pytest.mark.parametrize("size", SIZES)
def test_the_portrait_shows_the_head_with_room_around(
    portrait: UInt8Image, portrait_face: Face, size: tuple[int, int]
) -> None:
    canvas = make_canvas(portrait, portrait_face, "portrait", size, View())
    points = canvas.face.landmarks_px[:468, :2]
    low, high = points.min(axis=0), points.max(axis=0)
    assert (low > 0.08 * np.array(size)).all()
    assert (high < 0.92 * np.array(size)).all()
    assert 0.2 < (high[1] - low[1]) / size[1] < 0.6


@settings(max_examples=25, deadline=None)
@given(zoom=st.floats(0.4, 4), x=st.floats(-1, 1), y=st.floats(-1, 1))
def test_no_view_leaves_anything_empty(
    portrait: UInt8Image, portrait_face: Face, zoom: float, x: float, y: float
) -> None:
    bright = np.maximum(portrait, 60)
    view = View(zoom, x, y)
    canvas = make_canvas(bright, portrait_face, "portrait", (160, 120), view)
    assert canvas.image.min() > 20


def test_views_keep_within_limits() -> None:
    view = View()
    for _ in range(100):
        view = view.zoomed(1.2).panned(0.1, -0.1)
    assert view == View(4.0, 1.0, -1.0)


@pytest.mark.parametrize("framing", ["portrait", "photo"])
def test_one_whom_the_photograph_cuts_off_stands_on_the_lower_edge(
    portrait: UInt8Image, portrait_face: Face, framing: str
) -> None:
    low = np.ascontiguousarray(portrait[: int(portrait_face.landmarks_px[152, 1]) + 20])
    canvas = make_canvas(low, portrait_face, framing, (300, 400), View())  # type: ignore[arg-type]
    assert canvas.photo_rect[3] == 400


@pytest.mark.parametrize("size", SIZES)
def test_a_wider_canvas_is_the_output_with_more_around(
    portrait: UInt8Image, portrait_face: Face, size: tuple[int, int]
) -> None:
    plain = make_canvas(portrait, portrait_face, "portrait", size, View())
    (wide,) = make_canvases(portrait, [portrait_face], "portrait", size, View(), margin_faces=0.4)
    inner = wide.inner()
    left, top, right, bottom = plain.photo_rect
    assert wide.margin_px > 0.05 * min(size)
    assert inner.photo_rect == plain.photo_rect
    assert inner.offset_px == pytest.approx(plain.offset_px)
    assert np.allclose(inner.face.landmarks_px, plain.face.landmarks_px, atol=1e-3)
    apart = np.abs(inner.image.astype(int) - plain.image)[top:bottom, left:right]
    assert apart.max() <= 2
