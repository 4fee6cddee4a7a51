"""Where a photograph ends below, close to the chin: the body stands there until the chin passes.

Rings around the face end at the photograph's lower edge, so that a head that rises does not pull
the body off it. A chin that comes down to the edge would be pushed through these rings; they give
way then and lie beyond the edge, where nothing is seen of them.
"""

from __future__ import annotations

import numpy as np

from avatar.core.curves import smooth_step
from avatar.core.frames import Float32
from avatar.stages.generate.matte import FaceFrame

# The rings begin to give way when so much of the chin's room is left, of its own and in half faces,
# and are out of the way when there is none.
_SHARE, _MOST = 0.7, 0.2
# A chin that is cut off in the photograph itself has no room: rings give way as it goes on by this
# much, and lie so far apart.
_LEAST, _APART = 0.03, 0.02
# Moving aside takes so much of the room.
_SHEARED = 0.3


class Floor:
    """The lower edge of one photograph.

    ``frame``: the face's. ``level``: where along the face the edge is. ``outline``: float32
    (C, 3), the face's edge in the photograph, pixels. ``rings``: float32 (R · C, 3), the rings
    around it, from inside to outside, as if there were no edge.
    """

    def __init__(self, frame: FaceFrame, level: float, outline: Float32, rings: Float32) -> None:
        self._frame, self._level = frame, level
        self._beyond = rings.reshape(-1, len(outline), 3)
        # A chin that is cut off has its rings below itself all the same, in their order.
        order = np.arange(1, len(self._beyond) + 1, dtype=np.float32)[:, None]
        lowest = frame.coordinates(outline[:, :2])[:, 1] - _APART * order
        self._levels = np.minimum(lowest, np.float32(level))
        self._below = frame.coordinates(self._beyond[..., :2])[..., 1] < self._levels
        # Where each ring lies between the face and the outermost one.
        reach = np.linalg.norm(self._beyond - outline, axis=2)[..., :, None]
        self._share = (reach / np.maximum(reach[-1:], 1e-3)).astype(np.float32)
        self._lowest = int(frame.coordinates(outline[:, :2])[:, 1].argmin())
        self._home = float(frame.coordinates(outline[self._lowest, :2])[0])
        room = self._room(outline)
        self._margin = min(_SHARE * room, _MOST) if room > _LEAST else room

    @property
    def standing(self) -> Float32:
        """Return the rings with what would lie beyond the edge on it, float32 (R · C, 3)."""
        rings = self._beyond.copy()
        uv = self._frame.coordinates(rings[..., :2])
        uv[..., 1] = np.maximum(uv[..., 1], self._levels)
        rings[self._below, :2] = self._frame.pixels(uv[self._below])
        return rings.reshape(-1, 3)

    def give_way(self, rings: Float32, oval: Float32) -> None:
        """Move ``rings``, float32 (R · C, 3), in place, out of the way of a face that comes down.

        ``oval``: float32 (C, 3), where the face's edge is.
        """
        passed = (self._margin - self._room(oval)) / max(self._margin, _LEAST)
        if passed <= 0:
            return
        share = smooth_step(np.array(passed))
        grid = rings.reshape(self._beyond.shape)
        fan = oval + (self._beyond[-1] - oval) * self._share
        grid[self._below] += ((fan - grid) * share)[self._below]

    def _room(self, oval: Float32) -> float:
        """Return the distance from the lowest point of the face to the edge, half faces.

        A chin that moves aside shears what lies between, which takes room as well.
        """
        uv = self._frame.coordinates(oval[:, :2])
        aside = abs(float(uv[self._lowest, 0]) - self._home)
        return float(uv[:, 1].min()) - self._level - _SHEARED * aside
