"""Where a surface ends in front of another, the drawn line is its own, whatever the map's cells."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avatar.core.frames import Float32
from avatar.stages.generate.contour import Contour, ContourFinder, _Layers
from avatar.stages.generate.raster import depth_share, draw_triangles

RIM = 36
FAN = [(0, 2 + k, 2 + (k + 1) % RIM) for k in range(RIM)]
BACK = [(1, 2 + k, 2 + (k + 1) % RIM) for k in range(RIM)]
PLANE = [(RIM + 2, RIM + 3, RIM + 4), (RIM + 3, RIM + 4, RIM + 5)]
TRIANGLES = np.array([*FAN, *BACK, *PLANE], np.int32)
CELLS = 100


def ellipse(centre: tuple[float, float], radii: tuple[float, float], tilt: float) -> Float32:
    angle = np.linspace(0, 2 * np.pi, RIM, endpoint=False)
    x, y = radii[0] * np.cos(angle), radii[1] * np.sin(angle)
    cos, sin = np.cos(tilt), np.sin(tilt)
    return np.stack([centre[0] + cos * x - sin * y, centre[1] + sin * x + cos * y], 1).astype(
        np.float32
    )


def found(rim_px: Float32, step: int, jump_px: float) -> Contour | None:
    """Return the contour of a body with this rim, before a plane ``jump_px`` apart from it."""
    size = CELLS * step
    corners = [[0, 0], [size, 0], [0, size], [size, size]]
    points = np.concatenate([[rim_px.mean(axis=0)] * 2, rim_px, corners]) / step
    depth = np.array([0.0, 0.5, *[0.25] * RIM, *[1.0] * 4], np.float32)
    colours = np.ones((len(points), 3), np.float32)
    # The plane's colours come from one half of the picture, the body's from the other.
    colours[:, :2] = points / CELLS / 2
    cells = np.ones((CELLS, CELLS, 3), np.float32)
    buffer = draw_triangles(cells, points.astype(np.float32), TRIANGLES, colours, depth)
    drawn = depth_share(buffer)
    source = cells[..., :2] * np.float32(2 * size) - np.float32(0.5)
    source[drawn < 0.9] += np.float32(jump_px)
    finder = ContourFinder(TRIANGLES, np.arange(len(points)), np.zeros(0, int), step)
    planes = np.ascontiguousarray(source[..., 0]), np.ascontiguousarray(source[..., 1])
    return finder.find(planes, buffer, points.astype(np.float32), depth)


def coverage(rim_px: Float32, size: int) -> Float32:
    """Return how much of each pixel is within the rim, float32 (size, size)."""
    finer = 8
    mask = np.zeros((size * finer, size * finer), np.uint8)
    cv2.fillPoly(mask, [np.round(rim_px * finer - 0.5).astype(np.int32)], 255)
    share = cv2.resize(mask, (size, size), interpolation=cv2.INTER_AREA) / 255
    return np.asarray(share, np.float32)


@pytest.mark.parametrize(("step", "most"), [(1, 99), (2, 99), (6, 95)])
@given(
    centre=st.tuples(st.floats(45, 55), st.floats(45, 55)),
    radii=st.tuples(st.floats(20, 30), st.floats(20, 30)),
    tilt=st.floats(0, 3),
)
def test_a_contour_keeps_to_the_rim_within_a_pixel(
    step: int, most: int, centre: tuple[float, float], radii: tuple[float, float], tilt: float
) -> None:
    rim = ellipse(centre, radii, tilt) * np.float32(step)
    contour = found(rim, step, 60.0 * step)
    assert contour is not None
    drawn, truth = np.full((CELLS * step, CELLS * step), np.nan), coverage(rim, CELLS * step)
    drawn[contour.y, contour.x] = contour.share
    told = ~np.isnan(drawn)
    edge = (truth > 0.02) & (truth < 0.98)
    assert told[edge].mean() > 0.9
    # A line half a pixel off covers half a pixel amiss.
    amiss = np.abs(drawn - truth)[edge & told]
    assert np.percentile(amiss, most) < 0.5
    assert np.sqrt(np.mean(amiss**2)) < 0.2


@given(step=st.sampled_from([1, 2, 6]))
def test_both_sides_come_from_their_own_surface(step: int) -> None:
    rim = ellipse((50, 50), (25, 20), 0.3) * np.float32(step)
    jump = 60.0 * step
    contour = found(rim, step, jump)
    assert contour is not None
    at = np.stack([contour.x, contour.y], axis=-1)
    # Each within two cells of where its own surface has that pixel.
    shown, hidden = contour.share > 0.02, contour.share < 0.98
    assert np.abs(contour.front - at - jump)[shown].max() < 2 * step
    assert np.abs(contour.behind - at)[hidden].max() < 2 * step


def test_one_surface_over_another_of_the_same_colours_has_no_contour() -> None:
    rim = ellipse((50, 50), (25, 20), 0.3) * np.float32(2)
    assert found(rim, 2, 0.0) is None


def test_what_a_contour_draws_is_mixed_by_its_shares() -> None:
    person = np.zeros((4, 4, 4), np.uint8)
    person[:2] = (200, 100, 50, 255)
    image, plate = np.zeros((2, 3, 3), np.uint8), np.full((2, 3, 3), 40, np.uint8)
    x, y = np.array([[0, 1, 2]]), np.array([[0, 0, 1]])
    front = np.zeros((1, 3, 2), np.float32)
    behind = np.full((1, 3, 2), 3, np.float32)
    share = np.array([[1.0, 0.5, 0.0]], np.float32)
    Contour(x, y, front, behind, share).draw(image, plate, person)
    np.testing.assert_array_equal(image[0, 0], (200, 100, 50))
    np.testing.assert_array_equal(image[0, 1], (120, 70, 45))
    np.testing.assert_array_equal(image[1, 2], (40, 40, 40))
    assert not image[1, :2].any()


def layers(source: Float32, told: list[int]) -> _Layers:
    """Return the layers of 20 × 20 cells, the left half in front, told in these rows only."""
    depth = np.where(np.arange(20) < 10, 0.2, 0.8).astype(np.float32)
    front, behind = np.zeros((20, 20), np.uint8), np.zeros((20, 20), np.uint8)
    front[told, 9], behind[told, 10] = 255, 255
    return _Layers(source, np.tile(depth, (20, 1)), front, behind)


def even_map(shear: float = 0.0) -> Float32:
    y, x = np.mgrid[:20, :20].astype(np.float32)
    both = np.stack([x + shear * y, y], axis=-1) * np.float32(6)
    both[:, 10:, 0] += 60
    return np.asarray(both, np.float32)


@given(shear=st.floats(-1, 1))
def test_a_map_that_is_even_stays_as_it_is(shear: float) -> None:
    source = even_map(shear)
    np.testing.assert_allclose(layers(source, list(range(20))).source, source, atol=1e-3)


@given(missed=st.lists(st.integers(3, 16), min_size=1, max_size=6, unique=True))
def test_a_strip_that_some_rows_miss_does_not_begin_and_end_with_them(missed: list[int]) -> None:
    source = even_map()
    source[missed, 10, 0] += 30
    drawn = layers(source, list(range(20)))
    for plane in (drawn.source[:, 10, 0], drawn.behind[:, 10, 0]):
        assert np.abs(np.diff(plane)).max() < 0.5 * 30


def test_a_contour_told_by_few_rows_comes_and_goes_little_by_little() -> None:
    source = even_map()
    drawn = layers(source, [4, 9, 14])
    np.testing.assert_array_equal(drawn.front, drawn.source)
    np.testing.assert_array_equal(drawn.behind, drawn.source)
    ends = layers(source, list(range(9)))
    apart = np.abs(ends.front - ends.behind)[2:15, 10, 0]
    assert apart[0] > 50
    assert apart[-1] == 0
    assert np.abs(np.diff(apart)).max() < 25
