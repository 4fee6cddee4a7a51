"""First Order Motion Model (arXiv 2003.00196): ten keypoints and how the plane bends at each.

Convention: keypoints are (x, y), −1 to 1 across the square, y down; a jacobian maps a small step
in the network's own reference space to a step in the square.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from avatar.core.frames import Face, Float32, Motion, NetworkMotion, UInt8Image
from avatar.core.options import Options
from avatar.stages.generate.neural.crop import Crop, crop_of_numbers
from avatar.stages.generate.neural.family import Source, Values
from avatar.stages.generate.neural.networks import Networks

POINTS = 10
_DETECTOR, _SOURCE, _FRAME = "fomm/kp_detector", "fomm/source", "fomm/frame"
# A jacobian flatter than this has no useful inverse.
_LEAST_DETERMINANT = 1e-4
# How far the face's front stands before the axis of its turns, in head units.
_DEPTH = 0.8

_POINTS: Mapping[str, tuple[int, ...]] = {"value": (POINTS, 2), "jacobian": (POINTS, 2, 2)}


class FirstOrder:
    """The First Order Motion Model's arithmetic; see ``Family``. ``options``: what was chosen."""

    name = "fomm"
    cpu_frame_s = 0.4
    reasons: Mapping[str, str] = dict.fromkeys(
        ("regions", "retarget_eyes", "retarget_lips"),
        "moves the face as a whole: its keypoints stand for no region",
    )
    # The published crops are of the whole head and little more.
    source_scale, source_shift = 2.2, 0.12
    driver_scale, driver_shift = 2.2, 0.12
    models: tuple[str, ...] = (_DETECTOR, _FRAME)
    source_shapes: Mapping[str, tuple[int, ...]] = {
        "small": (1, 3, 64, 64),
        "features": (1, 256, 64, 64),
        **_POINTS,
    }
    seen_shapes: Mapping[str, tuple[int, ...]] = {**_POINTS, "crop": (3,)}

    def __init__(self, options: Options) -> None:
        self._strength = options.strength

    def encode(self, networks: Networks, picture: UInt8Image) -> dict[str, Float32]:
        """See ``Family``."""
        encoded = networks.infer_once(_SOURCE, {"picture": picture})
        return {**encoded, **_detected(networks, picture)}

    def see(
        self, networks: Networks, picture: UInt8Image, face: Face, eye_closure: Float32, crop: Crop
    ) -> Values:
        """See ``Family``."""
        return {**_detected(networks, picture), "crop": crop.numbers()}

    def rest(self, source: Source) -> Values:
        """See ``Family``."""
        return {name: source.values[name] for name in _POINTS}

    def driven(
        self, networks: Networks, source: Source, motion: NetworkMotion, *, absolute: bool
    ) -> Values:
        """See ``Family``."""
        rest = self.rest(source)
        wanted = in_reference(motion.values, motion.reference)
        if not absolute:
            wanted = relative(rest, wanted, motion.reference)
        share = np.float32(self._strength)
        return {name: rest[name] + (wanted[name] - rest[name]) * share for name in _POINTS}

    def moved(self, networks: Networks, source: Source, motion: Motion) -> Values:
        """See ``Family``: the plane of the face, turned in space and seen from the front."""
        unit = np.float32(source.head_unit)
        # The head frame has y up.
        flip = np.array([1, -1], np.float32)
        turned = flip[:, None] * motion.rotation[:2, :2] * flip
        turned = turned * np.float32(np.clip(motion.scale, 0.5, 2))
        shift = (motion.translation + motion.rotation[:2, 2] * flip * np.float32(_DEPTH)) * unit
        value, jacobian = source.values["value"], source.values["jacobian"]
        middle = value.mean(axis=0)
        return {
            "value": (value - middle) @ turned.T + middle + shift,
            "jacobian": turned @ jacobian,
        }

    def draw(self, networks: Networks, source: Source, points: Values) -> UInt8Image:
        """See ``Family``."""
        still = {name: source.values[name] for name in ("small", "features")}
        feeds: dict[str, Float32] = {}
        for side, values in (("source", source.values), ("driving", points)):
            feeds |= {f"{side}_{name}": values[name][None] for name in _POINTS}
        picture: UInt8Image = networks.infer(_FRAME, feeds, still)["picture"]
        return picture


FAMILY = FirstOrder


def _detected(networks: Networks, picture: UInt8Image) -> dict[str, Float32]:
    found = networks.infer(_DETECTOR, {"picture": picture})
    return {name: np.asarray(found[name][0], np.float32) for name in _POINTS}


def relative(source: Values, now: Values, then: Values) -> Values:
    """Return k_s + (k_d − k_d0)·scale and J_d J_d0⁻¹ J_s.

    The scale is the ratio of the sides of source and reference, each the root of its hull's area.
    """
    size = hull_area(then["value"])
    scale = np.float32((hull_area(source["value"]) / size) ** 0.5 if size > 1e-6 else 1)
    bend = np.broadcast_to(np.eye(2, dtype=np.float32), then["jacobian"].shape).copy()
    sound = np.abs(np.linalg.det(then["jacobian"])) > _LEAST_DETERMINANT
    bend[sound] = now["jacobian"][sound] @ np.linalg.inv(then["jacobian"][sound])
    return {
        "value": source["value"] + (now["value"] - then["value"]) * scale,
        "jacobian": bend @ source["jacobian"],
    }


def hull_area(points: Float32) -> float:
    """Return the area of the convex hull of points, float32 (n, 2)."""
    import cv2

    return float(cv2.contourArea(cv2.convexHull(points.astype(np.float32))))


def in_reference(seen: Values, reference: Values) -> Values:
    """Return ``seen`` in the coordinates of the reference's square."""
    ratio, offset = crop_of_numbers(seen["crop"]).placed_in(crop_of_numbers(reference["crop"]))
    return {
        **seen,
        "value": seen["value"] * np.float32(ratio) + offset,
        "jacobian": seen["jacobian"] * np.float32(ratio),
    }
