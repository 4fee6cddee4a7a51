"""A photograph moved by the portrait engine and corrected by a network that knows the person."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from avatar.core.face.head import HeadShape, decompose
from avatar.core.face.rotation import vector_from_rotation
from avatar.core.frames import Float32, GeneratedFrame, Motion, UInt8Image
from avatar.core.machine import one_blas_thread
from avatar.stages.generate.deform import Pose, usable_or_still
from avatar.stages.generate.framing import View
from avatar.stages.generate.portrait import PortraitGenerator
from avatar.stages.generate.trained.maps import (
    INNER_MOUTH,
    Mask,
    draw_maps,
    mouth_opening,
    telling_points,
)
from avatar.stages.generate.trained.placement import (
    PatchPlace,
    add_back,
    all_places,
    cut,
    usable_place,
)
from avatar.stages.generate.trained.references import References
from engines.patches import Patch, border, inputs_of, outputs_of

if TYPE_CHECKING:
    from engines.runner import Runner

Matrices = dict[str, list[NDArray[np.float64]]]

# Up to so many times the widest opening seen of the person a mouth is the network's, and from so
# many on the warp's own empty one.
_STRANGE = (1.1, 1.5)
# Lips so little apart, in heights of the face, are never strange.
_SLIGHT = 0.03


class PatchCutter:
    """Cuts a network's patches out of pictures of one avatar, and draws their maps.

    ``head``: the avatar's at rest, as ``decompose`` gives it.
    """

    def __init__(self, patches: Sequence[Patch], head: HeadShape) -> None:
        self.patches = tuple(patches)
        self._places = all_places(patches, head.shape)

    def matrices(self, pose: Pose) -> Matrices | None:
        """Return where each patch lies; None where a face seen from the edge has no patches."""
        found = {
            name: [place.matrix(pose) for place in places] for name, places in self._places.items()
        }
        sound = all(usable_place(matrix) for many in found.values() for matrix in many)
        return found if sound else None

    def pictures(self, image: UInt8Image, matrices: Matrices) -> dict[str, UInt8Image]:
        """Return the patches' pictures by name, uint8 (count, side, side, 3)."""
        return {
            patch.name: np.stack([cut(image, m, patch.side_px) for m in matrices[patch.name]])
            for patch in self.patches
        }

    def points(self, pose: Pose, matrices: Matrices) -> dict[str, Float32]:
        """Return by what moments are compared, by name, float32 (count, P, 2)."""
        return {
            name: np.stack(
                [
                    telling_points(place, matrix, pose.landmarks_px)
                    for place, matrix in zip(places, matrices[name], strict=True)
                ]
            )
            for name, places in self._places.items()
        }

    def maps(
        self, pose: Pose, matrices: Matrices, photo_rect: tuple[int, int, int, int]
    ) -> dict[str, Mask]:
        """Return the patches' maps by name, uint8 (count, cells, cells, maps)."""
        drawn: dict[str, Mask] = {}
        for name, places in self._places.items():
            pairs: list[tuple[PatchPlace, NDArray[np.float64]]] = list(
                zip(places, matrices[name], strict=True)
            )
            drawn[name] = np.stack(
                [draw_maps(place, m, pose.landmarks_px, photo_rect) for place, m in pairs]
            )
        return drawn


