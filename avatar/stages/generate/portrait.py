"""The portrait engine: a photograph moved by geometry alone, without learned weights."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from avatar.core.choices import Framing
from avatar.core.frames import Face, Float32, GeneratedFrame, Motion, UInt8Image
from avatar.core.options import Options
from avatar.stages.generate.background import PHOTO, Background
from avatar.stages.generate.backward_map import Box
from avatar.stages.generate.canvases import Canvases
from avatar.stages.generate.deform import FaceDeformer, Pose, usable, usable_or_still
from avatar.stages.generate.eyes import EyeLayer
from avatar.stages.generate.framing import Canvas, make_canvases
from avatar.stages.generate.laying import Picture, at_rest, lay_part
from avatar.stages.generate.matte import Layers, face_frame
from avatar.stages.generate.matte_cache import MatteCache
from avatar.stages.generate.mesh import HeadMesh
from avatar.stages.generate.mouth import MouthInside, MouthLayer
from avatar.stages.generate.person_cut import PersonCut, cut_photo
from avatar.stages.generate.room import Room
from avatar.stages.generate.shading import FineShading
from avatar.stages.generate.surroundings import AROUND, split_wide
from avatar.stages.generate.viewed import Viewed

# Cells of the coarse map across the picture: finer shows no difference, coarser bends contours.
_MAP_CELLS = 213


@dataclass(frozen=True)
class PortraitSettings:
    """What can be chosen about the portrait engine.

    ``mouth``: what shows between the lips, see ``MouthLayer``. ``shading``: how much of the
    driver's creases the avatar gets, 0 to 1. ``mattes``: where outlines are kept.
    ``background``: what stands behind the avatar.
    """

    mouth: MouthInside = Options.mouth
    shading: float = Options.shading
    mattes: MatteCache | None = None
    background: Background = PHOTO

    def of(self, photo_sha256: str) -> PortraitSettings:
        """Return these, with outlines kept under the name of a stored photograph, by its hash."""
        if self.mattes is None or not photo_sha256:
            return self
        return replace(self, mattes=self.mattes.of(photo_sha256))


class PortraitGenerator(Viewed):
    """Animates one photograph.

    ``photo``: uint8 (H, W, 3) RGB. ``face``: the face to animate, in the photo's pixels.
    ``framing``: ``portrait`` cuts head and shoulders, ``photo`` keeps the whole picture.
    ``size_px``: the output's (width, height); None takes the photo's own or 512×512.
    ``matte``: float32 (H, W), what of the photo is the person, where that is known.
    """

    def __init__(
        self,
        photo: UInt8Image,
        face: Face,
        framing: Framing = "portrait",
        size_px: tuple[int, int] | None = None,
        settings: PortraitSettings = PortraitSettings(),
        matte: Float32 | None = None,
    ) -> None:
        super().__init__(photo, framing, size_px)
        self._settings, self._matte = settings, matte
        self._photo, self._face = photo, face
        self._cut: PersonCut | None = None
        self._canvases = Canvases()

    @property
    def canvas(self) -> Canvas:
        """Return the photograph as laid out in the output's size."""
        return self._canvas

    def _lay_out(self) -> None:
        background = self._settings.background
        (wide,) = make_canvases(
            self._photo,
            [self._face],
            self._framing,
            self._size_px,
            self._view,
            margin_faces=AROUND,
        )
        if self._cut is None:
            mattes = self._settings.mattes
            self._cut = cut_photo(self._photo, [self._face], mattes, self._matte)[0]
        wide, layers = split_wide(wide, self._cut, apart=background.another)
        canvas, layers = wide.inner(), layers.inner(wide.margin_px)
        self.lay_on(canvas, layers)
        self._behind = background.behind(layers.plate)
        self._rest = canvas.image if background.own else at_rest(self._behind, layers)

    def lay_on(self, canvas: Canvas, layers: Layers) -> None:
        """Animate the face of ``canvas``, in place of the photograph's own layout.

        ``layers``: the canvas's picture in two, of which ``person`` is drawn moving.
        """
        step = max(1, round(max(self._size_px) / _MAP_CELLS))
        self._canvas, self._layers = canvas, layers
        origin_px = layers.side_px, layers.crown_px
        self._deformer = FaceDeformer(canvas)
        landmarks, head = canvas.face.landmarks_px, self._deformer.head
        self._room = Room(head, face_frame(landmarks, head), layers)
        self._mesh = HeadMesh(
            landmarks,
            head,
            self._size_px,
            step,
            layers.shown[..., 3],
            origin_px,
        )
        self._shading = FineShading(layers.person, origin_px, landmarks, self._settings.shading)
        self._eyes = [EyeLayer(canvas.image, landmarks, head, side) for side in (0, 1)]
        self._mouth = MouthLayer(canvas.image, landmarks, head, self._settings.mouth)

    def generate(self, motion: Motion) -> GeneratedFrame:
        """Draw the avatar; the picture is the caller's own while he keeps it."""
        motion = usable_or_still(motion)
        return self.posed(motion, self.pose(motion))

    def posed(self, motion: Motion, pose: Pose) -> GeneratedFrame:
        """Draw a motion that is ``usable`` and whose ``pose`` is known, as ``generate`` does."""
        image = self._canvases.copy_of(self._rest)
        self.draw(image, self._behind, pose, motion)
        return generated(image, motion)

    def pose(self, motion: Motion) -> Pose:
        """Return where a motion that is ``usable`` puts the head.

        Relative motion keeps within what the photograph has room for.
        """
        pose = self._deformer.pose(motion)
        return pose if motion.absolute else self._room.kept(pose)

    def folded(self, motion: Motion) -> int:
        """Return how many of the mesh's triangles ``motion`` turns inside out."""
        return self._mesh.folded(self.pose(motion)) if usable(motion) else 0

    def draw(self, image: Picture, behind: Picture, pose: Pose, motion: Motion) -> list[Box]:
        """Draw what moved into ``image``, which shows the rest already, over ``behind``.

        Both have the canvas's size and as many channels as each other. Returns the boxes of the
        head that were drawn; eyes and mouth lie on the face, which is opaque.
        """
        boxes = self._warp(image, behind, pose, motion)
        colours = image[..., :3]
        self._mouth.draw(colours, pose, motion)
        for eye in self._eyes:
            eye.draw(colours, pose, motion)
        return boxes

    def _warp(self, image: Picture, behind: Picture, pose: Pose, motion: Motion) -> list[Box]:
        person = self._shading.apply(motion)
        layer = person[self._layers.crown_px :, self._layers.side_px :]
        kept = [eye.cover(layer, pose) for eye in self._eyes]
        covered = zip(self._eyes, kept, strict=True)
        painted = [eye.box for eye, was in covered if eye.box and was is not None]
        parts, contour = self._mesh.backward_maps(pose, painted)
        boxes = []
        for part in parts:
            lay_part(image, behind, person, part)
            boxes.append(part.box)
        if contour is not None:
            contour.draw(image, behind, person)
        # What lies in both boxes has to become what the first of them found.
        for eye, was in zip(self._eyes[::-1], kept[::-1], strict=True):
            eye.uncover(layer, was)
        return boxes


def generated(picture: Picture, motion: Motion) -> GeneratedFrame:
    """Return a finished picture as the frame of ``motion``, with its alpha apart."""
    import cv2

    alpha = None
    if picture.shape[2] == 4:
        alpha = np.asarray(cv2.extractChannel(picture, 3), np.uint8)
        picture = np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGBA2RGB), np.uint8)
    return GeneratedFrame(picture, motion.timestamp_ns, motion.index, motion.presence, alpha)
