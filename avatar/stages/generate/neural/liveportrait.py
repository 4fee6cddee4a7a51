"""LivePortrait: implicit 3-D keypoints (arXiv 2407.03168), and how they are driven.

Convention: keypoints are rows, x to the right, y down, z along the line of sight, −1 to 1 across
the square. A face is x = s·(x_c R + δ) + t: canonical keypoints x_c, head rotation R, expression
δ, scale s, place t, which is added to x and y only. R = (R_z R_y R_x)ᵀ of pitch, yaw and roll.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from avatar.core.frames import Face, Float32, Motion, NetworkMotion, UInt8Image
from avatar.core.options import Options
from avatar.stages.generate.neural.crop import Crop, crop_of_numbers, eye_ratios, lip_ratio
from avatar.stages.generate.neural.family import Source, Values
from avatar.stages.generate.neural.networks import Networks

POINTS = 21
# What the keypoints came to stand for, as in the published program. Pose shows in the others.
EYES = np.array([11, 13, 15, 16, 18])
LIPS = np.array([6, 12, 14, 17, 19, 20])
_BINS = 66
_BIN_DEG, _FIRST_DEG = 3.0, 97.5

_APPEARANCE = "liveportrait/appearance_feature_extractor"
_MOTION = "liveportrait/motion_extractor"
_FRAME = "liveportrait/frame"
_PART = "liveportrait/stitching_retargeting_module"

_SEEN: Mapping[str, tuple[int, ...]] = {
    "rotation": (3, 3),
    "expression": (POINTS, 3),
    "translation": (3,),
    "scale": (1,),
}


def degrees(bins: Float32) -> float:
    """Return Σ softmax·index·3 − 97.5 of 66 bins' scores, float32 (1, 66)."""
    scores = np.exp(bins[0].astype(np.float64) - bins.max())
    share = scores / scores.sum()
    return float(share @ np.arange(_BINS)) * _BIN_DEG - _FIRST_DEG


def rotation(pitch_deg: float, yaw_deg: float, roll_deg: float) -> Float32:
    """Return (R_z R_y R_x)ᵀ, float32 (3, 3), for rows of points."""
    x, y, z = np.radians([pitch_deg, yaw_deg, roll_deg])
    cos, sin = np.cos([x, y, z]), np.sin([x, y, z])
    rx = np.array([[1, 0, 0], [0, cos[0], -sin[0]], [0, sin[0], cos[0]]])
    ry = np.array([[cos[1], 0, sin[1]], [0, 1, 0], [-sin[1], 0, cos[1]]])
    rz = np.array([[cos[2], -sin[2], 0], [sin[2], cos[2], 0], [0, 0, 1]])
    return np.asarray((rz @ ry @ rx).T, np.float32)


def keypoints(canonical: Float32, pose: Values) -> Float32:
    """Return s·(x_c R + δ) + t, float32 (21, 3)."""
    points = pose["scale"] * (canonical @ pose["rotation"] + pose["expression"])
    points[:, :2] += pose["translation"][:2]
    return np.asarray(points, np.float32)


def pose_of(heads: Mapping[str, Float32]) -> dict[str, Float32]:
    """Return what the motion extractor's outputs say, named as in the motion template."""
    return {
        "rotation": rotation(*(degrees(heads[name]) for name in ("pitch", "yaw", "roll"))),
        "expression": heads["exp"].reshape(POINTS, 3),
        "translation": heads["t"].reshape(3),
        "scale": heads["scale"].reshape(1),
    }


