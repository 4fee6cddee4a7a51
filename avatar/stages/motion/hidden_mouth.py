"""A mouth that something hides: a hand, a microphone, a cup.

The landmark network is as sure of a face whose mouth it cannot see, and lays lips somewhere on the
thing. But lips have a colour of their own beside the face's skin, and a driver's stays what it is,
whatever is said and whatever light falls on both. What is no lip any more is told by that.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from avatar.core.face.regions import MOUTH, blendshape_regions, region_shares
from avatar.core.face.topology import INNER_LIPS, OUTER_LIPS
from avatar.core.frames import Face, Float32, Motion, UInt8Image

# Skin of the upper face, whose light lips are compared with: the nose's ridge, under the eyes, the
# forehead; and skin around the mouth.
_UPPER = np.array([6, 197, 195, 5, 101, 330, 118, 347, 9, 151, 107, 336])
_AROUND = np.array([50, 205, 206, 203, 280, 425, 426, 423, 164, 18, 200, 199])
_LIPS = len(INNER_LIPS)
_NEAR = np.array([(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)])
# Levels of a camera's noise in the dark, so that logarithms of black are no colours.
_DARK = np.float32(6)
# What lips' colours differ by from day to day: logarithms of red and of blue over green, of green.
_SPREAD = np.array([0.15, 0.15, 0.5], np.float32)
# In such spreads, the middle of all lip: talking, laughing and turning heads stay under 1.6,
# things were 3 and more. The second ends what the first began.
_STRANGE, _USUAL, _LEARNED = 2.3, 1.7, 1.5
# A hand has the colour of skin: it takes away what lips are redder by, of which even laughing
# leaves two fifths. Lips that hardly differ from skin cannot tell.
_PALE, _RED_AGAIN, _PALE_STRANGE, _TELLING = 0.2, 0.35, 0.9, 0.05
# In a dim picture colours tremble: what is lost of redness has to be more than so many times that,
# and what is strange so many times the usual.
_CERTAIN, _OVER_USUAL, _NOISE_SHARE = 4.0, 2.5, 0.1
_FRAMES = 60
_FIRST = 5
# Turned further (sine), half of the lips are hidden by the face itself.
_ASIDE = 0.6
_SEEN_AFTER_NS = 250_000_000
# What has been there for so long and is redder than skin, is lips in another light.
_USED_TO_NS, _LEAST_RED = 20_000_000_000, 0.03

_RESTS_S, _RETURNS_S = 0.12, 0.25
_MOUTH_SCORES = np.flatnonzero(blendshape_regions() == MOUTH)


class MouthSight:
    """Tells whether one driver's mouth is seen, by what his lips looked like until now."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Begin with somebody else's lips."""
        self._lips = np.zeros((_LIPS, 3), np.float32)
        self._redness = self._redness_before = 0.0
        self._trembles = self._usual = 0.0
        self._frames = 0
        self._hidden_ns: int | None = None  # since when; None: it is seen
        self._usual_ns: int | None = None  # since when a hidden one looks usual again

    def sees(self, image: UInt8Image, face: Face, now_ns: int) -> bool:
        """Return whether the mouth of ``face`` is seen in ``image``, uint8 (H, W, 3) RGB.

        A picture of another size than the one it was found in tells nothing.
        """
        fits = image.shape[1::-1] == face.image_size_px
        if not fits or abs(float(face.pose[0, 2])) > _ASIDE:
            return self._hidden_ns is None
        colours, inside = _colours(image, face.landmarks_px)
        if inside < 0.5:  # of the picture's edge nothing is learned
            return self._looks(2 * _STRANGE, 1.0, now_ns)
        lips, redness = colours[:_LIPS], _redness(colours)
        if self._frames == 0:
            self._lips, self._redness = lips.copy(), redness
        apart = (lips - self._lips) / _SPREAD
        strange = float(_middle(np.sqrt((apart * apart).sum(axis=1))))
        certain = self._redness - redness > _CERTAIN * self._trembles
        telling = self._redness > _TELLING and (certain or self._hidden_ns is not None)
        relative = strange * min(1.0, _STRANGE / (_OVER_USUAL * max(self._usual, 1e-3)))
        seen = self._looks(relative, redness / self._redness if telling else 1.0, now_ns)
        if seen and (strange < _LEARNED or self._frames < _FIRST):
            self._learn(lips, redness, strange)
        elif self._is_used_to(now_ns) and redness > _LEAST_RED:
            self.forget()
        return seen

    def _looks(self, strange: float, red: float, now_ns: int) -> bool:
        """Return whether it counts as seen. ``red``: its redness in shares of the usual one."""
        if self._hidden_ns is None:
            if strange > _STRANGE or (red < _PALE and strange > _PALE_STRANGE):
                self._hidden_ns, self._usual_ns = now_ns, None
        elif strange > _USUAL or red < _RED_AGAIN:
            self._usual_ns = None
        else:
            self._usual_ns = now_ns if self._usual_ns is None else self._usual_ns
            if now_ns - self._usual_ns >= _SEEN_AFTER_NS:
                self._hidden_ns = None
        return self._hidden_ns is None

    def _is_used_to(self, now_ns: int) -> bool:
        return self._hidden_ns is not None and now_ns - self._hidden_ns >= _USED_TO_NS

    def _learn(self, lips: Float32, redness: float, strange: float) -> None:
        change = abs(redness - self._redness_before) if self._frames else 0.0
        self._redness_before = redness
        self._trembles += _NOISE_SHARE * (change - self._trembles)
        self._usual += _NOISE_SHARE * (strange - self._usual)
        self._frames = min(self._frames + 1, _FRAMES)
        share = 1 / self._frames
        self._lips += np.float32(share) * (lips - self._lips)
        self._redness += share * (redness - self._redness)


class MouthAtRest:
    """Lets a hidden mouth come to rest, and go on from there when it is seen again."""

    def __init__(self) -> None:
        self._share = 1.0  # of what is measured
        self._shown: tuple[Float32, Float32] | None = None
        self._neutral: Float32 | None = None
        self._last_ns = 0

    def __call__(self, motion: Motion, seen: bool) -> Motion:
        """Return ``motion``, with the mouth at rest, or on its way there and back, where not seen.

        Nothing jumps: a hidden mouth begins with what was shown last, not with what is measured.
        """
        elapsed_s = max((motion.timestamp_ns - self._last_ns) / 1e9, 0.0)
        self._last_ns = motion.timestamp_ns
        if motion.neutral is not self._neutral:  # displacements from another shape
            self._neutral, self._shown = motion.neutral, None
            self._region = region_shares(motion.neutral)[:, MOUTH : MOUTH + 1]
        rest = motion.neutral if motion.absolute else np.zeros_like(motion.neutral)
        scores = motion.blendshapes
        if seen:
            self._share = min(1.0, self._share + elapsed_s / _RETURNS_S)
        else:
            self._share = 0.0
        if self._share >= 1:
            self._shown = motion.expression, scores
            return motion
        still = np.float32(np.exp(-elapsed_s / _RESTS_S))
        shape, marks = (rest, np.zeros_like(scores)) if self._shown is None else self._shown
        shape, marks = rest + still * (shape - rest), marks * still
        share = np.float32(self._share)
        shape = shape + share * (motion.expression - shape)
        marks = marks + share * (scores - marks)
        self._shown = shape, marks
        mixed = scores.copy()
        mixed[_MOUTH_SCORES] = marks[_MOUTH_SCORES]
        expression = motion.expression + self._region * (shape - motion.expression)
        # Without the driver's picture nothing of the thing is drawn.
        track = motion.track
        return replace(
            motion,
            expression=expression.astype(np.float32),
            blendshapes=mixed,
            mouth_seen=seen,
            track=track if seen or track is None else replace(track, camera=None),
        )


def _colours(image: UInt8Image, landmarks_px: Float32) -> tuple[Float32, float]:
    """Return colours against the upper face's, and the share of the lips inside the picture.

    float32 (32, 3), lips' middle lines and skin around the mouth: the logarithms of red over green,
    of blue over green, and of green.
    """
    lips = (landmarks_px[INNER_LIPS, :2] + landmarks_px[OUTER_LIPS, :2]) / 2
    points = np.concatenate([lips, landmarks_px[_AROUND, :2], landmarks_px[_UPPER, :2]])
    top = np.array(image.shape[1::-1], np.float32) - 2
    inside = float(((lips >= 1) & (lips <= top)).all(axis=1).mean())
    x, y = np.clip(points, 1, top).astype(np.intp).T
    near = image[y[:, None] + _NEAR[:, 0], x[:, None] + _NEAR[:, 1]]
    light = np.log(near.mean(axis=1, dtype=np.float32) + _DARK)
    light -= _middle(light[-len(_UPPER) :])
    light[:, [0, 2]] -= light[:, 1:2]
    return light[: -len(_UPPER), [0, 2, 1]], inside


def _redness(colours: Float32) -> float:
    """Return how much redder lips are than the skin around them, of ``_colours``."""
    return float(_middle(colours[:_LIPS, 0]) - _middle(colours[_LIPS:, 0]))


def _middle(values: Float32) -> Float32:
    """Return the upper of the middle values along the first axis: of few, faster than a median."""
    return np.asarray(np.sort(values, axis=0)[len(values) // 2])
