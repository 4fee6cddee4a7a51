"""Pictures of the person at other moments: what a network may copy from instead of inventing.

Kept are some dozens of moments whose expressions differ most. For a pose the two most alike are
taken, bent onto its landmarks and mixed. A patch of several parts (the head) is put together: hair
and shoulders as they were when the head was turned alike, over them the face, brows, eyes and lips,
each from the moments most like it, so that lips and eyes never seen together can be shown. The
further they are from the pose, the more of the warp's own picture is mixed in: a network that is
shown nothing new learns to change nothing. Weights are inverse squared distances (Shepard 1968)
less that of the first one not taken: they fall to zero before a picture is exchanged for another,
and nothing jumps. Where several are all as near, they would still change within a hair's breadth:
there a third is taken, and a fourth.

::

    NAME/points      float32 (n, count, P, 2), in sides of the patch
    NAME/turns       float32 (n, 3), the head's rotation vectors
    NAME/parts       int64 (parts), how many of the points belong to each
    NAME/pictures    uint8 (n, count, side, side, 3) RGB
    opening          float32 (), see ``References``
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avatar.core.archives import UNUSABLE
from avatar.core.errors import EngineError
from avatar.core.files import whole_file
from avatar.core.frames import Float32, UInt8Image
from avatar.stages.generate.overlay import Box
from engines.patches import Patch

KEPT = 64
# How many moments are taken, and at most where several are as near as each other: when the weights
# of the first come to less than this share of the nearest's inverse squared distance.
_TAKEN, _MOST, _APART = 2, 4, 0.3
# Distances between landmarks, in sides of a patch: below the first two moments are alike, at the
# second half of the warp's own picture is mixed in.
_ALIKE, _FAR = 0.004, 0.02
# How firmly an alignment keeps a picture's own shape, as a share of the landmarks' variance.
_STIFFNESS = 0.3
# How far beyond its landmarks a part is laid over whole, and how softly that ends, in sides.
_AROUND, _SOFT = 0.025, 0.02
# How far, in sides, a radian moves what is no landmark.
_TURN = 0.18
# How far a landmark reaches, in sides; how closely it is followed.
_REACH, _RIDGE = 0.05, 0.05


@dataclass(frozen=True, eq=False)
class Kept:
    """The moments of one kind of patch; shapes as in the module's head."""

    points: Float32
    turns: Float32
    pictures: UInt8Image
    parts: tuple[int, ...]


class References:
    """Finds for a pose what is most like it. ``kept``: by the patch's name.

    ``opening``: the widest that the person's mouth was seen open (``maps.mouth_opening``).
    """

    def __init__(self, kept: Mapping[str, Kept], opening: float) -> None:
        self._kept, self.opening = dict(kept), opening
        # OpenCV bends pictures of four channels in two thirds of the time of three.
        self._wide = {name: _wide(moments.pictures) for name, moments in kept.items()}

    def find(
        self,
        name: str,
        points: Float32,
        turn: Float32,
        pictures: UInt8Image,
        allowed: NDArray[np.bool_] | None = None,
    ) -> UInt8Image:
        """Return a patch's reference pictures, uint8 (count, side, side, 3), new.

        ``points``: float32 (count, P, 2), and ``turn``: float32 (3,), the pose's, as in the
        module's head. ``pictures``: the warp's patches.
        ``allowed``: which of the kept moments may be used, bool (n,); None allows all.
        """
        kept, wide = self._kept[name], self._wide[name]
        usable = np.arange(len(kept.points)) if allowed is None else np.flatnonzero(allowed)
        if len(usable) == 0:
            return pictures.copy()
        ends = np.cumsum(kept.parts)
        parts = [slice(end - count, end) for count, end in zip(kept.parts, ends, strict=True)]
        turned = np.float32(_TURN) * np.linalg.norm(kept.turns[usable] - turn, axis=1)
        return np.stack(
            [
                _Search(kept.points[usable, i], [wide[k, i] for k in usable], *given).found(
                    parts, turned
                )
                for i, given in enumerate(zip(points, pictures, strict=True))
            ]
        )

    def save(self, path: Path) -> None:
        """Write them. Raises ``OSError``."""
        arrays: dict[str, NDArray[Any]] = {"opening": np.array(self.opening, np.float32)}
        for name, kept in self._kept.items():
            arrays[f"{name}/points"], arrays[f"{name}/pictures"] = kept.points, kept.pictures
            arrays[f"{name}/turns"] = kept.turns
            arrays[f"{name}/parts"] = np.array(kept.parts, np.int64)
        with whole_file(path) as part, part.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)

    @classmethod
    def load(cls, path: Path, patches: Sequence[Patch]) -> References:
        """Read them. Raises ``EngineError`` where they are missing or not whole."""
        kept = {}
        try:
            with path.open("rb") as data, np.load(data, allow_pickle=False) as file:
                for patch in patches:
                    pictures = file[f"{patch.name}/pictures"]
                    _check_shape(pictures, patch)
                    points, turns, parts = (
                        file[f"{patch.name}/{kind}"] for kind in ("points", "turns", "parts")
                    )
                    kept[patch.name] = Kept(points, turns, pictures, tuple(parts.tolist()))
                opening = float(file["opening"])
        except UNUSABLE as error:
            raise EngineError(
                f"expected the person's pictures in {path}, found none that are whole ({error})"
            ) from error
        return cls(kept, opening)


