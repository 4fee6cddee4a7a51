"""From what the tracker says of an expression to what the driver means by it.

With a profile (``avatar.core.person.Person``) by the driver's own range; without one by the usual
range, which learns from the driver's blinks while running.
"""

from __future__ import annotations

import numpy as np

from avatar.core.face.head import eye_opening
from avatar.core.face.regions import region_shares
from avatar.core.frames import BLENDSHAPE_INDEX, Float32
from avatar.core.person import MOSTLY_SHUT, Person

BLINKS = [BLENDSHAPE_INDEX["eyeBlinkLeft"], BLENDSHAPE_INDEX["eyeBlinkRight"]]
_SMILES = [BLENDSHAPE_INDEX["mouthSmileLeft"], BLENDSHAPE_INDEX["mouthSmileRight"]]
_LOOKS_DOWN = [BLENDSHAPE_INDEX["eyeLookDownLeft"], BLENDSHAPE_INDEX["eyeLookDownRight"]]
_MOUTH = [BLENDSHAPE_INDEX[name] for name in ("jawOpen", "mouthPucker", "mouthFunnel")] + _SMILES
# A shut eye of MediaPipe's still has this share of its open lids' distance (measured on blinks).
SHUT_SHARE = 0.25
# From here on a blink score counts, and over this span it counts as shut.
_SCORE_FROM, _SCORE_SPAN = 0.35, 0.3
# What a person's shut eye may have, and up to where the blink score may count as shut.
_SHUT_LIMITS, _SCORE_LIMITS = (0.05, 0.5), (0.42, 0.8)
# A blink goes below the one, ends above the other, and takes at most so long; its score shows
# that it is one.
_BLINK_BELOW, _BLINK_ENDS, _BLINK_S, _BLINK_SCORE = 0.6, 0.75, 0.5, 0.35
# A camera seldom sees the very lowest point, and no two blinks are alike.
_EASE = 1.12
# Blinks after which each one more counts as this share.
_LEAST_RATE = 0.15
# How fast the open lids' distance is learnt, and how far it may go from the reference's.
_OPEN_S_FIRST, _OPEN_S_LATER, _FIRST_S = 1.5, 40.0, 8.0
_OPEN_LIMITS = (0.8, 1.25)
_AT_REST = 0.2
_REACH_SLACK = 1.3
_KNOWN_SPAN = np.full(2, 0.5, np.float32)


_USUAL_SHUT = np.full(2, SHUT_SHARE, np.float32)
_USUAL_SPAN = np.full(2, _SCORE_SPAN, np.float32)


def closure(
    opening: Float32, open_lids: Float32, shut_share: Float32, scores: Float32, span: Float32
) -> Float32:
    """Return how far each lid is shut, float32 (2,), from its own distance and its blink score.

    ``opening``: lids' distance in eye widths; ``open_lids``: that of open eyes; ``shut_share``:
    what of it is left in shut ones. ``scores``: blink blendshapes; ``span``: from where they begin
    to count to a shut eye's.

    The distance is exact for open eyes but never reaches zero; the blendshape knows a shut eye but
    also rises when the driver looks down. Both must agree for a half-shut lid; near the end the
    blendshape closes it.
    """
    by_distance = (1 - opening / np.maximum(open_lids, 0.05)) / (1 - shut_share)
    by_score = np.clip((scores - _SCORE_FROM) / span, 0.0, 1.0)
    shut = np.clip(by_distance, -0.4, 1.0)
    return np.maximum(shut, np.where(shut > 0.35, by_score, shut)).astype(np.float32)


def usual_closure(shape: Float32, reference: Float32, scores: Float32) -> Float32:
    """Return how far each lid of any driver is shut; nothing is learnt."""
    return closure(
        eye_opening(shape), eye_opening(reference), _USUAL_SHUT, scores[BLINKS], _USUAL_SPAN
    )


