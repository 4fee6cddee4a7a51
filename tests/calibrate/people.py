"""A made-up person for calibration tests: what they do in each step, as the tracker would say."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from avatar.core.face.head import eye_opening
from avatar.core.face.regions import MOUTH, region_shares
from avatar.core.face.rotation import rotation_from_vector
from avatar.core.frames import BLENDSHAPE_INDEX, BLENDSHAPE_NAMES, Float32
from calibrate import Sample, Session, State

FPS = 30
FRAME_NS = round(1e9 / FPS)
_BOTH = {"smile": ("mouthSmileLeft", "mouthSmileRight"), "jaw": ("jawOpen",),
         "pucker": ("mouthPucker",),
         "brows": ("browInnerUp", "browOuterUpLeft", "browOuterUpRight")}  # fmt: skip


class MadeUpPerson:
    """Somebody whose smile narrows the eyes and whose shut eyes the tracker sees half open.

    ``full``: the blendshape score of their fullest smile, jaw, pucker and brows.
    ``squint``: what of a full smile shows in the blink scores.
    """

    def __init__(self, shape: Float32, *, full: float = 0.6, squint: float = 0.3) -> None:
        self.shape, self.full, self.squint = shape, full, squint
        self.mouth = region_shares(shape)[:, MOUTH : MOUTH + 1]
        self.rng = np.random.default_rng(11)

    def sample(self, now_ns: int, what: str = "rest", how: float = 1.0) -> Sample:
        """One frame of ``what``, done ``how`` far."""
        scores = np.full(len(BLENDSHAPE_NAMES), 0.03, np.float32)
        shape, turn, lids = self.shape.copy(), np.zeros(3, np.float32), [0.0, 0.0]

        def add(value: float, *names: str) -> None:
            for name in names:
                scores[BLENDSHAPE_INDEX[name]] += value

        if what in _BOTH:
            add(self.full * how, *_BOTH[what])
        if what == "smile":
            add(self.squint * self.full * how, "eyeBlinkLeft", "eyeBlinkRight")
            lids = [0.35 * how, 0.35 * how]
        if what in ("jaw", "sentence"):
            below = (shape[:, 1:2] < shape[13, 1]) * self.mouth
            shape[:, 1:2] -= 0.35 * how * below
        for side, (name, steps) in enumerate(
            (("eyeBlinkLeft", ("blink", "wink left")), ("eyeBlinkRight", ("blink", "wink right")))
        ):
            if what in steps:
                add(0.55 * how, name)
                lids[side] = 0.8 * how
        if what.startswith("look "):
            directions = {
                "left": ("eyeLookOutLeft", "eyeLookInRight"),
                "right": ("eyeLookInLeft", "eyeLookOutRight"),
                "up": ("eyeLookUpLeft", "eyeLookUpRight"),
                "down": ("eyeLookDownLeft", "eyeLookDownRight"),
            }
            add(0.5 * how, *directions[what.removeprefix("look ")])
        if what.startswith(("turn", "nod")):
            turn[1 if what.startswith("turn") else 0] = (
                0.35 if what.endswith("+") else -0.35
            ) * how
        for side, (upper, lower) in enumerate(((386, 374), (159, 145))):
            shape[upper] += lids[side] * (self.shape[lower] - self.shape[upper])
        shape += self.rng.normal(0, 0.0008, shape.shape).astype(np.float32)
        return Sample(
            now_ns, shape, rotation_from_vector(turn), turn, np.array([320, 240], np.float32), 60.0,
            scores, eye_opening(shape), float(shape[13, 1] - shape[14, 1]),
        )  # fmt: skip


ACTS = {
    "blink": ["blink", "rest"] * 4,
    "look": ["look left", "look right", "look up", "look down"],
    "turn": ["turn+", "turn-"],
    "nod": ["nod+", "nod-"],
    "sentence": ["sentence", "rest"] * 6,
}


def frames(what: str, seconds: float) -> Iterator[tuple[str, float]]:
    """Yield (act, how far) frame by frame: each act swells and ebbs."""
    acts = ACTS.get(what, [what])
    count = max(round(seconds * FPS / len(acts)), 6)
    for act in acts:
        for k in range(count):
            yield act, float(np.sin(np.pi * (k + 0.5) / count) ** 0.5)


def follow(person: MadeUpPerson, session: Session, *, leaves_out: tuple[str, ...] = ()) -> State:
    """Do whatever the session asks for until it is done; returns the last state."""
    from calibrate import STEPS

    by_text = {text: step.name for step in STEPS for text in (step.ask, step.again)}
    now_ns, state = 0, session.state(0)
    for _ in range(400):
        wanted = by_text.get(state.text, "rest")
        if wanted in leaves_out:
            wanted = "rest"
        for act, how in frames(wanted, 1.5):
            state = session.see(person.sample(now_ns, act, how), None, now_ns)
            now_ns += FRAME_NS
            if state.done:
                return state
    raise AssertionError(f"never done: {state}")