def _check_shape(pictures: UInt8Image, patch: Patch) -> None:
    wanted = (patch.count, patch.side_px, patch.side_px, 3)
    if pictures.shape[1:] != wanted:
        raise ValueError(f"pictures of {patch.name} are {pictures.shape[1:]}, not {wanted}")


def farthest(points: NDArray[np.floating[Any]], count: int) -> NDArray[np.int64]:
    """Return the indices of up to ``count`` of ``points``, (n, …), that lie far apart; in order.

    Each next one is the farthest from those taken before (Gonzalez 1985).
    """
    flat = points.reshape(len(points), -1)
    taken = [0]
    apart = np.linalg.norm(flat - flat[0], axis=1)
    while len(taken) < min(count, len(flat)):
        taken.append(int(np.argmax(apart)))
        apart = np.minimum(apart, np.linalg.norm(flat - flat[taken[-1]], axis=1))
    return np.array(sorted(taken), np.int64)


def _wide(pictures: UInt8Image) -> UInt8Image:
    """Return pictures (…, 3) with a fourth channel, which means nothing."""
    return np.concatenate([pictures, pictures[..., :1]], axis=-1)


class _Search:
    """Puts one patch's reference together out of ``pictures``, which have four channels.

    ``known``: their landmarks, (n, P, 2); ``points``: those of the pose, (P, 2); ``picture``: the
    warp's, of three channels.
    """

    def __init__(
        self,
        known: Float32,
        pictures: Sequence[UInt8Image],
        points: Float32,
        picture: UInt8Image,
    ) -> None:
        import cv2

        self._known, self._pictures = known, pictures
        self._points = points
        self._picture = np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2RGBA), np.uint8)
        self._side_px = picture.shape[0]

    def found(self, parts: Sequence[slice], turned: Float32) -> UInt8Image:
        """Return the reference, new.

        ``parts``: which points belong to each. ``turned``: how far the head was turned otherwise,
        (n,), in sides.
        """
        import cv2

        whole = (0, 0, self._side_px, self._side_px)
        if len(parts) == 1:
            out = self._like(parts[0], whole)
        else:
            out = self._turned_alike(turned)
            for part in parts:
                box, mask = self._around(part)
                x0, y0, x1, y1 = box
                below = out[y0:y1, x0:x1]
                out[y0:y1, x0:x1] = cv2.blendLinear(self._like(part, box), below, mask, 1 - mask)
        return np.asarray(cv2.cvtColor(out, cv2.COLOR_RGBA2RGB), np.uint8)

    def _turned_alike(self, turned: Float32) -> UInt8Image:
        """Return the moments of the nearest turns as they were: patches are fixed to the skull."""
        nearest, weights = _nearest(turned)
        pictures = [self._pictures[index] for index in nearest]
        return _mixed(pictures, weights, turned[nearest], self._picture)

    def _like(self, part: slice, box: Box) -> UInt8Image:
        """Return what ``box`` shows of the moments whose ``part`` is most alike, bent onto it."""
        points, known = self._points[part], self._known[:, part]
        nearest, weights = _nearest(_apart(known - points))
        nets, left = _nets(points, known[nearest], self._side_px, box)
        pictures = [
            _moved(self._pictures[index], net, self._side_px)
            for index, net in zip(nearest, nets, strict=True)
        ]
        x0, y0, x1, y1 = box
        return _mixed(pictures, weights, left, self._picture[y0:y1, x0:x1])

    def _around(self, part: slice) -> tuple[Box, Float32]:
        """Return the box in which a part is laid over, and how much there, float32 (h, w)."""
        import cv2

        side, step = self._side_px, _step_px(self._side_px)
        points = self._points[part] * np.float32(side)
        margin = round((_AROUND + 3 * _SOFT) * side)
        low = np.clip((points.min(axis=0) - margin) // step * step, 0, side - step).astype(int)
        high = np.ceil((points.max(axis=0) + margin) / step) * step
        high = np.clip(high, low + step, side).astype(int)
        # What is so soft can be drawn at half the size, or a quarter.
        less = step // 2
        mask = np.zeros((high - low)[::-1] // less, np.float32)
        # Far outside, OpenCV's fixed-point numbers overflow.
        near = np.clip((points - low) / less, -8 * side, 9 * side)
        hull = cv2.convexHull(np.rint(near).astype(np.int32))
        cv2.fillConvexPoly(mask, hull, (1.0,))
        wide = 2 * round(_AROUND * side / less) + 1
        mask = cv2.dilate(mask, np.ones((wide, wide), np.uint8))
        mask = cv2.GaussianBlur(mask, (0, 0), _SOFT * side / less, borderType=cv2.BORDER_CONSTANT)
        x0, y0, x1, y1 = (int(v) for v in (*low, *high))
        soft = cv2.resize(mask, (x1 - x0, y1 - y0), interpolation=cv2.INTER_LINEAR)
        return (x0, y0, x1, y1), np.asarray(soft, np.float32)


def _nearest(apart: Float32) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the nearest of what is ``apart`` so far, (n,), and their weights."""
    nearest = np.argsort(apart, kind="stable")[: _MOST + 1]
    weights = _weights(apart[nearest])
    return nearest[: len(weights)], weights


def _mixed(
    pictures: Sequence[NDArray[Any]],
    weights: NDArray[np.float64],
    far: Float32,
    warped: UInt8Image,
) -> UInt8Image:
    """Return ``pictures`` mixed, with the more of what is ``warped`` the further they are, (n,)."""
    import cv2

    mixed = pictures[0]
    for picture, share in zip(pictures[1:], (weights / np.cumsum(weights))[1:], strict=True):
        mixed = cv2.addWeighted(mixed, 1 - share, picture, share, 0)
    near = 1 / (1 + (float(weights @ far) / _FAR) ** 2)
    return np.asarray(cv2.addWeighted(mixed, near, warped, 1 - near, 0), np.uint8)


def _weights(apart: Float32) -> NDArray[np.float64]:
    """Return the shares of the nearest, which sum to 1; ``apart``: up to ``_MOST`` + 1, sorted."""
    closeness = 1 / (apart.astype(np.float64) ** 2 + _ALIKE**2)
    beyond = [*closeness, 0.0, 0.0]  # with few moments none is the first not taken
    # What is taken off all falls until enough is left of the nearest: at a tie of them it would
    # leave next to nothing, and shares of that are anything.
    level = min(beyond[_TAKEN], closeness[0])
    for count in range(_TAKEN, min(_MOST, len(closeness)) + 1):
        enough = (closeness[:count].sum() - _APART * closeness[0]) / count
        level = max(min(level, enough), beyond[count])
        if level > beyond[count]:
            break
    left = np.maximum(closeness[:_MOST] - level, 0)
    left = left[left > 0] if left.any() else np.ones_like(left)
    found: NDArray[np.float64] = left / left.sum()
    return found


def _step_px(side_px: int) -> int:
    """Return how far apart the nodes lie between which pictures are bent."""
    return 8 if side_px > 128 else 4


def _nets(points: Float32, known: Float32, side_px: int, box: Box) -> tuple[Float32, Float32]:
    """Return where pictures with landmarks ``known`` (n, P, 2) show what lies in ``box``.

    ``points``: the landmarks to be met, (P, 2), in sides. An affine map, and on it what that leaves
    of each landmark, by Gaussian radial basis functions (ridge), which fall to nothing where there
    are no landmarks. Float32 (n, rows, columns, 2), pixels: nodes ``_step_px`` apart, of which the
    box's edges are multiples, from half a step before it to half a step behind. And how much the
    affine maps leave, (n,), in sides.
    """
    step_px = _step_px(side_px)
    x0, y0, x1, y1 = (edge // step_px for edge in box)
    step = np.float32(step_px / side_px)
    x = (np.arange(x0, x1 + 2, dtype=np.float32) - np.float32(0.5)) * step
    y = (np.arange(y0, y1 + 2, dtype=np.float32) - np.float32(0.5)) * step
    across, down = _kernel((x[:, None] - points[:, 0]) ** 2), _kernel((y - points[:, 1:]) ** 2)
    between = points.T[:, :, None] - points.T[:, None]
    own = _kernel(between[0] ** 2 + between[1] ** 2)
    own[np.diag_indices_from(own)] += np.float32(_RIDGE)
    linear, shift = _alignment(points, known)
    beside = known - (points @ linear.transpose(0, 2, 1) + shift[:, None])  # n, P, 2
    pull = np.linalg.solve(own, beside.transpose(1, 0, 2).reshape(len(points), -1)).T  # 2n, P
    bent = (pull[:, :, None] * down).transpose(0, 2, 1) @ across.T  # 2n, rows, columns
    net = bent.reshape(len(known), 2, len(y), len(x))
    net += linear[:, :, :1, None] * x + linear[:, :, 1:, None] * y[:, None] + shift[..., None, None]
    nets = np.asarray(net.transpose(0, 2, 3, 1) * side_px - 0.5, np.float32)
    return nets, _apart(beside)


def _apart(differences: Float32) -> Float32:
    """Return the root mean square distance of landmarks that differ so, (n, P, 2), as (n,)."""
    flat = differences.reshape(len(differences), -1)
    # One product a moment: NumPy is slow at sums over axes of two.
    squares = np.einsum("ij,ij->i", flat, flat)
    return np.asarray(np.sqrt(squares / np.float32(differences.shape[1])), np.float32)


def _moved(picture: UInt8Image, net: Float32, side_px: int) -> UInt8Image:
    """Return what a net of ``_nets`` shows of its picture."""
    import cv2

    step = _step_px(side_px)
    size = (net.shape[1] * step, net.shape[0] * step)
    where = cv2.resize(net, size, interpolation=cv2.INTER_LINEAR)[step:-step, step:-step]
    moved = cv2.remap(
        picture,
        where,
        None,
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,  # type: ignore[call-overload]
    )
    return np.asarray(moved, np.uint8)


def _kernel(squares: Float32) -> Float32:
    """Return the Gaussian kernel of squared distances; that of a sum is the product."""
    return np.asarray(np.exp(np.float32(-0.5 / _REACH**2) * squares), np.float32)


def _alignment(points: Float32, onto: Float32) -> tuple[Float32, Float32]:
    """Return affine maps that carry ``points`` (P, 2) near each of ``onto`` (n, P, 2), stiffly.

    Matrices (n, 2, 2) and what is added, (n, 2).
    """
    from_, to = points.mean(axis=0), onto.mean(axis=1)
    a, b = points - from_, onto - to[:, None]
    spread = a.T @ a
    # The last is for landmarks that all fall on one point: they are shifted then.
    stiff = np.float32(_STIFFNESS * np.trace(spread) / 2 + 1e-6) * np.eye(2, dtype=np.float32)
    linear = (b.transpose(0, 2, 1) @ a + stiff) @ np.linalg.inv(spread + stiff)
    return linear, to - linear @ from_
