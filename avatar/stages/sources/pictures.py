"""Decoded frames of a film as pictures: upright, of square pixels, in sRGB, of one size."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from avatar.core.frames import UInt8Image
from avatar.stages.sources.tone_map import ToneMapper, is_hdr

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

# Nearer to square than this is rounding; further from it than that is a damaged header.
_SQUARE, _WIDEST = 0.01, 8
# Sizes whose shapes differ by less show the same picture.
_SAME_SHAPE = 0.02


class PictureMaker:
    """Turns the frames of one film into pictures, uint8 (H, W, 3) RGB.

    ``size_px``: (width, height) that every picture is cropped and scaled to; None keeps that of
    the film's first picture. A film whose size changes, as of a browser's camera, is scaled to its
    first size: nothing in the picture moves.
    """

    def __init__(self, size_px: tuple[int, int] | None) -> None:
        self._size_px = size_px
        self._held_px: tuple[int, int] | None = None
        self._tone_map = ToneMapper()

    def __call__(self, frame: VideoFrame, pixel_aspect: Fraction | None) -> UInt8Image:
        """Return the picture; ``pixel_aspect``: the width of a pixel by its height."""
        turns, flips_x, flips_y = orientation(frame)
        shown = _square(frame.width, frame.height, pixel_aspect)
        upright = shown[::-1] if turns else shown
        if is_hdr(frame):
            frame = self._tone_map(frame)
        inner = self._inner_px(upright)
        image = _scaled(frame, inner[::-1] if turns else inner)
        image = image.transpose(1, 0, 2) if turns else image
        image = image[:: -1 if flips_y else 1, :: -1 if flips_x else 1]
        return np.ascontiguousarray(self._placed(image))

    def _inner_px(self, upright: tuple[int, int]) -> tuple[int, int]:
        """Return the (width, height) that a picture of size ``upright`` is scaled to."""
        goal = self._size_px or self._held_px
        if goal is None:
            self._held_px = upright
            return upright
        x, y = goal[0] / upright[0], goal[1] / upright[1]
        if abs(x / y - 1) < _SAME_SHAPE:
            return goal
        if self._size_px is not None:  # cut what is too much
            return max(round(upright[0] * max(x, y)), goal[0]), max(
                round(upright[1] * max(x, y)), goal[1]
            )
        return min(round(upright[0] * min(x, y)), goal[0]), min(
            round(upright[1] * min(x, y)), goal[1]
        )

    def _placed(self, image: UInt8Image) -> UInt8Image:
        """Return the picture in the middle of its goal: cut where it is larger, or within black."""
        goal = self._size_px or self._held_px
        height, width = image.shape[:2]
        if goal is None or (width, height) == goal:
            return image
        if self._size_px is not None:
            top, left = (height - goal[1]) // 2, (width - goal[0]) // 2
            return image[top : top + goal[1], left : left + goal[0]]
        whole = np.zeros((goal[1], goal[0], 3), np.uint8)
        top, left = (goal[1] - height) // 2, (goal[0] - width) // 2
        whole[top : top + height, left : left + width] = image
        return whole


def _square(width: int, height: int, pixel_aspect: Fraction | None) -> tuple[int, int]:
    """Return the size in square pixels; none of the picture's own is lost."""
    aspect = float(pixel_aspect or 1)
    if not 1 / _WIDEST <= aspect <= _WIDEST or abs(aspect - 1) < _SQUARE:
        return width, height
    return (round(width * aspect), height) if aspect > 1 else (width, round(height / aspect))


def _scaled(frame: VideoFrame, size_px: tuple[int, int]) -> UInt8Image:
    if size_px == (frame.width, frame.height):
        return np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
    return np.asarray(
        frame.to_ndarray(
            format="rgb24",
            width=max(size_px[0], 1),
            height=max(size_px[1], 1),
            interpolation="BILINEAR",
        ),
        np.uint8,
    )


def orientation(frame: VideoFrame) -> tuple[bool, bool, bool]:
    """Return how a frame becomes upright: rows for columns first, then flipped in x, in y.

    From its display matrix (ISO/IEC 14496-12, section 6.2.2): a point (x, y) is shown at
    (a·x + c·y, b·x + d·y). Phones turn by it, and mirror pictures of the front camera.
    """
    try:
        side_data: Any = frame.side_data
        data = side_data["DISPLAYMATRIX"]
    except KeyError:
        return False, False, False
    matrix = np.frombuffer(data, np.int32, 5)
    a, b, c, d = (int(matrix[k]) for k in (0, 1, 3, 4))
    if abs(a) >= abs(b):
        return False, a < 0, d < 0
    return True, c < 0, b < 0


class Deinterlacer:
    """Makes whole pictures of interlaced ones; films without any pass through untouched.

    FFmpeg's bwdif, one picture for each frame; it looks one frame ahead, so that the times, which
    are any objects, come back with the frames that they belong to.
    """

    def __init__(self) -> None:
        self._graph: Any = None
        self._kind: tuple[Any, ...] = ()
        self._tags: deque[Any] = deque()

    def feed(self, frame: VideoFrame, tag: Any) -> Iterator[tuple[VideoFrame, Any]]:
        """Take a frame; yield those that are ready with their tags."""
        kind = frame.width, frame.height, frame.format.name
        if self._graph is not None and kind != self._kind:
            yield from self.flush()
        if self._graph is None:
            if not frame.interlaced_frame:
                yield frame, tag
                return
            self._graph, self._kind = _bwdif(frame), kind
        self._tags.append(tag)
        frame.pts = None
        self._graph.vpush(frame)
        yield from self._ready()

    def flush(self) -> Iterator[tuple[VideoFrame, Any]]:
        """Yield what is held back."""
        if self._graph is not None:
            self._graph.vpush(None)
            yield from self._ready()
            self._graph = None
            self._tags.clear()

    def _ready(self) -> Iterator[tuple[VideoFrame, Any]]:
        import av

        while self._tags:
            try:
                frame = self._graph.vpull()
            except (av.BlockingIOError, av.EOFError):
                return
            yield frame, self._tags.popleft()


def _bwdif(frame: VideoFrame) -> Any:
    import av

    graph = av.filter.Graph()
    graph.link_nodes(
        graph.add_buffer(
            width=frame.width,
            height=frame.height,
            format=frame.format,
            time_base=Fraction(1, 1000),
        ),
        graph.add("bwdif", "mode=send_frame:deint=interlaced"),
        graph.add("buffersink"),
    ).configure()
    return graph
