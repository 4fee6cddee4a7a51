"""The steps of a recording to train from: what a personal generator will be asked to draw.

Their names are what the user is told is missing. Sides are the person's own: somebody who turns
to their left turns to the right of the camera's picture, which is not mirrored.
"""

from __future__ import annotations

from dataclasses import replace

from calibrate.steps import STEPS, Change, Step

_SMILE = ("mouthSmileLeft", "mouthSmileRight")
# Between the inner lips, head units: still shut, certainly not, as in vowels, wider than any.
_SHUT, _PARTED, _SPOKEN, _WIDE = 0.035, 0.06, 0.16, 0.4
# A turned head, radians: less is what everybody does while speaking.
_ASIDE, _UP_DOWN = 0.22, 0.12
_SENTENCES = "“Peter buys a blue bike from Mary. Five white vans thunder over the bridge.”"

_LOOK = next(step for step in STEPS if step.name == "look")


def _purses(change: Change) -> bool:
    return max(change.score("mouthPucker"), change.score("mouthFunnel")) > 0.25


def _raises_brows(change: Change) -> bool:
    outer = change.score("browOuterUpLeft", "browOuterUpRight")
    return max(change.score("browInnerUp"), outer) > 0.2


def _frowns(change: Change) -> bool:
    # A broad smile scores as lowered brows too.
    return change.score("browDownLeft", "browDownRight") > 0.15 and change.score(*_SMILE) < 0.3


def _speaks(change: Change) -> bool:
    # Lips that speak go through here on their way, whether they shut between sounds or not.
    return _PARTED < change.lips_apart < _SPOKEN


TRAINING_STEPS: tuple[Step, ...] = (
    Step(
        "smile with shut lips",
        "Smile broadly with your lips shut.",
        "Lips together, and smile as broadly as you can.",
        (lambda c: c.score(*_SMILE) > 0.3 and c.lips_apart < _SHUT,), hold_s=0.8,
    ),
    Step(
        "smile with teeth",
        "Smile broadly and show your teeth.",
        "A bigger smile: lips apart, upper and lower teeth.",
        (lambda c: c.score(*_SMILE) > 0.35 and c.lips_apart > _PARTED,), hold_s=0.8, needed=True,
    ),
    Step(
        "mouth wide open",
        "Open your mouth as wide as you can.",
        "Wider, as for the dentist.",
        (lambda c: c.lips_apart > _WIDE,), hold_s=0.5, needed=True,
    ),
    Step(
        "pout",
        "Push your lips forward, as for a kiss.",
        "Lips forward, a little more, and hold it.",
        (_purses,), hold_s=0.8,
    ),
    Step(
        "pressed lips",
        "Press your lips together and roll them in.",
        "Roll both lips in over your teeth and press.",
        (lambda c: c.score("mouthRollLower", "mouthRollUpper", "mouthPressLeft",
                           "mouthPressRight") > 0.15 and c.lips_apart < _SHUT,), hold_s=0.5,
    ),
    Step(
        "raised brows",
        "Raise your eyebrows.",
        "Raise your eyebrows, as if surprised.",
        (_raises_brows,), hold_s=0.8,
    ),
    Step(
        "lowered brows",
        "Lower your eyebrows: frown.",
        "Draw your eyebrows down and together, as if angry.",
        (_frowns,), hold_s=0.8,
    ),
    Step(
        "shut eyes",
        "Shut both eyes for a second, twice.",
        "Both eyes fully shut; open them, and once more.",
        (lambda c: c.score("eyeBlinkLeft", "eyeBlinkRight") > 0.22 and c.opening.max() < 0.75,),
        hold_s=0.1, times=2,
    ),
    replace(_LOOK, name="glances to all sides"),
    Step(
        "turn to the left",
        "Turn your head slowly to your left, and back.",
        "Turn your head a little further to your left.",
        (lambda c: c.turn[1] > _ASIDE,), hold_s=0.3,
    ),
    Step(
        "turn to the right",
        "Turn your head slowly to your right, and back.",
        "Turn your head a little further to your right.",
        (lambda c: c.turn[1] < -_ASIDE,), hold_s=0.3,
    ),
    Step(
        "head raised",
        "Look up with your whole head, and back.",
        "Lift your chin a little further.",
        (lambda c: c.turn[0] < -_UP_DOWN,), hold_s=0.3,
    ),
    Step(
        "head lowered",
        "Look down with your whole head, and back.",
        "Lower your chin a little further.",
        (lambda c: c.turn[0] > _UP_DOWN,), hold_s=0.3,
    ),
)  # fmt: skip
"""In the order they are asked; the resting face comes before them (``session``)."""

SPEECH: tuple[Step, ...] = (
    Step(
        "speech",
        f"Say: {_SENTENCES}",
        f"Say it aloud: {_SENTENCES}",
        (_speaks,), hold_s=0.03, times=6, needed=True,
    ),
    Step(
        "lively talk",
        "Tell for some seconds what you see in the room, lively, as to a friend.",
        "Go on talking: what did you have for breakfast?",
        (_speaks,), hold_s=0.03, times=14,
    ),
)  # fmt: skip
"""The last ones: the end of a recording is held out from training, so no expression may stand there
that stands nowhere else."""
