"""A person cut out to stand before something else: colours without the old background.

A pixel of the outline is a mixture; before another background only the person's part of it may be
seen. Where a pixel is nearly all person its own colour is kept, since taking the little background
away would add noise.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from avatar.core.curves import smooth_step
from avatar.core.frames import Float32, UInt8Image
from avatar.stages.generate.matting import separate_colours

Rect = tuple[int, int, int, int]
# Shares below and above count as none and all: before another background the matte's noise shows.
_LEAST, _MOST = 0.06, 0.95
# From here on a pixel keeps its own colour, fully where it is all person.
_OWN = 0.85


def cut_out(image: UInt8Image, coverage: Float32, within: Rect) -> NDArray[np.uint8]:
    """Return the person of ``image`` for another background, uint8 (H, W, 4), premultiplied.

    ``image``: uint8 (H, W, 3) RGB. ``coverage``: float32 (H, W), the person's. ``within``: (left,
    top, right, bottom) of the photograph in ``image``; what lies outside belongs to nobody.
    """
    left, top, right, bottom = within
    person = np.zeros((*coverage.shape, 4), np.uint8)
    inside = slice(max(0, top), bottom), slice(max(0, left), right)
    photo, cover = image[inside], coverage[inside]
    if not photo.size:
        return person
    colours, _ = separate_colours(photo, cover)
    own = smooth_step((cover - _OWN) / (1 - _OWN))[..., None]
    colours = photo * own + colours * (1 - own)
    shown = np.clip((cover - _LEAST) / (_MOST - _LEAST), 0, 1)[..., None]
    person[inside] = np.concatenate([colours * shown, 255 * shown], axis=2) + 0.5
    return person
