"""``avatar train --evaluate``: the trained generator against the portrait engine, on unseen frames.

The part of the clip behind ``--share`` drives the avatar in absolute motion, unsmoothed, both
engines with the very same motions, settings and photograph, but for the teeth: the portrait engine
draws them (``--mouth teeth``), the network its own. The reference is the photograph's own frame.
Every frame is drawn; detectors look at up to 40 of them.

- L1: mean difference of whole pictures at 256×256; of mouth and eyes at full size, within the lips'
  outline enlarged 1.35 times and the eyes' enlarged 1.7 times in the true frame.
- AED, AKD: as ``avatar bench --quality`` has them (dlib, true frame's box for all).
- flicker: mean difference of consecutive pictures inside the face oval, over the real clip's.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avatar.core.face.topology import EYE_RINGS, OUTER_LIPS
from avatar.core.frames import Face, Float32, Motion, UInt8Image
from avatar.core.stages import Generator
from avatar.learn.generator.prepare import ReferencePhoto, driven
from avatar.learn.generator.watch import WatchedClip
from avatar.measure.quality.detectors import FaceMeter
from avatar.measure.quality.metrics import descriptor_distance, keypoint_distance, l1, oval_mask

COMPARED_PX = 256
MEASURED_FRAMES = 40
SHOWN_FRAMES = 8
_LIPS_GROWN, _EYES_GROWN = 1.35, 1.7

Draw = Callable[[Motion], UInt8Image]


@dataclass(eq=False)
class EvaluatedEngine:
    """What one engine did: lists have one value a frame, or one a measured frame."""

    l1: list[float] = field(default_factory=list)
    regions: list[float] = field(default_factory=list)
    aed: list[float] = field(default_factory=list)
    akd_px: list[float] = field(default_factory=list)
    change: list[float] = field(default_factory=list)
    times_ms: list[float] = field(default_factory=list)
    last: UInt8Image | None = None


@dataclass(eq=False)
class ComparedFrame:
    """A frame to look at: the truth and what each engine drew, uint8 (H, W, 3) RGB."""

    truth: UInt8Image
    drawn: dict[str, UInt8Image]


@dataclass(eq=False)
class Evaluation:
    """What was measured on one clip, by engine; ``true_change``: the clip's own flicker."""

    frames: int
    engines: dict[str, EvaluatedEngine]
    true_change: list[float] = field(default_factory=list)
    shown: list[ComparedFrame] = field(default_factory=list)

    def figures(self, name: str) -> dict[str, float]:
        """Return the means of one engine; flicker as a ratio to the clip's own."""
        found = self.engines[name]
        return {
            "l1": float(np.mean(found.l1)),
            "regions_l1": float(np.mean(found.regions)),
            "aed": float(np.mean(found.aed)),
            "akd_px": float(np.mean(found.akd_px)),
            "flicker": float(np.mean(found.change) / np.mean(self.true_change)),
            "ms": float(np.median(found.times_ms)),
        }


def evaluate(
    watched: WatchedClip,
    rest: list[int],
    source: ReferencePhoto,
    generators: Mapping[str, Generator],
    on_frame: Callable[[ComparedFrame], None] = lambda shown: None,
) -> Evaluation:
    """Drive ``generators``, which are open, with the frames ``rest``; compare with the truth."""
    meter = FaceMeter()
    result = Evaluation(len(rest), {name: EvaluatedEngine() for name in generators})
    measured = _spread(len(rest), MEASURED_FRAMES)
    shown = _spread(len(rest), SHOWN_FRAMES)
    before: UInt8Image | None = None
    for index, (frame, motion) in enumerate(driven(watched, rest, source)):
        face = watched.frames[rest[index]].face
        assert face is not None
        drawn = {name: _drawn(result.engines[name], g, motion) for name, g in generators.items()}
        truth = _like(frame.image, next(iter(drawn.values())))
        look = ComparedFrame(truth, drawn)
        _compare(result, look, face, before)
        if index in measured:
            _detect(result, look, meter, face)
        if index in shown:
            result.shown.append(look)
        on_frame(look)
        before = truth
    return result


def _drawn(engine: EvaluatedEngine, generator: Generator, motion: Motion) -> UInt8Image:
    begin = time.perf_counter()
    image = generator.generate(motion).image
    engine.times_ms.append((time.perf_counter() - begin) * 1e3)
    return image


def _like(image: UInt8Image, other: UInt8Image) -> UInt8Image:
    """Return the camera's picture in the avatar's size, which is even."""
    return np.ascontiguousarray(image[: other.shape[0], : other.shape[1]])


def _compare(
    result: Evaluation, look: ComparedFrame, face: Face, before: UInt8Image | None
) -> None:
    small = _scaled(look.truth)
    region = region_mask(face.landmarks_px, look.truth)
    oval = oval_mask(face)[: look.truth.shape[0], : look.truth.shape[1]] > 0
    if before is not None:
        result.true_change.append(_difference(look.truth, before, oval))
    for name, image in look.drawn.items():
        engine = result.engines[name]
        engine.l1.append(l1(small, _scaled(image)))
        engine.regions.append(_difference(look.truth, image, region))
        if engine.last is not None:
            engine.change.append(_difference(image, engine.last, oval))
        engine.last = image


def _detect(result: Evaluation, look: ComparedFrame, meter: FaceMeter, face: Face) -> None:
    truth = _scaled(look.truth)
    ratio = COMPARED_PX / np.array(look.truth.shape[1::-1], np.float32)
    points = face.landmarks_px.copy()
    points[:, :2] *= ratio
    scaled = Face(points, face.blendshapes, face.pose, (COMPARED_PX, COMPARED_PX))
    box = meter.box(truth, lambda: scaled)
    true = meter.measure(truth, box)
    for name, image in look.drawn.items():
        found = meter.measure(_scaled(image), box)
        engine = result.engines[name]
        engine.aed.append(descriptor_distance(true.descriptor, found.descriptor))
        engine.akd_px.append(keypoint_distance(true.points_px, found.points_px))


def region_mask(landmarks_px: Float32, image: UInt8Image) -> NDArray[np.bool_]:
    """Return where mouth and eyes are, bool (H, W)."""
    import cv2

    mask = np.zeros(image.shape[:2], np.uint8)
    for ring, grown in ((OUTER_LIPS, _LIPS_GROWN), *((ring, _EYES_GROWN) for ring in EYE_RINGS)):
        points = landmarks_px[ring, :2]
        middle = points.mean(axis=0)
        hull = cv2.convexHull((middle + (points - middle) * np.float32(grown)).astype(np.float32))
        cv2.fillConvexPoly(mask, hull.round().astype(np.int32), (255,))
    return mask > 0


def _difference(a: UInt8Image, b: UInt8Image, where: NDArray[np.bool_]) -> float:
    return float(np.mean(np.abs(a[where].astype(np.int16) - b[where]))) / 255


def _scaled(image: UInt8Image) -> UInt8Image:
    import cv2

    size = (COMPARED_PX, COMPARED_PX)
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def _spread(count: int, wanted: int) -> set[int]:
    return set(np.linspace(0, count - 1, min(wanted, count)).round().astype(int).tolist())


def comparison(result: Evaluation) -> Iterator[tuple[str, float, float, float]]:
    """Yield (figure, portrait's, neural's, change as a share) of what was measured."""
    before, after = result.figures("portrait"), result.figures("neural")
    for key, value in before.items():
        yield key, value, after[key], after[key] / value - 1 if value else 0.0


def as_json(result: Evaluation) -> dict[str, Any]:
    """Return all figures by engine."""
    return {name: result.figures(name) for name in result.engines}
