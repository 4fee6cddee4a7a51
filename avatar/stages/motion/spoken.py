"""The mouth by the voice: displacements of jaw and lips, and a retargeter that adds them.

A face that speaks is not seen here but made, from four movements that every face has: the jaw
turns down about its joints, lips part, draw together and forward, or spread. They are smooth
functions of a landmark's place, measured in the face's own mouth width, so that they fit any shape
whose landmarks are MediaPipe's.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Literal

import numpy as np

from avatar.core.curves import eased, smooth_step
from avatar.core.face.head import lips_gap, mouth_width
from avatar.core.face.regions import MOUTH, region_shares
from avatar.core.face.rotation import rotation_from_vector
from avatar.core.face.topology import LIPS_MIDDLE, LOWER_LIP, MOUTH_CORNERS, UPPER_LIP
from avatar.core.frames import BLENDSHAPE_INDEX, FaceTrack, Float32, Motion, Presence
from avatar.core.speech import Articulation
from avatar.core.stages import Retargeter

Drive = Literal["audio", "both", "auto"]
Voice = Callable[[int, int], Articulation]
"""Returns the mouth at a moment, counting closures some time before it; both nanoseconds."""

LAG_NS = 40_000_000
"""So much later than it is heard a voice moves the mouth where no camera sets the moment: what is
heard then has been analysed, and the sound, which waits anyway, waits as long."""

# In mouth widths: how far the lower lip goes down, and the upper one up, at the widest.
_JAW_DROP, _LIP_RISE = 0.33, 0.05
# How far lips draw together, forward, and spread: shares of their distance from the middle.
_PUCKER_IN, _PUCKER_OUT, _SPREAD = 0.38, 0.16, 0.14
# Lips seen nearer than this, in mouth widths over their resting gap, may be shut by sound; from
# the second on none is.
_NEAR, _FAR = 0.12, 0.30
_FRAME_NS = 33_000_000
_CHANGE_S = 0.2
_NOD, _NOD_S = math.radians(2.5), 0.35
_JAW, _PUCKER = BLENDSHAPE_INDEX["jawOpen"], BLENDSHAPE_INDEX["mouthPucker"]
_STRETCHES = [BLENDSHAPE_INDEX["mouthStretchLeft"], BLENDSHAPE_INDEX["mouthStretchRight"]]


class MouthBasis:
    """The mouth's movements on one shape.

    ``shape``: float32 (478, 3), head frame, head units, at rest.
    """

    def __init__(self, shape: Float32) -> None:
        self.shape = shape
        self.region = region_shares(shape)[:, MOUTH : MOUTH + 1]
        left, right = shape[list(MOUTH_CORNERS)]
        self.width = max(mouth_width(shape), 1e-3)
        middle = (shape[LIPS_MIDDLE[0]] + shape[LIPS_MIDDLE[1]]) / 2
        from_middle = (shape - middle) / np.float32(self.width)
        across, up = from_middle[:, 0], from_middle[:, 1]
        # The line between the lips bends from the corners to the middle.
        corners_up = float(((left + right) / 2 - middle)[1]) / self.width
        line = corners_up * np.clip((2 * across) ** 2, 0, 1)
        # At the corners lips do not part; below them the jaw takes the whole cheek along.
        below = smooth_step((line - up) / 0.02)
        # Where lips touch, place does not tell the upper from the lower.
        below[UPPER_LIP], below[LOWER_LIP] = 0, 1
        parted = np.sqrt(np.clip(1 - (across / 0.52) ** 2, 0, 1))
        deep = smooth_step((line - up - 0.05) / 0.35)
        aside = 1 - smooth_step((np.abs(across) - 0.6) / 1.0)
        lips = 1 - smooth_step((np.abs(up - line) - 0.12) / 0.4)
        self._lower = below * np.maximum(parted * lips, deep * aside)
        self._upper = (1 - below) * parted * lips
        self._jaw = np.zeros_like(shape)
        self._jaw[:, 1] = _LIP_RISE * self._upper - _JAW_DROP * self._lower
        # The jaw turns: what goes down goes back.
        self._jaw[:, 2] = -0.25 * _JAW_DROP * self._lower * deep
        near = np.exp(-((across / 0.75) ** 2) - (up / 0.45) ** 2)
        self._pucker = np.zeros_like(shape)
        self._pucker[:, 0] = -_PUCKER_IN * across * near
        self._pucker[:, 2] = _PUCKER_OUT * near
        self._stretch = np.zeros_like(shape)
        self._stretch[:, 0] = _SPREAD * np.tanh(4 * across) * near
        for part in (self._jaw, self._pucker, self._stretch):
            part *= self.region * np.float32(self.width)

    def displacement(self, mouth: Articulation) -> Float32:
        """Return where ``mouth`` moves each landmark, float32 (478, 3), head units."""
        moved = (
            np.float32(mouth.opening) * self._jaw
            + np.float32(mouth.pucker) * self._pucker
            + np.float32(mouth.stretch) * self._stretch
        )
        return self.shut(moved, mouth.closure)

    def gap(self, displacement: Float32) -> float:
        """Return the distance of the lips beyond their resting one, mouth widths."""
        return lips_gap(displacement) / self.width

    def shut(self, displacement: Float32, share: float) -> Float32:
        """Return ``displacement`` with the lips brought together by ``share`` of their gap.

        The gap in the resting shape goes, too; the lower lip goes most of the way.
        """
        shape = self.shape + displacement
        gap = lips_gap(shape)
        if share <= 0 or gap <= 0:
            return displacement
        way = np.float32(share * gap) * self.region[:, 0]
        out = displacement.copy()
        out[:, 1] += way * (0.75 * self._lower - 0.25 * self._upper)
        return out


class VoiceDriven:
    """A retargeter that lets a voice move the mouth of another one's motion.

    ``drive``: ``audio`` always; ``auto`` while no face, or no mouth, is seen; ``both`` as
    ``auto``, and where lips are seen to be near each other the voice's closures shut them.
    ``shape``: float32 (478, 3), the avatar's own, for as long as no driver was seen. ``strength``:
    of the voice's movements.
    """

    def __init__(
        self, inner: Retargeter, voice: Voice, drive: Drive, shape: Float32, strength: float = 1.0
    ) -> None:
        self._inner, self._voice, self._drive = inner, voice, drive
        self._strength = strength
        self._own = self._basis = MouthBasis(shape)
        self._of: Float32 | None = None
        self._share = 0.0
        self._nod = 0.0
        self._last_ns: int | None = None

    @property
    def lag_s(self) -> float:
        """Return how far the picture lags behind the voice by intention, at present."""
        return LAG_NS / 1e9 if self._share > 0.5 else 0.0

    def take_reference(self) -> None:
        """See ``Retargeter``."""
        self._inner.take_reference()

    def retarget(self, track: FaceTrack | None, now_ns: int) -> Motion:
        """Return the inner motion with the mouth that is heard."""
        motion = self._inner.retarget(track, now_ns)
        elapsed_s = 0.0 if self._last_ns is None else (now_ns - self._last_ns) / 1e9
        self._last_ns = now_ns
        seen = motion.presence in (Presence.TRACKED, Presence.PREDICTED)
        heard = self._drive == "audio" or not (seen and motion.mouth_seen)
        step = min(max(elapsed_s, 0.0) / _CHANGE_S, 1.0)
        self._share = min(1.0, self._share + step) if heard else max(0.0, self._share - step)
        basis = self._basis_for(motion)
        if self._share > 0:
            motion = self._spoken(motion, basis, self._voice(now_ns - LAG_NS, _FRAME_NS), elapsed_s)
        if self._drive == "both" and self._share < 1 and motion.neutral.any():
            motion = self._sharpened(motion, basis, self._voice(motion.timestamp_ns, _FRAME_NS))
        return motion

    def _basis_for(self, motion: Motion) -> MouthBasis:
        """Return the movements on the driver's shape, or the avatar's where none is known."""
        if not motion.neutral.any():
            return self._own
        if motion.neutral is not self._of:
            self._of, self._basis = motion.neutral, MouthBasis(motion.neutral)
        return self._basis

    def _spoken(
        self, motion: Motion, basis: MouthBasis, mouth: Articulation, elapsed_s: float
    ) -> Motion:
        share = np.float32(eased(self._share))
        rest = motion.neutral if motion.absolute else np.float32(0)
        spoken = basis.displacement(self._scaled(mouth))
        seen = motion.expression - rest
        part = share * basis.region
        scores = motion.blendshapes.copy()
        for name, value in (
            (_JAW, 0.7 * mouth.opening), (_PUCKER, mouth.pucker),
            *((stretch, 0.5 * mouth.stretch) for stretch in _STRETCHES),
        ):  # fmt: skip
            scores[name] += share * (np.float32(min(value * self._strength, 1)) - scores[name])
        # Heads nod along with what is stressed.
        stress = mouth.loudness if mouth.speaking else 0.0
        self._nod += min(elapsed_s / _NOD_S, 1.0) * (stress - self._nod)
        nod = np.array([self._share * self._strength * _NOD * self._nod, 0, 0], np.float32)
        return replace(
            motion,
            expression=(rest + seen + part * (spoken - seen)).astype(np.float32),
            blendshapes=scores,
            rotation=(rotation_from_vector(nod) @ motion.rotation).astype(np.float32),
        )

    def _scaled(self, mouth: Articulation) -> Articulation:
        s = self._strength
        return replace(mouth, jaw=s * mouth.jaw, pucker=s * mouth.pucker, stretch=s * mouth.stretch)

    def _sharpened(self, motion: Motion, basis: MouthBasis, mouth: Articulation) -> Motion:
        """Shut lips that are seen to be near each other where the voice says that they touch."""
        rest = motion.neutral if motion.absolute else np.float32(0)
        seen = motion.expression - rest
        near = 1 - min(1.0, max(0.0, (basis.gap(seen) - _NEAR) / (_FAR - _NEAR)))
        share = near * mouth.closure * (1 - self._share)
        if share <= 0:
            return motion
        return replace(motion, expression=(rest + basis.shut(seen, share)).astype(np.float32))