class LivePortrait:
    """LivePortrait's arithmetic; see ``Family``. ``options``: what was chosen about it."""

    name = "liveportrait"
    cpu_frame_s = 5.0
    reasons: Mapping[str, str] = MappingProxyType({})
    source_scale, source_shift = 2.3, 0.125
    driver_scale, driver_shift = 2.2, 0.1
    source_shapes: Mapping[str, tuple[int, ...]] = {
        "feature_3d": (1, 32, 16, 64, 64),
        "canonical": (POINTS, 3),
        **_SEEN,
    }
    seen_shapes: Mapping[str, tuple[int, ...]] = {
        **_SEEN,
        "crop": (3,),
        "closure": (2,),
        "lips": (1,),
    }

    def __init__(self, options: Options) -> None:
        self._options = options

    @property
    def models(self) -> tuple[str, ...]:
        """The models of every frame; the small ones only where they are asked for."""
        options = self._options
        parts = (
            ("stitching", options.stitching),
            ("eye", options.retarget_eyes),
            ("lip", options.retarget_lips),
        )
        return (_MOTION, _FRAME, *(f"{_PART}/{part}" for part, wanted in parts if wanted))

    def encode(self, networks: Networks, picture: UInt8Image) -> dict[str, Float32]:
        """See ``Family``."""
        heads = networks.infer(_MOTION, {"picture": picture})
        return {
            **networks.infer_once(_APPEARANCE, {"picture": picture}),
            "canonical": heads["kp"].reshape(POINTS, 3),
            **pose_of(heads),
        }

    def see(
        self, networks: Networks, picture: UInt8Image, face: Face, eye_closure: Float32, crop: Crop
    ) -> Values:
        """See ``Family``."""
        return {
            **pose_of(networks.infer(_MOTION, {"picture": picture})),
            "crop": crop.numbers(),
            "closure": eye_closure,
            "lips": lip_ratio(face),
        }

    def rest(self, source: Source) -> Values:
        """See ``Family``."""
        return {"points": keypoints(source.values["canonical"], source.values)}

    def driven(
        self, networks: Networks, source: Source, motion: NetworkMotion, *, absolute: bool
    ) -> Values:
        """See ``Family``. Strength, eye and lip retargeting and stitching come in this order."""
        pose = driven_pose(source.values, motion, self._options.regions, absolute=absolute)
        if self._options.retarget_eyes:
            pose["expression"][EYES] = source.values["expression"][EYES]
        if self._options.retarget_lips:
            pose["expression"][LIPS] = source.values["expression"][LIPS]
        points = keypoints(source.values["canonical"], pose)
        rest = self.rest(source)["points"]
        points = rest + (points - rest) * np.float32(self._options.strength)
        lips = motion.values["lips"] if self._options.retarget_lips else None
        points = points + self._retargeted(networks, source, motion.values["closure"], lips)
        return {"points": self._stitched(networks, rest, points)}

    def moved(self, networks: Networks, source: Source, motion: Motion) -> Values:
        """See ``Family``."""
        # The head frame has y up and z towards the viewer.
        flip = np.diag(np.array([1, -1, -1], np.float32))
        pose = dict(source.values)
        turn = np.asarray(flip @ motion.rotation @ flip, np.float32)
        pose["rotation"] = pose["rotation"] @ turn.T
        pose["translation"] = pose["translation"].copy()
        pose["translation"][:2] += motion.translation * np.float32(source.head_unit)
        pose["scale"] = pose["scale"] * np.float32(np.clip(motion.scale, 0.5, 2))
        points = keypoints(source.values["canonical"], pose)
        if not np.isfinite(points).all():
            return self.rest(source)
        points = points + self._retargeted(networks, source, motion.eye_closure, None)
        return {"points": self._stitched(networks, self.rest(source)["points"], points)}

    def draw(self, networks: Networks, source: Source, points: Values) -> UInt8Image:
        """See ``Family``."""
        still = {"feature_3d": source.values["feature_3d"]}
        feeds = {
            "kp_source": self.rest(source)["points"][None],
            "kp_driving": np.ascontiguousarray(points["points"][None]),
        }
        picture: UInt8Image = networks.infer(_FRAME, feeds, still)["picture"]
        return picture

    def _stitched(self, networks: Networks, rest: Float32, driving: Float32) -> Float32:
        """Return the driving keypoints corrected so that the shoulders stay where they are."""
        if not self._options.stitching:
            return driving
        joined = np.concatenate([rest.ravel(), driving.ravel()])[None].astype(np.float32)
        change = networks.infer(f"{_PART}/stitching", {"input": joined})["output"][0]
        stitched = driving + change[: POINTS * 3].reshape(POINTS, 3)
        stitched[:, :2] += change[POINTS * 3 :]
        return np.asarray(stitched, np.float32)

    def _retargeted(
        self, networks: Networks, source: Source, closure: Float32, lips: Float32 | None
    ) -> Float32:
        """Return what eye and lip retargeting add to the keypoints, float32 (21, 3).

        Lids go where the driver's are, measured by how far they are shut, so that narrow and wide
        eyes shut alike; lips by the distance between them.
        """
        change = np.zeros((POINTS, 3), np.float32)
        if source.face is None:
            return change
        rest = self.rest(source)["points"].ravel()
        if self._options.retarget_eyes:
            own = eye_ratios(source.face)
            wanted = np.float32(own.mean()) * np.clip(1 - closure.mean(), 0, 1.4)
            feeds = np.concatenate([rest, own[::-1], [wanted]])[None].astype(np.float32)
            change += networks.infer(f"{_PART}/eye", {"input": feeds})["output"].reshape(POINTS, 3)
        if lips is not None:
            feeds = np.concatenate([rest, lip_ratio(source.face), lips])[None].astype(np.float32)
            change += networks.infer(f"{_PART}/lip", {"input": feeds})["output"].reshape(POINTS, 3)
        return change


