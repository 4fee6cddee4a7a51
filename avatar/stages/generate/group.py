"""Several faces of one photograph, all moved by one driver on one canvas.

The picture is peeled like an onion: the nearest person (the one with the largest face) is cut out
and the hole filled, the next is cut from what is left, and so on to the bare background. Laid over
each other again in the opposite order, at rest the layers give the photograph back exactly; and a
head that moves uncovers the people behind it, not a hole.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from avatar.core.choices import Framing
from avatar.core.face.bounds import face_px
from avatar.core.face.topology import EYE_RINGS, INNER_LIPS
from avatar.core.frames import Face, GeneratedFrame, Motion, UInt8Image
from avatar.stages.generate.backward_map import Box
from avatar.stages.generate.canvases import Canvases
from avatar.stages.generate.deform import Pose, usable_or_still
from avatar.stages.generate.framing import make_canvases
from avatar.stages.generate.laying import Picture, at_rest, lay_over
from avatar.stages.generate.matte import Layers
from avatar.stages.generate.overlay import box_around
from avatar.stages.generate.person_cut import PersonCut, cut_photo
from avatar.stages.generate.portrait import (
    PortraitGenerator,
    PortraitSettings,
    generated,
)
from avatar.stages.generate.surroundings import AROUND, split_wide
from avatar.stages.generate.viewed import Viewed

_USUAL = PortraitSettings()


class GroupGenerator(Viewed):
    """Animates several faces of one photograph; each keeps its own proportions and limits.

    ``photo``: uint8 (H, W, 3) RGB. ``faces``: at least one, in its pixels. ``framing``, ``size_px``
    and ``settings`` as for ``PortraitGenerator``; ``portrait`` shows all heads. Entering raises
    ``UsageError`` where they do not fit together.
    """

    def __init__(
        self,
        photo: UInt8Image,
        faces: Sequence[Face],
        framing: Framing = "portrait",
        size_px: tuple[int, int] | None = None,
        settings: PortraitSettings = _USUAL,
    ) -> None:
        super().__init__(photo, framing, size_px)
        self._photo, self._settings = photo, settings
        # The nearest person first.
        self._faces = sorted(faces, key=face_px, reverse=True)
        self._people = [
            PortraitGenerator(photo, face, framing, self._size_px, settings) for face in self._faces
        ]
        self._cuts: list[PersonCut] | None = None
        self._canvases = Canvases()

    def _lay_out(self) -> None:
        background = self._settings.background
        canvases = make_canvases(
            self._photo,
            self._faces,
            self._framing,
            self._size_px,
            self._view,
            margin_faces=AROUND,
        )
        if self._cuts is None:
            self._cuts = cut_photo(self._photo, self._faces, self._settings.mattes)
        self._layers: list[Layers] = []
        # What each person stands in: the picture without those nearer than them.
        self._rests: list[Picture] = []
        picture, margin, apart = None, canvases[0].margin_px, background.another
        for person, canvas, cut in zip(self._people, canvases, self._cuts, strict=True):
            wide, layers = split_wide(canvas, cut, picture, apart=apart)
            picture = layers.plate
            layers, narrow = layers.inner(margin), wide.inner()
            person.lay_on(narrow, layers)
            self._layers.append(layers)
            self._rests.append(narrow.image)
        self._behind = background.behind(self._layers[-1].plate)
        if not background.own:
            self._rests = self._on(self._behind)

    def _on(self, behind: Picture) -> list[Picture]:
        """Return what each person stands in over ``behind``, the nearest person first."""
        rests: list[Picture] = []
        for layers in reversed(self._layers):
            behind = at_rest(behind, layers)
            rests.append(behind)
        return rests[::-1]

    @property
    def faces(self) -> list[Face]:
        """Return the faces as laid out in the output, the largest first."""
        return [person.canvas.face for person in self._people]

    def generate(self, motion: Motion) -> GeneratedFrame:
        """Draw everybody; the picture is the caller's own while he keeps it."""
        return self.generate_each([motion] * len(self._people))

    def generate_each(self, motions: Sequence[Motion]) -> GeneratedFrame:
        """Draw everybody with a motion of their own, in the order of ``faces``."""
        moved = [usable_or_still(motion) for motion in motions]
        below = self._behind
        changed: list[Box] = []
        for person, layers, rest, motion in reversed(
            list(zip(self._people, self._layers, self._rests, moved, strict=True))
        ):
            picture = self._canvases.copy_of(rest)
            for box in changed:
                _lay_rest(picture, below, layers, box)
            pose = person.pose(motion)
            changed += person.draw(picture, below, pose, motion)
            changed += _feature_boxes(pose, picture)
            below = picture
        return generated(below, moved[0])


def _lay_rest(picture: Picture, below: Picture, layers: Layers, box: Box) -> None:
    """Lay a person at rest over ``below`` into the box of ``picture``."""
    x0, y0, x1, y1 = box
    person: NDArray[np.uint8] = layers.shown[y0:y1, x0:x1]
    if person[..., 3].any():
        lay_over(picture[y0:y1, x0:x1], below[y0:y1, x0:x1], person)
    else:
        picture[y0:y1, x0:x1] = below[y0:y1, x0:x1]


def _feature_boxes(pose: Pose, picture: Picture) -> list[Box]:
    """Return where eyes and mouth were drawn, which may move while the head does not."""
    rings = (*EYE_RINGS, INNER_LIPS)
    boxes = (box_around(pose.landmarks_px[ring], 3, picture) for ring in rings)
    return [box for box in boxes if box is not None]
