"""The expressions that a key shows: what each does with a face, and how it comes and goes."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from avatar.core.errors import UsageError
from avatar.stages.motion.expressions import Look


@dataclass(frozen=True)
class KeyedExpression:
    """One expression on a key.

    ``look``: what the face does. A score of 0 holds back what the driver does there; the others are
    reached, and what the driver does beyond them stays. ``shown_s``: how long a tap shows it.
    ``ease_s``: it comes and goes within so long. ``shaken``: what comes and goes besides,
    ``shakes_hz`` times a second.
    """

    look: Look
    shown_s: float = 1.6
    ease_s: float = 0.25
    shaken: Look | None = None
    shakes_hz: float = 0.0

    def at(self, t_s: float) -> Look:
        """Return what the face does ``t_s`` seconds after it began."""
        if self.shaken is None:
            return self.look
        return _sum(self.look, self.shaken.weaker(math.sin(math.pi * self.shakes_hz * t_s) ** 2))

    @property
    def parts_lips(self) -> bool:
        """Return whether it opens the mouth."""
        return self.look.scores.get("jawOpen", 0.0) > 0


def _sum(look: Look, more: Look) -> Look:
    scores = dict(look.scores)
    for name, score in more.scores.items():
        scores[name] = min(scores.get(name, 0.0) + score, 1.0)
    return replace(
        look,
        scores=scores,
        yaw_deg=look.yaw_deg + more.yaw_deg,
        pitch_deg=look.pitch_deg + more.pitch_deg,
        roll_deg=look.roll_deg + more.roll_deg,
        x=look.x + more.x,
        y=look.y + more.y,
    )


def _both(**scores: float) -> dict[str, float]:
    """Return scores of both sides."""
    return {f"{name}{side}": score for name, score in scores.items() for side in ("Left", "Right")}


_NO_SMILE = _both(mouthSmile=0.0)

KEYED: Mapping[str, KeyedExpression] = {
    "smile": KeyedExpression(
        Look(
            _both(
                mouthSmile=0.95, mouthDimple=0.4, cheekSquint=0.5, eyeSquint=0.2, mouthFrown=0.0
            )
        )
    ),
    "surprise": KeyedExpression(
        Look(
            {**_both(browOuterUp=0.8, eyeWide=0.9), **_NO_SMILE, "browInnerUp": 0.9, "jawOpen": 0.5,
             "mouthFunnel": 0.2},
            pitch_deg=-3,
        )
    ),
    "wink": KeyedExpression(
        Look(
            {"eyeBlinkLeft": 1.0, "cheekSquintLeft": 0.7, "browDownLeft": 0.35,
             "mouthSmileLeft": 0.6, "mouthSmileRight": 0.25},
            roll_deg=3,
        ),
        shown_s=0.5, ease_s=0.15,
    ),
    "laugh": KeyedExpression(
        Look(
            {**_both(mouthSmile=0.9, cheekSquint=0.8, eyeSquint=0.6), "jawOpen": 0.3},
            pitch_deg=-4,
        ),
        shown_s=2.2,
        shaken=Look({"jawOpen": 0.22}, pitch_deg=3, y=0.05), shakes_hz=4.5,
    ),
    "shy": KeyedExpression(
        Look(
            {**_both(mouthSmile=0.35, mouthPress=0.35, eyeLookDown=0.6), "browInnerUp": 0.5,
             "eyeLookOutLeft": 0.4, "eyeLookInRight": 0.4},
            yaw_deg=7, pitch_deg=8, roll_deg=-5,
        ),
        shown_s=2.2, ease_s=0.35,
    ),
    "sad": KeyedExpression(
        Look(
            {**_both(mouthFrown=0.85, eyeLookDown=0.4, eyeBlink=0.15), **_NO_SMILE,
             "browInnerUp": 0.9, "mouthShrugLower": 0.5},
            pitch_deg=6,
        ),
        shown_s=2.2, ease_s=0.35,
    ),
    "angry": KeyedExpression(
        Look(
            {**_both(browDown=1.0, noseSneer=0.5, mouthPress=0.6, mouthFrown=0.4, eyeSquint=0.4),
             **_NO_SMILE, "browInnerUp": 0.0},
            pitch_deg=3,
        )
    ),
    "sleepy": KeyedExpression(
        Look({**_both(eyeBlink=0.55), "browInnerUp": 0.25, "jawOpen": 0.05}, pitch_deg=6),
        shown_s=3.0, ease_s=0.5,
        shaken=Look({**_both(eyeBlink=0.4)}, pitch_deg=4), shakes_hz=0.4,
    ),
}  # fmt: skip
"""Every expression on a key, by its name."""


def keyed_expression(name: str) -> KeyedExpression:
    """Return an expression by its name. Raises ``UsageError`` that names the nearest."""
    if name in KEYED:
        return KEYED[name]
    near = difflib.get_close_matches(name.casefold(), KEYED, 1)
    hint = f" Did you mean `{near[0]}`?" if near else ""
    raise UsageError(f"expected an expression, one of {', '.join(KEYED)}, found {name!r}.{hint}")
