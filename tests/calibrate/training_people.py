"""A made-up person who does what a recording to train from asks for."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from avatar.core.face.rotation import rotation_from_vector
from avatar.core.frames import BLENDSHAPE_INDEX, BLENDSHAPE_NAMES, Float32
from calibrate import SPEECH, TRAINING_STEPS, Sample, Session, State
from tests.calibrate.people import FRAME_NS, MadeUpPerson

# Per act: scores, lips apart (head units), turn (radians: pitch, yaw).
_SMILE = {"mouthSmileLeft": 0.6, "mouthSmileRight": 0.6}
_Act = tuple[dict[str, float], float, tuple[float, float]]
_STILL = (0.0, 0.0)
_DOES: dict[str, list[_Act]] = {
    "smile with shut lips": [(_SMILE, 0.0, _STILL)],
    "smile with teeth": [(_SMILE, 0.15, _STILL)],
    "mouth wide open": [({"jawOpen": 0.6}, 0.7, _STILL)],
    "pout": [({"mouthPucker": 0.6}, 0.0, _STILL)],
    "pressed lips": [(dict.fromkeys(
        ("mouthRollLower", "mouthRollUpper", "mouthPressLeft", "mouthPressRight"), 0.4
    ), 0.0, _STILL)],
    "raised brows": [({"browInnerUp": 0.6}, 0.0, _STILL)],
    "lowered brows": [({"browDownLeft": 0.5, "browDownRight": 0.5}, 0.0, _STILL)],
    "glances to all sides": [
        ({"eyeLookOutLeft": 0.5, "eyeLookInRight": 0.5}, 0.0, _STILL),
        ({"eyeLookInLeft": 0.5, "eyeLookOutRight": 0.5}, 0.0, _STILL),
        ({"eyeLookUpLeft": 0.5, "eyeLookUpRight": 0.5}, 0.0, _STILL),
        ({"eyeLookDownLeft": 0.5, "eyeLookDownRight": 0.5}, 0.0, _STILL),
    ],
    "turn to the left": [({}, 0.0, (0.0, 0.4))],
    "turn to the right": [({}, 0.0, (0.0, -0.4))],
    "head raised": [({}, 0.0, (-0.3, 0.0))],
    "head lowered": [({}, 0.0, (0.3, 0.0))],
    "speech": [({}, 0.14, _STILL), ({}, 0.0, _STILL)] * 8,
    "lively talk": [({}, 0.14, _STILL), ({}, 0.0, _STILL)] * 16,
}  # fmt: skip


class TrainingPerson(MadeUpPerson):
    """Does each step of a recording as far as ``how`` says, 0 to 1."""

    def __init__(self, shape: Float32) -> None:
        super().__init__(shape)
        # Lips that touch: the drawn face rests with its own a little apart.
        gap = float(shape[13, 1] - shape[14, 1])
        self.shape = shape.copy()
        self.shape[14, 1] += gap

    def act(self, now_ns: int, act: _Act, how: float = 1.0) -> Sample:
        """One frame of an act."""
        scores = np.full(len(BLENDSHAPE_NAMES), 0.03, np.float32)
        for name, value in act[0].items():
            scores[BLENDSHAPE_INDEX[name]] += value * how
        turn = np.array([*act[2], 0.0], np.float32) * np.float32(how)
        plain = self.sample(now_ns)
        return Sample(
            now_ns, plain.shape, rotation_from_vector(turn), turn, plain.centre_px, plain.scale_px,
            scores, plain.opening, act[1] * how,
        )  # fmt: skip

    def frames(self, step: str, now_ns: int, seconds: float = 2.0) -> Iterator[Sample]:
        """Yield the frames of a step; "rest" for all that is not known."""
        if step == "shut eyes":
            for k in range(round(30 * seconds)):
                what = "blink" if k // 8 % 2 else "rest"
                yield self.sample(now_ns + k * FRAME_NS, what)
            return
        acts = _DOES.get(step, [({}, 0.0, _STILL)])
        for k in range(max(round(30 * seconds), 6 * len(acts))):
            each = max(round(30 * seconds), 6 * len(acts)) / len(acts)
            how = float(np.sin(np.pi * (k % each + 0.5) / each) ** 0.5)
            yield self.act(now_ns + k * FRAME_NS, acts[min(int(k / each), len(acts) - 1)], how)


BY_TEXT = {
    text: step.name for step in (*TRAINING_STEPS, *SPEECH) for text in (step.ask, step.again)
}


def asked_for(text: str) -> str:
    """Return the step that a text asks for; "rest" for every other text."""
    return BY_TEXT.get(text.removeprefix("Still missing, so once more. "), "rest")


def follow_training(
    person: TrainingPerson, session: Session, *, leaves_out: tuple[str, ...] = ()
) -> list[State]:
    """Do whatever the session asks for until it is done; return all that it showed."""
    now_ns, states = 0, [session.state(0)]
    for _ in range(400):
        wanted = asked_for(states[-1].text)
        for sample in person.frames("rest" if wanted in leaves_out else wanted, now_ns):
            states.append(session.see(sample, None, sample.timestamp_ns))
            now_ns = sample.timestamp_ns + FRAME_NS
            if states[-1].done:
                return states
    raise AssertionError(f"never done: {states[-1]}")