class TrainedGenerator:
    """Draws as ``portrait`` does, then lets a network correct it.

    ``open_references`` gives the person's pictures that the network was trained with.
    ``open_runner`` gives the network of ``patches`` (``engines.patches.spec_of``); what it raises
    passes through when the generator is entered.
    """

    def __init__(
        self,
        portrait: PortraitGenerator,
        patches: Sequence[Patch],
        open_references: Callable[[], References],
        open_runner: Callable[[], AbstractContextManager[Runner]],
    ) -> None:
        self._portrait, self._patches = portrait, tuple(patches)
        self._open_references, self._open_runner = open_references, open_runner
        self._borders: dict[str, Mask] = {
            patch.name: np.rint(border(patch.side_px) * 255).astype(np.uint8) for patch in patches
        }
        self._open = ExitStack()

    def __enter__(self) -> Self:
        self._references = self._open_references()
        with ExitStack() as opening:
            # On matrices as small as those of the references its threads only wait, by spinning.
            opening.enter_context(one_blas_thread())
            opening.enter_context(self._portrait)
            self._runner = opening.enter_context(self._open_runner())
            self._runner.warm_up()
            self._open = opening.pop_all()
        self._cutter = self._new_cutter()
        return self

    def __exit__(self, *_: object) -> None:
        """Close the network and the portrait engine."""
        self._open.close()

    def _new_cutter(self) -> PatchCutter:
        return PatchCutter(self._patches, decompose(self._portrait.canvas.face))

    @property
    def size_px(self) -> tuple[int, int]:
        """Return (width, height) of every picture."""
        return self._portrait.size_px

    @property
    def view(self) -> View:
        """Return how the picture is cut at present."""
        return self._portrait.view

    def set_view(self, view: View) -> None:
        """Cut the picture anew, from the generating thread."""
        self._portrait.set_view(view)
        self._cutter = self._new_cutter()

    def folded(self, motion: Motion) -> int:
        """Return how many of the mesh's triangles ``motion`` turns inside out."""
        return self._portrait.folded(motion)

    def generate(self, motion: Motion) -> GeneratedFrame:
        """Draw the avatar; the picture is the caller's own while he keeps it.

        Raises ``EngineError`` when the runtime fails.
        """
        motion = usable_or_still(motion)
        pose = self._portrait.pose(motion)
        frame = self._portrait.posed(motion, pose)
        self._correct(frame.image, pose)
        return frame

    def _correct(self, image: UInt8Image, pose: Pose) -> None:
        matrices = self._cutter.matrices(pose)
        if matrices is None:
            return
        pictures = self._cutter.pictures(image, matrices)
        points = self._cutter.points(pose, matrices)
        turn = vector_from_rotation(pose.rotation)
        maps = self._cutter.maps(pose, matrices, self._portrait.canvas.photo_rect)
        feeds = {}
        for patch in self._patches:
            name, (picture, reference, drawn) = patch.name, inputs_of(patch)
            feeds[picture], feeds[drawn] = pictures[name], maps[name]
            feeds[reference] = self._references.find(name, points[name], turn, pictures[name])
        found = self._runner.infer(feeds)
        strange = self._beyond_trained_range(pose)
        for patch in self._patches:
            name = patch.name
            outputs = zip(
                pictures[name], *(found[o] for o in outputs_of(patch)), maps[name], strict=True
            )
            for (picture, corrected, mask, drawn), matrix in zip(
                outputs, matrices[name], strict=True
            ):
                border = _without_mouth(self._borders[name], patch, drawn, strange)
                add_back(image, _change(picture, corrected, mask, border), matrix)

    def _beyond_trained_range(self, pose: Pose) -> float:
        """Return how far beyond anything seen of the person the mouth is open, in [0, 1].

        What a network makes up there is worse than the warp's empty mouth.
        """
        seen = max(self._references.opening, _SLIGHT)
        low, high = (share * seen for share in _STRANGE)
        return float(np.clip((mouth_opening(pose.landmarks_px) - low) / (high - low), 0, 1))


def _without_mouth(border: Mask, patch: Patch, maps: Mask, share: float) -> Mask:
    """Return ``border`` less a share of what lies between the lips, uint8 (side, side)."""
    import cv2

    if share == 0 or INNER_MOUTH not in patch.maps:
        return border
    inside = cv2.resize(
        np.ascontiguousarray(maps[..., patch.maps.index(INNER_MOUTH)]), border.shape[::-1]
    )
    left = cv2.addWeighted(inside, -share, inside, 0, 255)
    return np.asarray(cv2.multiply(border, left, scale=1 / 255), np.uint8)


def _change(picture: UInt8Image, corrected: UInt8Image, mask: Mask, border: Mask) -> Float32:
    """Return what is to be added to the picture, in levels, float32 (side, side, 3)."""
    import cv2

    share = cv2.multiply(mask, border, scale=1 / 255**2, dtype=cv2.CV_32F)
    apart = cv2.subtract(corrected, picture, dtype=cv2.CV_32F)
    return np.asarray(cv2.multiply(apart, cv2.merge([share, share, share])), np.float32)
