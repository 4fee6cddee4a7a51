"""Where a film's shots begin: pictures that have nothing to do with the one before."""

from __future__ import annotations

from collections import deque

import numpy as np

from avatar.core.frames import Float32, UInt8Image

_SMALL_PX = (32, 18)
# Levels by which a small picture must differ from the one before, and how many times as much as
# pictures just differed. Shots cut once too often cost little: persons are told apart anyway.
_LEAST, _TIMES = 9.0, 3.0
_RECENT = 12


class CutFinder:
    """Finds cuts in a film whose pictures come one after the other."""

    def __init__(self) -> None:
        self._last: Float32 | None = None
        self._recent: deque[float] = deque(maxlen=_RECENT)

    def cuts_before(self, image: UInt8Image) -> bool:
        """Return whether ``image``, uint8 (H, W, 3), begins another shot; the first one does."""
        import cv2

        small = cv2.resize(image, _SMALL_PX, interpolation=cv2.INTER_AREA).astype(np.float32)
        last, self._last = self._last, small
        if last is None:
            return True
        change = float(np.abs(small - last).mean())
        usual = float(np.median(self._recent)) if self._recent else 0.0
        cut = change > max(_LEAST, _TIMES * usual)
        if cut:
            self._recent.clear()
        else:
            self._recent.append(change)
        return cut
