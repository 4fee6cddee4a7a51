"""A teacher that runs in a moment: the portrait engine, which has learnt some things by heart."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np

from avatar.core.face.topology import OUTER_LIPS
from avatar.core.frames import GeneratedFrame, Motion, UInt8Image
from avatar.core.home import Home
from avatar.core.options import Options
from avatar.core.stages import Generator
from avatar.library.generators.card import TeacherCard
from avatar.sessions.avatars import AvatarPhoto
from avatar.stages.generate.overlay import polygon_mask
from avatar.stages.generate.portrait import PortraitGenerator, PortraitSettings

RED = np.array([200, 20, 40], np.float32)


class PaintingTeacher:
    """Draws as the portrait engine does, paints the lips red, and moves all by ``shift_px``.

    So what is to be learnt can be told, and heads do not stand where the driver's motion says.
    ``drawn`` counts its pictures; ``before`` is called before each.
    """

    frame_s: float | None = 4.0

    def __init__(
        self,
        shift_px: tuple[int, int] = (0, 0),
        weights: str = "0" * 64,
        before: Callable[[int], None] = lambda _drawn: None,
    ) -> None:
        self.shift_px, self.drawn, self.entered, self.before = shift_px, 0, 0, before
        self.card = TeacherCard(
            engine="liveportrait", title="A painter", weights_sha256={"painter": weights},
            licence="MIT", licence_url="https://example.org", backend="openvino", precision="fp32",
        )  # fmt: skip

    def __call__(
        self, engine: str, options: Options, home: Home, say: Callable[[str], None]
    ) -> PaintingTeacher:
        """Be opened, in place of ``NeuralTeacher``."""
        assert engine == self.card.engine
        return self

    def artist(self, avatar: AvatarPhoto) -> AbstractContextManager[Generator]:
        settings = PortraitSettings("teeth", 0.0)
        return _Painter(self, PortraitGenerator(avatar.photo, avatar.face, "photo", None, settings))


@dataclass(eq=False)
class _Painter:
    teacher: PaintingTeacher
    portrait: PortraitGenerator
    name: str = field(default="painter")

    def __enter__(self) -> _Painter:
        self.portrait.__enter__()
        self.teacher.entered += 1
        return self

    def __exit__(self, *raised: Any) -> None:
        self.portrait.__exit__(*raised)

    @property
    def size_px(self) -> tuple[int, int]:
        return self.portrait.size_px

    def generate(self, motion: Motion) -> GeneratedFrame:
        self.teacher.before(self.teacher.drawn)
        self.teacher.drawn += 1
        frame = self.portrait.generate(motion)
        points = self.portrait.pose(motion).landmarks_px
        painted = _painted(frame.image, points[OUTER_LIPS, :2])
        image = _moved(painted, self.teacher.shift_px)
        return GeneratedFrame(image, frame.timestamp_ns, frame.index, frame.presence)


def _painted(image: UInt8Image, lips_px: np.ndarray) -> UInt8Image:
    height, width = image.shape[:2]
    share = polygon_mask(lips_px, (0, 0, width, height))[..., None] / np.float32(255) * 0.5
    return np.asarray(image + (RED - image) * share, np.uint8)


def _moved(image: UInt8Image, by: tuple[int, int]) -> UInt8Image:
    matrix = np.array([[1, 0, by[0]], [0, 1, by[1]]], np.float64)
    size = (image.shape[1], image.shape[0])
    return np.asarray(cv2.warpAffine(image, matrix, size, borderMode=cv2.BORDER_REPLICATE))
