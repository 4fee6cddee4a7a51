"""Several photographs of one person: the one that is nearest to what the driver does is shown.

What a single photograph never saw, the teeth of a smile or the other side of the head, another
one has. All are laid out as the first photograph is (``album_layers``), every frame is posed once,
in the first one's proportions, and whichever photograph is chosen (``choice``) is bent to exactly
that pose: in a cross-fade both show every feature at the same place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Self

import numpy as np

from avatar.core.choices import Framing
from avatar.core.face.head import decompose, iris_offset, shape_of
from avatar.core.frames import Face, Float32, GeneratedFrame, Motion, UInt8Image
from avatar.stages.generate.album_layers import LayeredPhoto, further_source
from avatar.stages.generate.canvases import Canvases
from avatar.stages.generate.choice import SourceChooser, features
from avatar.stages.generate.deform import Pose, usable_or_still
from avatar.stages.generate.framing import make_canvases
from avatar.stages.generate.laying import Picture, at_rest
from avatar.stages.generate.person_cut import PersonCut, cut_photo
from avatar.stages.generate.portrait import (
    PortraitGenerator,
    PortraitSettings,
    generated,
)
from avatar.stages.generate.surroundings import AROUND, split_wide
from avatar.stages.generate.viewed import Viewed

_USUAL = PortraitSettings()
_FINITE = (-1e6, 1e6)


class AlbumGenerator(Viewed):
    """Animates one person of several photographs.

    ``photos``: two or more of (uint8 (H, W, 3) RGB, the face in its pixels). The first gives
    framing, background, body, proportions and the neutral face. ``framing``, ``size_px`` and
    ``settings`` as for ``PortraitGenerator``; creases are carried to the first photograph only,
    since the others bring those of their own expression.

    A frame costs one drawing, during a cross-fade two. ``sources``: the photographs on their shared
    canvas; ``looks``: float32 (2, 2) for each, how the first photograph's irises stand against its
    own, in eye widths.
    """

    def __init__(
        self,
        photos: Sequence[tuple[UInt8Image, Face]],
        framing: Framing = "portrait",
        size_px: tuple[int, int] | None = None,
        settings: PortraitSettings = _USUAL,
    ) -> None:
        super().__init__(photos[0][0], framing, size_px)
        self._photos, self._settings = photos, settings
        self._cuts: list[PersonCut] = []
        self._canvases = Canvases()
        plain = replace(settings, shading=0.0)
        self._drawers = [
            PortraitGenerator(photo, face, framing, self._size_px, plain if k else settings)
            for k, (photo, face) in enumerate(photos)
        ]

    def __enter__(self) -> Self:
        super().__enter__()
        self._chooser = SourceChooser(np.stack([self._features(k) for k in range(len(self))]))
        return self

    def __len__(self) -> int:
        return len(self._photos)

    def _lay_out(self) -> None:
        photo, face = self._photos[0]
        background = self._settings.background
        (wide,) = make_canvases(
            photo, [face], self._framing, self._size_px, self._view, margin_faces=AROUND
        )
        if not self._cuts:
            mattes = self._settings.mattes
            self._cuts = [cut_photo(photo, [face], mattes)[0] for photo, face in self._photos]
        apart = background.another
        first = LayeredPhoto(*split_wide(wide, self._cuts[0], apart=apart))
        further = [
            further_source(first, *more, cut, apart=apart)
            for more, cut in zip(self._photos[1:], self._cuts[1:], strict=True)
        ]
        self.sources = [source.inner() for source in (first, *further)]
        heads = [decompose(source.canvas.face) for source in self.sources]
        for drawer, source in zip(self._drawers, self.sources, strict=True):
            drawer.lay_on(source.canvas, source.layers)
        self._behind = background.behind(self.sources[0].layers.plate)
        self._rests = [
            source.canvas.image if background.own else at_rest(self._behind, source.layers)
            for source in self.sources
        ]
        # Where each photograph looks, against the first.
        looks = [iris_offset(head.shape) for head in heads]
        self.looks = [looks[0] - look for look in looks]

    def _features(self, index: int) -> Float32:
        head = decompose(self.sources[index].canvas.face)
        return features(head.shape, head.rotation)

    def generate(self, motion: Motion) -> GeneratedFrame:
        """Draw the nearest photograph; the picture is the caller's own while he keeps it."""
        motion = usable_or_still(motion)
        pose = self._drawers[0].pose(motion)
        shown = self._chooser.choose(_wanted(pose), motion.timestamp_ns)
        image = self._draw(shown.to, pose, motion)
        if shown.since is not None:
            image = _mixed(self._draw(shown.since, pose, motion), image, shown.share)
        return generated(image, motion)

    def _draw(self, index: int, pose: Pose, motion: Motion) -> Picture:
        image = self._canvases.copy_of(self._rests[index])
        moved = replace(motion, gaze=motion.gaze + self.looks[index])
        self._drawers[index].draw(image, self._behind, pose, moved)
        return image


def _wanted(pose: Pose) -> Float32:
    """Return the features of the pose that is to be drawn, float32 (6,)."""
    # However wild the motion, its numbers must have squares.
    points = np.clip(np.vstack([pose.landmarks_px, pose.centre_px]), *_FINITE)
    shape = shape_of(points[:-1], pose.rotation, points[-1], max(pose.scale_px, 1e-3))
    return features(shape, pose.rotation)


def _mixed(below: Picture, above: Picture, share: float) -> Picture:
    import cv2

    return np.asarray(cv2.addWeighted(below, 1 - share, above, share, 0), np.uint8)
