"""A person's head in motion: vertices and normals of every picture, and hair that stands on it."""

from __future__ import annotations

import numpy as np

from avatar.learn.renders.assets import (
    BODY,
    HAIR,
    LASHES,
    PARTS,
    Floats,
    Ints,
    face_units,
    load_mesh,
    load_target,
)
from avatar.learn.renders.people import RenderedPerson

_SHELLS = 7
# Where the head turns on the neutral mesh, and between which heights the neck gives way. Heights
# are measured along an axis that leans back, so that the chin is above the throat.
_PIVOT = np.array((0.0, 6.45, 0.12))
_LEAN, _FIXED, _FREE = 0.45, 5.95, 6.65
# The hairline on the neutral mesh: how high it is, by z (from the nape to the forehead).
_HAIRLINE_Z = (-0.7, -0.2, 0.1, 0.35, 0.75, 1.1, 1.4)
_HAIRLINE_Y = (6.55, 6.6, 6.85, 7.25, 7.5, 7.93, 8.02)
_EAR_X, _EAR_Y = 0.74, 7.45


class Head:
    """What is drawn of a person, with K corners; positions are relative to between the eyes.

    ``rest``: (K, 3), where each corner is on the neutral mesh. ``uv``: (K, 2). ``hair``: (K, 2),
    0 on the skin to 1 at the hair's tips, and how far above the hairline. ``triangles``: (T, 3),
    part after part as in ``order``: lashes, which let the rest shine through, come last.
    """

    def __init__(self, person: RenderedPerson) -> None:
        mesh = load_mesh()
        used, self._corner = np.unique(mesh.corners[:, 0], return_inverse=True)
        neutral = mesh.vertices[used]
        middle = mesh.eye_centres.mean(axis=0)
        eyes = person.vertices[_eye_vertices(mesh.part, mesh.corners)].mean(axis=0)
        self._vertices = person.vertices[used] - eyes
        self._pivot = _PIVOT - middle
        self._units = _unit_moves(used)
        height = neutral[:, 1] + _LEAN * neutral[:, 2]
        self._share = _smoothstep((height - _FIXED) / (_FREE - _FIXED))[:, None]
        self._faces = self._corner[mesh.triangles]
        self._flat: Ints = self._faces.ravel()
        look = person.look
        above = _above_hairline(neutral[self._corner], mesh.part, look.hairline)
        if look.hair_length == 0:
            above[:] = -0.3
        self._rise = _smoothstep(above / 0.5)
        scalp = mesh.triangles[(above[mesh.triangles] > 0).any(axis=1)]
        self._grown, hair = _shells(scalp, len(self._corner))
        self._shell = np.repeat(np.linspace(0, 1, _SHELLS + 1)[1:], len(self._grown) // _SHELLS)
        self._length = look.hair_length
        every = np.concatenate([np.arange(len(self._corner)), self._grown])
        self.rest = neutral[self._corner][every]
        self.uv = mesh.uv[every]
        shell = np.concatenate([np.zeros(len(self._corner)), self._shell])
        self.hair = np.stack([shell, above[every]], axis=1)
        part = mesh.part[mesh.triangles[:, 0]]
        spans = {index: mesh.triangles[part == index] for index in range(len(PARTS))}
        spans[HAIR] = hair
        self.order = tuple(sorted(spans, key=lambda index: index == LASHES))
        self.triangles = np.concatenate([spans[index] for index in self.order])
        sizes = [spans[index].size for index in self.order]
        firsts = np.cumsum([0, *sizes[:-1]]).tolist()
        self._spans = dict(zip(self.order, zip(firsts, sizes, strict=True), strict=True))

    def span(self, part: int) -> tuple[int, int]:
        """Return where a part begins in ``triangles``, flattened, and how long it is."""
        return self._spans[part]

    def pose(self, units: Floats, turn: Floats, shift: Floats) -> tuple[Floats, Floats]:
        """Return positions and unit normals, each (K, 3), of one picture of an ``ActedMotion``."""
        moved = self._vertices + np.tensordot(units, self._units, 1)
        moved = _turned(moved, self._pivot, self._share * turn)
        moved[:, :2] += shift
        normals = self._normals(moved)[self._corner]
        skin = moved[self._corner]
        roots, out = skin[self._grown], normals[self._grown]
        reach = (self._length * self._shell * self._rise[self._grown])[:, None]
        fall = np.array((0, -0.4, 0)) * reach * self._shell[:, None]
        return np.concatenate([skin, roots + out * reach + fall]), np.concatenate([normals, out])

    def _normals(self, vertices: Floats) -> Floats:
        a, b, c = (vertices[self._faces[:, k]] for k in range(3))
        face = np.repeat(np.cross(b - a, c - a), 3, axis=0)
        sums = [np.bincount(self._flat, face[:, k], len(vertices)) for k in range(3)]
        normals = np.stack(sums, axis=1)
        return np.asarray(normals / (np.linalg.norm(normals, axis=1, keepdims=True) + 1e-12))


def _above_hairline(rest: Floats, part: Ints, back: float) -> Floats:
    """Return how far above the hairline corners are; the line goes ``back`` at the forehead."""
    line = np.interp(rest[:, 2], _HAIRLINE_Z, _HAIRLINE_Y) + back * np.clip(rest[:, 2], 0, 1)
    ear = (np.abs(rest[:, 0]) > _EAR_X) & (rest[:, 1] < _EAR_Y)
    return np.where((part == BODY) & ~ear, rest[:, 1] - line, -0.3)


def _eye_vertices(part: Ints, corners: Ints) -> Ints:
    return np.unique(corners[part == 1, 0])


def _unit_moves(used: Ints) -> Floats:
    """Return by how much each unit moves each vertex in use: (52, U, 3)."""
    moves = np.zeros((len(face_units()), int(used.max()) + 1, 3))
    for row, name in zip(moves, face_units(), strict=True):
        at, by = load_target(f"faceunits/{name}")
        inside = at < len(row)
        row[at[inside]] = by[inside]
    return moves[:, used]


def _shells(scalp: Ints, corners: int) -> tuple[Ints, Ints]:
    """Return which corner each corner of the shells stands on, and the shells' triangles."""
    roots, index = np.unique(scalp, return_inverse=True)
    single = index.reshape(-1, 3)
    layers = [single + corners + layer * len(roots) for layer in range(_SHELLS)]
    return np.tile(roots, _SHELLS), np.concatenate(layers).astype(np.int64)


def _turned(points: Floats, pivot: Floats, angles: Floats) -> Floats:
    """Turn points about a pivot by yaw, pitch and roll of their own, (N, 3), in this order."""
    yaw, pitch, roll = angles.T
    x, y, z = (points - pivot).T
    x, y = x * np.cos(roll) - y * np.sin(roll), x * np.sin(roll) + y * np.cos(roll)
    y, z = y * np.cos(pitch) - z * np.sin(pitch), y * np.sin(pitch) + z * np.cos(pitch)
    x, z = x * np.cos(yaw) + z * np.sin(yaw), z * np.cos(yaw) - x * np.sin(yaw)
    return np.stack([x, y, z], axis=1) + pivot


def _smoothstep(x: Floats) -> Floats:
    x = np.clip(x, 0, 1)
    return np.asarray(x * x * (3 - 2 * x))
