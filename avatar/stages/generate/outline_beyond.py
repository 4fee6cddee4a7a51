"""The person's outline beyond a photograph's edges: hair rounds off, shoulders fall."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from avatar.core.frames import Float32
from avatar.stages.generate.cutout import Rect
from avatar.stages.generate.face_frame import FaceFrame

# Hair that an edge cuts reaches on to where hair usually ends, across and along the face, half
# faces, but not beyond so much of half the cut, and a little at least.
_HAIR, _ROUND, _TIP = (1.45, 1.9), 0.45, 0.08
# Shoulders reach so far from the face's middle, and on beyond a side by so much at least; half
# faces.
_SHOULDER, _LEAST = 3.0, 0.6
# How it comes to a side is told from so much beside it, but never steeper than this; what reaches
# above its place by no more is its own; slits narrower than so much are strands'; half faces.
_TANGENT, _STEEPEST, _SLIT = 0.35, 1.2, 0.12
# From this coverage on a place is the person's.
_HELD = 0.5
# What an edge cuts so far below the face's middle, half faces, is no head.
_BODY = -1.1


def continue_person(alpha: Float32, rect: Rect, frame: FaceFrame) -> None:
    """Continue the person's coverage, float32 (H, W), around ``rect``, in place.

    ``rect``: the photograph's (left, top, right, bottom) in it. ``frame``: the face's.
    """
    left, top, right, bottom = rect
    width = alpha.shape[1]
    if left > 0:
        _beside(alpha, rect, left, np.arange(left - 1, -1, -1), frame)
    if right < width:
        _beside(alpha, rect, right - 1, np.arange(right, width), frame)
    if top > 0:
        edge = alpha[top].copy()
        above = np.arange(top, 0, -1, dtype=np.float32)
        level = abs(float(frame.coordinates(np.array([frame.centre_px[0], top], np.float32))[1]))
        pieces = [(*piece, _hair(piece, level, frame, 1)) for piece in _pieces(edge)]
        alpha[:top] = edge * _rounded(edge, above, pieces)
    alpha[bottom:] = alpha[bottom - 1]


def _beside(
    alpha: Float32, rect: Rect, column: int, beyond: NDArray[np.intp], frame: FaceFrame
) -> None:
    """Continue what the column at a side of ``rect`` cuts over the columns ``beyond`` it."""
    left, top, right, bottom = rect
    half = float(frame.half_px[0])
    inwards = 1 if column == left else -1
    # Strands before a shoulder leave slits of background, which are no outline.
    near = max(2, min(round(_TANGENT * half), right - left))
    columns = column + inwards * np.arange(near)
    cut = _closed(alpha[top:bottom, columns], _SLIT * half)
    edge = cut[:, 0]
    places = np.full((len(edge), 2), column, np.float32)
    places[:, 1] = np.arange(top, bottom)
    uv = frame.coordinates(places)
    aside = float(np.abs(uv[:, 0]).min())
    away = np.arange(1, len(beyond) + 1, dtype=np.float32)
    heads: list[tuple[int, int, float]] = []
    cover = np.zeros((len(away), len(edge)), np.float32)
    for first, last in _pieces(edge):
        body = np.flatnonzero(uv[first:last, 1] < _BODY)
        neck = first + int(body[0]) if len(body) else last
        if neck < last and neck - first < _TANGENT * half:
            neck = first
        if neck > first:
            heads.append((first, neck, _hair((first, neck), aside, frame, 0)))
        if neck < last:
            reach = max(_SHOULDER - aside, _LEAST) * half
            cover = np.maximum(cover, _fallen(cut, (first, neck, last), away, reach))
    cover = np.maximum(cover, edge * _rounded(edge, away, heads))
    alpha[top:bottom, beyond] = cover.T


def _closed(alpha: Float32, most_px: float) -> Float32:
    """Return coverage, float32 (h, w), without gaps of at most so many pixels down a column."""
    import cv2

    size = max(1, round(most_px)) + 1
    kernel = np.ones((size, 1), np.uint8)
    closed = cv2.morphologyEx(np.ascontiguousarray(alpha), cv2.MORPH_CLOSE, kernel)
    return np.asarray(closed, np.float32)


def _fallen(cut: Float32, piece: tuple[int, int, int], away: Float32, reach: float) -> Float32:
    """Return a shoulder's coverage beyond an edge, float32 (len(away), h).

    It goes on as steeply as its outline comes to the edge, and falls from there as a quarter of an
    ellipse, to its own foot at ``reach``, pixels. ``cut``: float32 (h, k), the columns from the
    edge inwards. ``piece``: its first row, the first that is the shoulder's, and beyond its last.
    ``away``: float32, distances from the edge, pixels.
    """
    first, neck, last = piece
    rows = np.arange(len(cut), dtype=np.float32)
    # Below its outline nothing shows through.
    held = np.where(rows < neck + 2, cut[:, 0], 1) * ((rows >= neck - 1) & (rows < last))
    # A head's hair above the shoulder has an outline of its own.
    steep = _slope(cut, first, last) if neck == first else 0.0
    finer = (np.arange(4, dtype=np.float32) - np.float32(1.5)) / 4
    cover = np.zeros((len(away), len(rows)), np.float32)
    for off in finer:
        share = np.minimum((away + off) / np.float32(max(reach, 1.0)), 1)
        down = steep * (away + off) + (last - neck) * (1 - np.sqrt(1 - share * share))
        fallen = np.interp(rows - down[:, None], rows, held, left=0).astype(np.float32)
        cover += np.where(share[:, None] < 1, fallen, 0) / len(finer)
    return cover


def _slope(cut: Float32, first: int, last: int) -> float:
    """Return how far an outline falls for each pixel towards the edge, none if it rises.

    ``cut``: float32 (h, k), the columns from the edge inwards. ``first``, ``last``: the rows of
    the piece in the first of them.
    """
    falls = []
    for k in range(cut.shape[1] // 3, cut.shape[1]):
        gaps = np.flatnonzero(cut[:last, k] <= _HELD)
        top = int(gaps[-1]) + 1 if len(gaps) else 0
        if k and top < last:
            falls.append((first - top) / k)
    return float(np.clip(np.median(falls), 0, _STEEPEST)) if falls else 0.0


def _hair(piece: tuple[int, int], level: float, frame: FaceFrame, axis: int) -> float:
    """Return how far hair that is cut at ``level``, half faces, goes on along ``axis``, pixels."""
    usual = max(_HAIR[axis] - level, _TIP) * float(frame.half_px[axis])
    return min(usual, _ROUND * (piece[1] - piece[0]) / 2)


def _pieces(edge: Float32) -> list[tuple[int, int]]:
    """Return the runs, (first, beyond the last), in which ``edge``, float32 (N,), is held."""
    held = np.concatenate([[0], (edge > _HELD).astype(np.int8), [0]])
    turns = np.flatnonzero(np.diff(held)).reshape(-1, 2)
    return [(int(first), int(last)) for first, last in turns]


def _rounded(edge: Float32, away: Float32, pieces: list[tuple[int, int, float]]) -> Float32:
    """Return coverage beyond an edge, float32 (len(away), N): each piece narrows as an ellipse.

    ``away``: float32, distances from the edge, pixels. ``pieces``: where each begins and ends, and
    how far it reaches.
    """
    along = np.arange(len(edge), dtype=np.float32) + np.float32(0.5)
    cover = np.zeros((len(away), len(edge)), np.float32)
    for first, last, reach in pieces:
        half, far = (last - first) / 2, max(reach, 1.0)
        inside = 1 - ((along - (first + last) / 2) / half) ** 2 - (away[:, None] / far) ** 2
        cover = np.maximum(cover, np.clip(inside * min(half, far) / 2, 0, 1))
    return cover
