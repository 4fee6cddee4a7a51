"""The 52 blendshapes as displacements of landmarks, for tests: bumps of the size faces really make.

A bump moves the landmarks around one landmark, less with their distance from it. Numbers are in
head units (an eye is about 0.45 wide, a mouth about 0.75); x is to the right of the picture, y up.
"""

import numpy as np

from avatar.core.face.topology import INNER_LIPS, OUTER_LIPS
from avatar.core.frames import BLENDSHAPE_NAMES, Float32

Bump = tuple[int, tuple[float, float, float], float]

# Left and right of a pair share a line: (landmark of the left, of the right, displacement of the
# left, reach).
_PAIRS: dict[str, list[tuple[int, int, tuple[float, float, float], float]]] = {
    "browDown": [(282, 52, (0, -0.12, 0), 0.25)],
    "browOuterUp": [(300, 70, (0, 0.15, 0), 0.22)],
    "cheekSquint": [(347, 118, (0, 0.08, 0.02), 0.25)],
    "eyeSquint": [(450, 230, (0, 0.05, 0), 0.15)],
    "mouthDimple": [(291, 61, (0.06, 0.0, -0.03), 0.2)],
    "mouthFrown": [(291, 61, (0.02, -0.12, 0), 0.22)],
    "mouthSmile": [(291, 61, (0.14, 0.14, -0.05), 0.28), (425, 205, (0.03, 0.06, 0.04), 0.25)],
    "mouthStretch": [(291, 61, (0.15, -0.03, -0.04), 0.25)],
    "mouthPress": [(269, 39, (0, -0.03, 0), 0.15), (405, 181, (0, 0.03, 0), 0.15)],
    "mouthLowerDown": [(405, 181, (0, -0.10, 0), 0.15)],
    "mouthUpperUp": [(269, 39, (0, 0.10, 0), 0.15)],
    "noseSneer": [(429, 209, (0, 0.06, 0.01), 0.18)],
}
_SINGLE: dict[str, list[Bump]] = {
    "browInnerUp": [(9, (0, 0.13, 0), 0.25)],
    "cheekPuff": [(425, (0.06, 0, 0.12), 0.3), (205, (-0.06, 0, 0.12), 0.3)],
    "jawForward": [(152, (0, 0, 0.12), 0.5)],
    "jawLeft": [(152, (0.12, 0, 0), 0.5)],
    "jawRight": [(152, (-0.12, 0, 0), 0.5)],
    "mouthFunnel": [
        (291, (-0.12, 0, 0.05), 0.22), (61, (0.12, 0, 0.05), 0.22),
        (0, (0, 0.06, 0.12), 0.2), (17, (0, -0.06, 0.12), 0.2),
    ],
    "mouthPucker": [(291, (-0.16, 0, 0.08), 0.22), (61, (0.16, 0, 0.08), 0.22)],
    "mouthLeft": [(13, (0.14, 0, 0), 0.35)],
    "mouthRight": [(13, (-0.14, 0, 0), 0.35)],
    "mouthRollLower": [(17, (0, 0.06, -0.05), 0.18)],
    "mouthRollUpper": [(0, (0, -0.06, -0.05), 0.18)],
    "mouthShrugLower": [(17, (0, 0.08, 0.03), 0.25)],
    "mouthShrugUpper": [(0, (0, 0.06, 0.03), 0.25)],
}  # fmt: skip
_JAW_DROP, _JAW_BACK = 0.45, 0.10
# These are not landmarks' business: lids and gaze are given to the generator beside them.
BESIDE = {"_neutral", "jawOpen", "mouthClose"} | {n for n in BLENDSHAPE_NAMES if n[:3] == "eye"}


def expression(shape: Float32, weights: dict[str, float]) -> Float32:
    """Return the displacement of each landmark, float32 (478, 3), head units.

    ``shape``: float32 (478, 3), the face at rest in the head frame. ``weights``: 0 to 1 by name.
    """
    moved = np.zeros_like(shape)
    for name, weight in weights.items():
        for landmark, by, reach in _bumps(name):
            squared = np.sum((shape - shape[landmark])[:, :2] ** 2, axis=1, keepdims=True)
            bump = np.exp(-squared / (2 * reach * reach))
            moved += np.float32(weight) * bump * np.array(by, np.float32)
    opened = weights.get("jawOpen", 0.0) * (1 - weights.get("mouthClose", 0.0))
    return (moved + opened * _jaw(shape)).astype(np.float32)


def _bumps(name: str) -> list[Bump]:
    for side, sign in (("Left", 1), ("Right", -1)):
        if name.endswith(side) and name.removesuffix(side) in _PAIRS:
            return [
                (left if sign > 0 else right, (sign * by[0], by[1], by[2]), reach)
                for left, right, by, reach in _PAIRS[name.removesuffix(side)]
            ]
    return _SINGLE.get(name, [])


def _jaw(shape: Float32) -> Float32:
    """Return how an open jaw moves the face: the chin fully, skin up to the ears less and less."""
    corners = shape[[61, 291]].mean(axis=0)
    chin = shape[152]
    below = np.clip((corners[1] + 0.05 - shape[:, 1]) / (corners[1] + 0.05 - chin[1]), 0, 1)
    aside = np.clip(1 - (np.abs(shape[:, 0] - corners[0]) / 1.3) ** 2, 0, 1)
    share = below**0.5 * aside
    for ring in (INNER_LIPS, OUTER_LIPS):
        half = len(ring) // 2
        share[ring[: half + 1]] = 0
        along = np.sin(np.linspace(0, np.pi, half + 1))[1:-1]
        share[ring[half + 1 :]] = 0.75 * along**0.6
    return share[:, None] * np.array([0, -_JAW_DROP, -_JAW_BACK], np.float32)
