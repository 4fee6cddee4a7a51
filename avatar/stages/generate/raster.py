"""Drawing triangles with OpenCV's rasteriser: numbers as colours, nearest surfaces in front."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avatar.core.frames import Float32

# x and y of many places, float32 (h, w) each.
Planes = tuple[Float32, Float32]

# Depths from nearest to farthest span this share: enough to order, too little to bend lines.
_DEPTH_RANGE = 0.004
_FAR = 10.0


def draw_triangles(
    buffer: Float32,
    points: Float32,
    triangles: NDArray[np.int32],
    colours: Float32,
    depth: Float32 | None = None,
) -> Float32:
    """Draw triangles into ``buffer``, float32 (h, w, 3), in place, interpolating ``colours``.

    ``points``: float32 (N, 2), in cells, origin at the buffer's top-left corner, cell centres at
    halves. ``triangles``: int32 (M, 3). ``colours``: float32 (N, 3), 0 to 1. ``depth``: float32
    (N,), any unit, growing away from the viewer; None draws all at one depth.

    Returns the depth buffer, float32 (h, w), for ``depth_share``.

    The camera is set so that a vertex at depth d, placed at (x·d, y·d), lands on (x, y): depth
    decides only what hides what.
    """
    import cv2

    height, width = buffer.shape[:2]
    far = np.ones(len(points), np.float32)
    if depth is not None:
        low = depth.min()
        far += _DEPTH_RANGE * (depth - low) / max(float(depth.max() - low), 1e-3)
    placed = np.empty((len(points), 3), np.float32)
    placed[:, 0] = (points[:, 0] * (2 / width) - 1) * far * np.float32(width / height)
    placed[:, 1] = (1 - points[:, 1] * (2 / height)) * far
    placed[:, 2] = -far
    settings, camera = _settings()
    behind = np.full((height, width), _FAR, np.float32)
    cv2.triangleRasterize(
        placed, triangles, colours, buffer, behind, camera, np.pi / 2, 0.1, 2 * _FAR, settings
    )
    return behind


def depth_share(buffer: Float32) -> Float32:
    """Return how deep each cell of a depth buffer lies, float32 (h, w).

    From the nearest point's 0 to the farthest one's 1; far beyond where nothing was drawn.
    """
    return (buffer - 1) * np.float32(1 / _DEPTH_RANGE)


@lru_cache(maxsize=1)
def _settings() -> tuple[Any, Float32]:
    import cv2

    settings = cv2.TriangleRasterizeSettings()
    settings.setCullingMode(cv2.RASTERIZE_CULLING_NONE)
    settings.setShadingType(cv2.RASTERIZE_SHADING_SHADED)
    return settings, np.eye(4, dtype=np.float32)


def sample_planes(image: NDArray[Any], at: Planes) -> NDArray[Any]:
    """Return ``image`` at pixel indices, bilinear, edges repeated; a little faster than ``sample``.

    ``at``: x and y, float32 (h, w) each.
    """
    import cv2

    return cv2.remap(image, *at, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def sample(image: NDArray[Any], at: Float32) -> NDArray[Any]:
    """Return ``image`` at pixel indices ``at``, float32 (h, w, 2), bilinear, edges repeated.

    OpenCV follows maps of floats faster than ones it first makes of 1/32 pixel, and exactly.
    """
    import cv2

    # A map of two channels has no second map; OpenCV's stubs want an array, which misleads it.
    return cv2.remap(  # type: ignore[call-overload, no-any-return]
        image, at, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
