"""What is drawn in each frame of a film: whose face, where, and how much of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avatar.core.curves import smooth_step
from avatar.core.frames import Float32, UInt8Image
from avatar.sessions.swap_people import LEAST_FACE_PX, FilmPeople, Stay
from avatar.stages.generate.swap.drawing import Swap
from avatar.stages.generate.swap.layout import FaceSheet
from avatar.stages.generate.swap.person import FilmFace
from avatar.stages.generate.swap.photograph import NewFace, face_width
from avatar.stages.generate.swap.steady import steady

# A face is lost for so few frames by a blink of the tracker: what lies between is interpolated.
_BLINK = 5
_FADE = 5
_TURNED_DEG, _AWAY_DEG = 43.0, 52.0
_SMALL = 0.85


@dataclass(frozen=True, eq=False)
class Placed:
    """One face to draw: ``landmarks_px``, float32 (478, 3), and how much of it is shown."""

    swap: Swap
    landmarks_px: Float32
    share: float


class SwapPlan:
    """What is drawn in a film.

    ``faces``: the new face of each person that gets one. ``keep``: what stays the film's own, of
    eyes, mouth and glasses. ``strength``: how much of the new faces is shown, 0 to 1.
    """

    def __init__(
        self, people: FilmPeople, faces: Mapping[int, NewFace], layout: FaceSheet,
        keep: frozenset[str], strength: float,
    ) -> None:  # fmt: skip
        self._placed: dict[int, list[Placed]] = {}
        self._present: set[int] = set()
        ends = [*people.shots[1:], people.frames]
        for stay in people.stays:
            if stay.person not in faces or not stay.sheets:
                continue
            film = FilmFace(
                layout, stay.sheets, stay.width_px, float(np.median(stay.blurs_px)),
                glasses="glasses" in keep,
            )  # fmt: skip
            swap = Swap(layout, faces[stay.person], film, keep)
            begins, end = people.shots[stay.shot], ends[stay.shot]
            self._present.update(range(begins, end))
            for run in runs(stay):
                self._add(swap, run, begins, end, strength)

    def _add(self, swap: Swap, run: Run, begins: int, end: int, strength: float) -> None:
        points = steady(run.landmarks_px)
        shares = run.shares(begins, end) * np.float32(strength)
        for k, share in enumerate(shares):
            self._placed.setdefault(run.first + k, []).append(Placed(swap, points[k], float(share)))

    def at(self, index: int) -> list[Placed]:
        """Return what is drawn in a frame."""
        return self._placed.get(index, [])

    def lost(self, index: int) -> bool:
        """Return whether somebody of the shot, who gets a face, cannot be given it wholly."""
        placed = self.at(index)
        return index in self._present and not (placed and min(p.share for p in placed) > 0.5)

    def draw(self, image: UInt8Image, index: int) -> UInt8Image:
        """Return the frame with its new faces, farther ones first."""
        for placed in sorted(self.at(index), key=lambda p: face_width(p.landmarks_px)):
            image = placed.swap.draw(image, placed.landmarks_px, placed.share)
        return image


@dataclass(frozen=True, eq=False)
class Run:
    """Consecutive frames of one person: float32 (n, 478, 3), and degrees turned away, (n,)."""

    first: int
    landmarks_px: Float32
    turns_deg: Float32

    def shares(self, begins: int, end: int) -> Float32:
        """Return how much is shown in each frame, float32 (n,), in a shot from begins to end."""
        turned = (self.turns_deg - _TURNED_DEG) / (_AWAY_DEG - _TURNED_DEG)
        widths = np.array([face_width(points) for points in self.landmarks_px], np.float32)
        # Faces are as high as they are wide, and more: a turned one is narrow, not small.
        high = np.ptp(self.landmarks_px[..., 1], axis=1)
        size = np.maximum(widths, high) / LEAST_FACE_PX
        shares = (1 - smooth_step(turned)) * smooth_step((size - _SMALL) / (1 - _SMALL))
        count = len(shares)
        steps = (np.arange(count, dtype=np.float32) + 1) / (_FADE + 1)
        if self.first > begins:
            shares = shares * np.clip(steps, 0, 1)
        if self.first + count < end:
            shares = shares * np.clip(steps[::-1], 0, 1)
        return np.asarray(shares, np.float32)


def runs(stay: Stay) -> Iterator[Run]:
    """Yield a stay's frames in runs without a gap; short gaps are interpolated."""
    frames = np.array(sorted(stay.landmarks), np.intp)
    for part in np.split(frames, np.flatnonzero(np.diff(frames) > _BLINK + 1) + 1):
        whole = np.arange(part[0], part[-1] + 1)
        known = np.stack([stay.landmarks[int(k)] for k in part])
        turns = np.array([stay.turns_deg[int(k)] for k in part], np.float32)
        all_turns = np.interp(whole, part, turns).astype(np.float32)
        yield Run(int(part[0]), _between(whole, part, known), all_turns)


def _between(whole: NDArray[np.intp], part: NDArray[np.intp], known: Float32) -> Float32:
    after = np.clip(np.searchsorted(part, whole), 0, len(part) - 1)
    before = np.maximum(after - (part[after] > whole), 0)
    span = np.maximum(part[after] - part[before], 1)
    share = ((whole - part[before]) / span).astype(np.float32)[:, None, None]
    return np.asarray(known[before] * (1 - share) + known[after] * share, np.float32)