class LearningEyes:
    """Lids of a driver without a profile: the usual range, corrected by each blink that is seen.

    A blink's lowest point is a shut eye of this driver's, on this camera. The first ones count
    much, later ones little. The open lids' distance follows faces at rest, quickly at first and
    then over a minute; nothing is learnt while the mouth moves, so that speech does not drift.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget what was learnt."""
        self._shut = np.full(2, SHUT_SHARE, np.float32)
        self._full = np.full(2, _SCORE_FROM + _SCORE_SPAN, np.float32)
        self._open_factor = np.ones(2, np.float32)
        self._blinks = np.zeros(2, np.intp)
        self._lowest = np.ones(2, np.float32)
        self._highest = np.zeros(2, np.float32)
        self._since_ns = [0, 0]
        self._first_ns: int | None = None
        self._last_ns = 0

    def __call__(self, shape: Float32, reference: Float32, scores: Float32, now_ns: int) -> Float32:
        """Return how far each lid is shut; ``reference``: the shape at the reference."""
        opening, open_then = eye_opening(shape), eye_opening(reference)
        open_lids = np.maximum(open_then, 0.05) * self._open_factor
        blinks = scores[BLINKS]
        self._learn(opening / open_lids, blinks, scores, now_ns)
        return closure(opening, open_lids, self._shut, blinks, self._full - _SCORE_FROM)

    def _learn(self, ratio: Float32, blinks: Float32, scores: Float32, now_ns: int) -> None:
        if self._first_ns is None or not 0 <= now_ns - self._last_ns < 1_000_000_000:
            self._first_ns = now_ns
            self._lowest[:] = 1
        elapsed_s, self._last_ns = (now_ns - self._last_ns) / 1e9, now_ns
        for eye in (0, 1):
            if ratio[eye] < _BLINK_BELOW:
                if self._lowest[eye] >= 1:
                    self._since_ns[eye] = now_ns
                    self._highest[eye] = 0
                self._lowest[eye] = min(self._lowest[eye], ratio[eye])
                self._highest[eye] = max(self._highest[eye], blinks[eye])
            elif ratio[eye] > _BLINK_ENDS and self._lowest[eye] < 1:
                self._end_blink(eye, (now_ns - self._since_ns[eye]) / 1e9)
        if scores[_MOUTH].max() < _AT_REST and scores[_LOOKS_DOWN].max() < 2 * _AT_REST:
            self._learn_open(ratio, elapsed_s, (now_ns - self._first_ns) / 1e9)

    def _end_blink(self, eye: int, took_s: float) -> None:
        if took_s <= _BLINK_S and self._highest[eye] > _BLINK_SCORE:
            self._blinks[eye] += 1
            rate = max(1 / (1 + self._blinks[eye]), _LEAST_RATE)
            shut = self._shut[eye] + rate * (_EASE * self._lowest[eye] - self._shut[eye])
            full = self._full[eye] + rate * (self._highest[eye] - self._full[eye])
            self._shut[eye] = np.clip(shut, *_SHUT_LIMITS)
            self._full[eye] = np.clip(full, *_SCORE_LIMITS)
        self._lowest[eye] = 1

    def _learn_open(self, ratio: Float32, elapsed_s: float, age_s: float) -> None:
        rest = np.abs(ratio - 1) < 0.25
        time_s = _OPEN_S_FIRST if age_s < _FIRST_S else _OPEN_S_LATER
        share = np.float32(min(max(elapsed_s, 0) / time_s, 0.2))
        factor = self._open_factor * (1 + share * (ratio - 1) * rest)
        self._open_factor = np.clip(factor, *_OPEN_LIMITS).astype(np.float32)


class KnownPerson:
    """Expressions of a driver with a profile."""

    def __init__(self, person: Person) -> None:
        self._person = person
        self._span = np.maximum(person.score_high - person.score_low, 0.2)
        shares = region_shares(person.neutral)
        self._shares = shares
        self._members = np.maximum(shares.sum(axis=0), 1)
        self._gain = (1 + shares @ (person.gain - 1)).astype(np.float32)[:, None]
        self._reach = person.reach * _REACH_SLACK * np.maximum(person.gain, 1)

    def scores(self, blendshapes: Float32, shape: Float32) -> Float32:
        """Return the blendshapes without cross-talk, 0 at rest and 1 at the driver's full."""
        above = blendshapes - self._person.score_low
        talk = self._person.cross_talk @ np.maximum(above, 0)
        talk[BLINKS] *= self._unshut(eye_opening(shape))
        return np.asarray(np.clip((above - talk) / self._span, 0, 1), np.float32)

    def _unshut(self, opening: Float32) -> Float32:
        """Return 1 for eyes that are open or narrow, 0 for shut ones: those are really shut.

        The tracker sees shut eyes look down; taken for cause, that would open them again.
        """
        p = self._person
        way = (p.eye_open - opening) / np.maximum(p.eye_open - p.eye_shut, 0.02)
        return np.asarray(np.clip(1 - (way - MOSTLY_SHUT) / 0.2, 0, 1), np.float32)

    def closure(self, shape: Float32, scores: Float32) -> Float32:
        """Return how far each lid is shut, by this driver's own lids.

        ``scores``: from ``scores``. What a smile and looking down take from the opening is given
        back first.
        """
        p = self._person
        seen = eye_opening(shape)
        causes = np.stack([np.full(2, scores[_SMILES].mean()), scores[_LOOKS_DOWN]], axis=1)
        opening = seen + self._unshut(seen) * (p.narrowed * causes).sum(axis=1, dtype=np.float32)
        share = np.clip(p.eye_shut / np.maximum(p.eye_open, 0.05), 0.02, 0.7).astype(np.float32)
        # A measured blink reaches 1 by definition; most of it is a shut eye already.
        return closure(opening, p.eye_open, share, scores[BLINKS], _KNOWN_SPAN)

    def expression(self, expression: Float32) -> Float32:
        """Return relative displacements with the driver's gains, within what the driver can do."""
        out = expression * self._gain
        square = (out * out).sum(axis=1)
        size = np.sqrt(self._shares.T @ square / self._members)
        over = np.minimum(self._reach / np.maximum(size, 1e-6), 1)
        if (over < 1).any():
            out = out * (1 + self._shares @ (over - 1)).astype(np.float32)[:, None]
        return np.asarray(out, np.float32)