def driven_pose(
    source: Values, motion: NetworkMotion, regions: Collection[str], *, absolute: bool
) -> dict[str, Float32]:
    """Return the photograph's pose as the driver's motion makes it, in the regions that follow.

    ``source``, ``motion``: named as ``pose_of`` names them. Relative: R = (R_d R_d0ᵀ) R_s,
    δ = δ_s + (δ_d − δ_d0), s = s_s·s_d/s_d0, t = t_s + (t_d − t_d0). Absolute takes R, δ and t of
    the driver and keeps the photograph's scale, as the published program does.
    """
    now, then = in_reference(motion.values, motion.reference), motion.reference
    pose = {name: source[name].copy() for name in _SEEN}
    if "pose" in regions:
        if absolute:
            pose |= {name: now[name].copy() for name in ("rotation", "translation")}
        else:
            turn = now["rotation"] @ then["rotation"].T
            pose["rotation"] = np.asarray(turn @ source["rotation"], np.float32)
            pose["translation"] = source["translation"] + now["translation"] - then["translation"]
            pose["scale"] = source["scale"] * now["scale"] / then["scale"]
    expression = now["expression"]
    if not absolute:
        expression = source["expression"] + expression - then["expression"]
    pose["expression"] = np.where(_follows(regions), expression, source["expression"])
    return pose


def in_reference(seen: Values, reference: Values) -> Values:
    """Return ``seen`` with its place and size in the coordinates of the reference's square."""
    ratio, offset = crop_of_numbers(seen["crop"]).placed_in(crop_of_numbers(reference["crop"]))
    translation = seen["translation"] * np.float32(ratio)
    translation[:2] += offset
    return {**seen, "translation": translation, "scale": seen["scale"] * np.float32(ratio)}


def _follows(regions: Collection[str]) -> NDArray[np.bool_]:
    """Return which parts of the expression follow the driver, bool (21, 3).

    Without the pose, the expression leaves out what the head's turns leak into it.
    """
    chosen = np.zeros((POINTS, 3), np.bool_)
    if "expression" in regions and "pose" in regions:
        chosen[:] = True
    elif "expression" in regions:
        chosen[[1, 2, *EYES, *LIPS]] = True
        chosen[3:5, 1] = chosen[5, 2] = chosen[8, 2] = chosen[9, 1:] = True
    if "eyes" in regions:
        chosen[EYES] = True
    if "lips" in regions:
        chosen[LIPS] = True
    return chosen


FAMILY = LivePortrait
