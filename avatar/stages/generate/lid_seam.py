"""The lashes of a lid that comes down: as dark, coloured and soft as the photograph's own.

Where lids meet, the mesh's map jumps from one to the other, in steps as large as its cells. So both
lids are plain skin there (``lid_cover``), and the lashes are laid upon the result, finer than the
map: by how much they darken skin over the open eye in the photograph. They stand up from an open
lid and hang from a shut one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from avatar.core.curves import clamped, smooth_step
from avatar.core.frames import Float32, UInt8Image
from avatar.stages.generate.lid_line import LidLines
from avatar.stages.generate.overlay import Box, box_around
from avatar.stages.generate.raster import sample

# How far lids are shut when their line begins to show, and when it is whole.
BEGINS, WHOLE = 0.3, 0.6
# In eye widths: how far below the upper lid's landmarks lashes may begin; where their darkest line
# is looked for; how far they reach; how softly their line ends towards the lid.
_FROM, _LINE, _REACH, _SOFT = -0.02, 0.06, 0.14, 0.02
_STEP = 0.01
# Along a lid, shares of its width: how far past its corners its lashes go, over which way they
# end there, and over which single ones are averaged.
_PAST, _ENDS, _AVERAGED = 0.12, 0.30, 0.04
_ALONG, _ALONG_STEP = np.linspace(-_PAST, 1 + _PAST, 41), (1 + 2 * _PAST) / 40


class LidSeam:
    """The lashes of one eye.

    ``patch``: uint8 (h, w, 3) RGB, the part ``box`` of the photograph. ``skin``: the same without
    the eye. ``ring_px``: float32 (16, 2 or 3), the eye's outline, as ``EYE_RINGS`` has it.
    """

    def __init__(self, patch: UInt8Image, skin: UInt8Image, box: Box, ring_px: Float32) -> None:
        import cv2

        self._side = LidLines.side_of(ring_px)
        lines = LidLines(ring_px, self._side)
        over = np.arange(_FROM, _REACH + _LINE, _STEP)
        edge = lines.at(lines.upper, _ALONG.astype(np.float32))
        at = lines.pixels(*np.broadcast_arrays(_ALONG, edge + over[:, None]))
        at -= np.array(box[:2], np.float32) + np.float32(0.5)
        shade = np.clip(1 - patch.astype(np.float32) / np.maximum(skin, 1), 0, 1)
        # The line may be a little higher here and lower there than the landmarks say.
        dark = cv2.dilate(sample(shade, at), np.ones((3, 1), np.uint8))
        dark = np.asarray(cv2.GaussianBlur(dark, (0, 0), _AVERAGED / _ALONG_STEP, sigmaY=0.5))
        searched = round((_LINE - _FROM) / _STEP)
        line = int(dark[:searched].mean(axis=(1, 2)).argmax())
        hanging = dark[line : line + round(_REACH / _STEP)]
        hanging = hanging * np.linspace(1, 0, len(hanging), dtype=np.float32)[:, None, None]
        # Above the line there is lid, at once; it is soft by a pixel at least.
        soft = max(_SOFT, 0.7 / lines.width_px) / _STEP
        above = np.exp(-0.5 * (np.arange(-round(3 * soft), 0) / soft) ** 2)
        rising = hanging[:1] * above[:, None, None].astype(np.float32)
        self._zero = len(rising)
        ends = smooth_step((0.5 + _PAST - np.abs(_ALONG - 0.5)) / _ENDS)
        shade = np.concatenate([rising, hanging]) * ends[:, None]
        self._shade = np.asarray(shade, np.float32)

    def draw(self, image: UInt8Image, ring_px: Float32, closure: float) -> None:
        """Draw the lashes into ``image``, in place, on an upper lid shut by ``closure``.

        ``ring_px``: float32 (16, 2 or 3), where the outline is in ``image``. Until ``BEGINS`` the
        photograph's own are seen, from ``WHOLE`` on these alone.
        """
        if closure <= BEGINS:
            return
        amount = clamped((closure - BEGINS) / (WHOLE - BEGINS), 0, 1)
        lines = LidLines(ring_px, self._side)
        box = box_around(ring_px, _REACH * lines.width_px + 2, image)
        if box is None:
            return
        x0, y0, x1, y1 = box
        keep = 1 - self._shading(lines, box) * np.float32(amount)
        image[y0:y1, x0:x1] = (image[y0:y1, x0:x1] * keep + np.float32(0.5)).astype(np.uint8)

    def _shading(self, lines: LidLines, box: Box) -> NDArray[np.float32]:
        """Return by how much the lashes darken the pixels of ``box``, float32 (h, w, 3)."""
        import cv2

        share, height = lines.places(box)
        x = (share + np.float32(_PAST)) * np.float32(1 / _ALONG_STEP)
        y = (lines.at(lines.upper, share) - height) / np.float32(_STEP) + np.float32(self._zero)
        return np.asarray(
            cv2.remap(self._shade, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
        )
