"""A drawn person who claps, or holds a phone that flashes, as a camera with an exposure sees it.

The performer of ``--camera demo`` goes on moving the head and speaking behind two hands, so that
the hands are not all that moves. Nothing here knows how claps are looked for.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from avatar.core.frames import UInt8Image
from avatar.stages.sources.demo import performance
from avatar.stages.sources.illustration import Illustrator

SIZE_PX = (640, 480)
_SKIN, _SLEEVE = (214, 160, 130), (70, 90, 140)
_MIDDLE_PX = (320.0, 360.0)
# How far the hands are apart, each from the middle, pixels.
_APART_PX, _TOUCHING_PX = 150.0, 17.0
_SUBFRAMES = 4


@dataclass(frozen=True)
class Style:
    """How somebody claps: seconds from apart to together, together, and apart again."""

    approach_s: float = 0.22
    hold_s: float = 0.3
    part_s: float = 0.4


HOLDS = Style()
BRIEF = Style(approach_s=0.18, hold_s=0.1, part_s=0.3)
APPLAUSE = Style(approach_s=0.15, hold_s=0.02, part_s=0.25)


class Clapper:
    """Claps, or flashes, at ``first_s + k * every_s``.

    ``exposure_s``: how long the camera looks for each picture. ``noise``: its standard deviation,
    of 255. ``light``: of the room.
    """

    def __init__(
        self, first_s: float, every_s: float, *, style: Style | None = HOLDS,
        flash_s: float = 0.12, exposure_s: float = 0.02, noise: float = 3.0, light: float = 0.7,
    ) -> None:  # fmt: skip
        self.first_s, self._every_s, self._style = first_s, every_s, style
        self._flash_s, self._exposure_s = flash_s, exposure_s
        self._light = light
        self._illustrator = Illustrator(SIZE_PX)
        rng = np.random.default_rng(9)
        shape = (SIZE_PX[1], SIZE_PX[0], 3)
        self._noise = [rng.normal(0, noise, shape).astype(np.float32) for _ in range(7)]
        self._count = 0

    def image(self, middle_s: float) -> UInt8Image:
        """Return the picture whose exposure has its middle at ``middle_s``."""
        person = self._illustrator.draw(performance(middle_s % 12))
        times = middle_s + self._exposure_s * ((np.arange(_SUBFRAMES) + 0.5) / _SUBFRAMES - 0.5)
        seen = np.zeros(person.shape, np.float32)
        for time_s in times:
            seen += self._lit(self._with_hands(person, time_s), time_s)
        self._count += 1
        seen = seen * (self._light / _SUBFRAMES) + self._noise[self._count % len(self._noise)]
        return np.asarray(np.clip(seen, 0, 255), np.uint8)

    def _since_s(self, time_s: float) -> float:
        """Return the seconds since the last event, negative shortly before the next."""
        since = (time_s - self.first_s + self._every_s / 2) % self._every_s - self._every_s / 2
        return float(since) if time_s > self.first_s - self._every_s / 2 else -np.inf

    def _lit(self, image: UInt8Image, time_s: float) -> UInt8Image:
        if self._style is not None or not 0 <= self._since_s(time_s) < self._flash_s:
            return image
        flashed = image.copy()
        cv2.circle(flashed, (420, 300), 60, (255, 255, 255), -1)
        return flashed

    def _apart(self, time_s: float) -> float:
        """Return how far apart the hands are, 0 to 1: they come faster and faster, and stop."""
        style = self._style
        assert style is not None
        since_s = self._since_s(time_s)
        if since_s < 0:
            u = max(0.0, 1 + since_s / style.approach_s)
            return 1 - u * u
        u = float(np.clip((since_s - style.hold_s) / style.part_s, 0, 1))
        return u * u * (3 - 2 * u)

    def _with_hands(self, image: UInt8Image, time_s: float) -> UInt8Image:
        if self._style is None:
            return image
        out = image.copy()
        away = _TOUCHING_PX + self._apart(time_s) * (_APART_PX - _TOUCHING_PX)
        for side in (-1, 1):
            x = round(16 * (_MIDDLE_PX[0] + side * away))
            y = round(16 * _MIDDLE_PX[1])
            elbow = (round(16 * (_MIDDLE_PX[0] + side * 260)), 16 * 520)
            cv2.line(out, (x, y + 16 * 50), elbow, _SLEEVE, 44, cv2.LINE_AA, 4)
            cv2.ellipse(out, (x, y), (16 * 17, 16 * 62), 0, 0, 360, _SKIN, -1, cv2.LINE_AA, 4)
        return out
