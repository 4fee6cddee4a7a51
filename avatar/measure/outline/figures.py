"""What is measured of one portrait of known outline."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import astuple, dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from avatar.core.face.head import decompose
from avatar.core.face.rotation import rotation_from_vector
from avatar.core.frames import Face, Float32, Motion, Presence, UInt8Image, still
from avatar.measure.outline.truth import KnownPortrait
from avatar.stages.generate.matte import split_layers
from avatar.stages.generate.portrait import PortraitGenerator
from avatar.stages.generate.raster import sample_planes
from avatar.stages.track.landmarker import detect_faces

# Movements: turned to either side, degrees; moved to either side, head widths (a head's width is
# about 1.1 head units: distances between the eyes' outer corners).
_TURNS_DEG, _SHIFTS = (-20.0, 20.0), (-0.3, 0.3)
_HEAD_UNITS = 1.6
# Detail is what a blur so wide takes away, pixels; the gradient's own blur is Rhemann's (2009).
_FINE_PX, _GRADIENT_PX = 2.0, 1.4
# Was the person, and is so no longer.
_WAS, _GONE = 0.05, 0.02


@dataclass(frozen=True)
class OutlineFigures:
    """``sad``: sum of the coverage's absolute differences, thousands of pixels. ``gradient``: sum
    of its gradient's squared differences, thousands. ``detail``: energy of the detail where
    movement uncovers, over the truth's. ``psnr_db``: there. ``seconds``: of laying out.
    """

    sad: float
    gradient: float
    detail: float
    psnr_db: float
    seconds: float

    def line(self, name: str) -> str:
        """Return the figures as a row of the table."""
        return (
            f"{name:12}  {self.sad:6.2f} {self.gradient:8.3f} {self.detail:6.2f} "
            f"{self.psnr_db:7.2f} {self.seconds:5.2f}"
        )

    @staticmethod
    def mean(rows: Sequence[OutlineFigures]) -> OutlineFigures:
        """Return the means of several; ratios of energies are averaged as logarithms."""
        values = np.array([astuple(row) for row in rows])
        means = values.mean(axis=0)
        means[2] = np.exp(np.log(np.maximum(values[:, 2], 1e-6)).mean())
        return OutlineFigures(*means.tolist())


def measured(portrait: KnownPortrait, face_model: Path, pictures: Path | None) -> OutlineFigures:
    """Cut ``portrait`` out, move it, and compare with the truth.

    ``pictures``: a folder for what was drawn, None for none.
    """
    face = detect_faces(portrait.image, face_model)[0]
    began = time.process_time()
    layers = split_layers(portrait.image, face.landmarks_px, decompose(face))
    seconds = time.process_time() - began
    found = np.asarray(layers.person[layers.crown_px :, :, 3] / 255, np.float32)
    generator = PortraitGenerator(portrait.image, face, "photo")
    with generator:
        moved = [_moved(generator, face, motion, portrait) for motion in _motions()]
    energies = np.sum([frame.energies for frame in moved], axis=0)
    error = np.sum([frame.error for frame in moved], axis=0)
    if pictures is not None:
        _keep(pictures, portrait, found, layers.plate, moved)
    return OutlineFigures(
        float(np.abs(found - portrait.coverage).sum()) / 1e3,
        float(np.sum((_slope(found) - _slope(portrait.coverage)) ** 2)) / 1e3,
        float(energies[0] / max(energies[1], 1e-6)),
        float(10 * np.log10(255**2 / max(error[0] / max(error[1], 1), 1e-6))),
        seconds,
    )


def _motions() -> list[Motion]:
    rest = still(0, 0, Presence.TRACKED)
    turned = [
        replace(rest, rotation=rotation_from_vector(np.array([0, np.radians(yaw), 0], np.float32)))
        for yaw in _TURNS_DEG
    ]
    shifted = [
        replace(rest, translation=np.array([shift * _HEAD_UNITS, 0], np.float32))
        for shift in _SHIFTS
    ]
    return turned + shifted


@dataclass(frozen=True, eq=False)
class _MovedFrame:
    """A drawn frame, what it uncovers; its detail's energy, the truth's; squared error, count."""

    image: UInt8Image
    uncovered: NDArray[np.bool_]
    energies: tuple[float, float]
    error: tuple[float, float]


def _moved(
    generator: PortraitGenerator, face: Face, motion: Motion, portrait: KnownPortrait
) -> _MovedFrame:
    image = generator.generate(motion).image
    now = _carried(generator, motion, portrait.coverage)
    uncovered = (portrait.coverage > _WAS) & (now < _GONE)
    off = (image.astype(np.float32) - portrait.background)[uncovered]
    free = now < _GONE
    energies = tuple(
        float(np.sum(_fine(picture, free)[uncovered] ** 2))
        for picture in (image, portrait.background)
    )
    return _MovedFrame(
        image, uncovered, (energies[0], energies[1]), (float(np.sum(off**2)), float(off.size))
    )


def _carried(generator: PortraitGenerator, motion: Motion, coverage: Float32) -> Float32:
    """Return the true coverage moved as the person is."""
    layers = generator._layers
    moved = coverage.copy()
    for part in generator._mesh.backward_maps(generator.pose(motion))[0]:
        (x0, y0, x1, y1), (x, y) = part.box, part.source
        at = x - np.float32(layers.side_px), y - np.float32(layers.crown_px)
        moved[y0:y1, x0:x1] = sample_planes(coverage, at)
    return moved


def _fine(picture: UInt8Image, free: NDArray[np.bool_]) -> Float32:
    """Return the detail of what is ``free``, bool (H, W): nothing of the person is blurred in."""
    import cv2

    exact, share = picture.astype(np.float32), free.astype(np.float32)
    soft, of = (
        cv2.GaussianBlur(each, (0, 0), _FINE_PX) for each in (exact * share[..., None], share)
    )
    return np.asarray(exact - soft / np.maximum(of, 1e-3)[..., None], np.float32)


def _slope(coverage: Float32) -> Float32:
    """Return the length of the gradient of the softened coverage, float32 (H, W)."""
    import cv2

    soft = cv2.GaussianBlur(coverage, (0, 0), _GRADIENT_PX)
    x, y = (cv2.Sobel(soft, cv2.CV_32F, *way, ksize=1, scale=0.5) for way in ((1, 0), (0, 1)))
    return np.asarray(np.hypot(x, y), np.float32)


def _keep(
    folder: Path,
    portrait: KnownPortrait,
    found: Float32,
    plate: UInt8Image,
    moved: Sequence[_MovedFrame],
) -> None:
    """Write the portrait, both coverages, plate and moved frames side by side."""
    import cv2

    folder.mkdir(parents=True, exist_ok=True)
    greys = [np.repeat((255 * each[..., None]).astype(np.uint8), 3, axis=2)
             for each in (portrait.coverage, found)]  # fmt: skip
    rows = np.hstack([portrait.image, *greys, plate]), np.hstack([each.image for each in moved])
    sheet = np.vstack(rows)
    cv2.imwrite(str(folder / f"{portrait.name}.png"), sheet[..., ::-1])
