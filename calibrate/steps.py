"""Steps of a guided capture, those of a calibration: what to ask for, when it was really done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from avatar.core.frames import BLENDSHAPE_INDEX, Float32
from avatar.core.messages import Message

Act = Callable[["Change"], bool]


@dataclass(frozen=True, eq=False)
class Change:
    """A face against the resting one: what the steps look at.

    ``scores``: float32 (52,), blendshapes above rest, as a share of what is left above rest up to
    1. ``turn``: float32 (3,), radians: pitch (up
    is negative), yaw (to the picture's right), roll. ``opening``: float32 (2,), lids' distance as
    a share of the resting one. ``lip_gap``: between the inner lips, head units above rest;
    ``lips_apart``: the same as it is, for people who rest with parted lips.
    """

    timestamp_ns: int
    scores: Float32
    turn: Float32
    opening: Float32
    lip_gap: float
    lips_apart: float

    def score(self, *names: str) -> float:
        """Return the mean of blendshapes above rest."""
        return float(sum(self.scores[BLENDSHAPE_INDEX[name]] for name in names)) / len(names)


@dataclass(frozen=True)
class Step:
    """One thing to do.

    ``name``: also its label's key on a page. ``ask``: said first; ``again``: said when it was not
    seen. ``acts``: what must be seen, each
    for ``hold_s`` in all and as often as ``times`` with something else in between. ``needed``:
    without it a recording is not enough.
    """

    name: str
    ask: str
    again: str
    acts: tuple[Act, ...]
    hold_s: float = 0.3
    times: int = 1
    needed: bool = False


def _winks(shut: str, open_: str) -> Act:
    return lambda c: c.score(f"eyeBlink{shut}") > 0.25 + max(c.score(f"eyeBlink{open_}"), 0)


def _above(least: float, *names: str) -> Act:
    return lambda c: c.score(*names) > least


STEPS: tuple[Step, ...] = (
    Step(
        "blink",
        Message("ask.blink", "Blink three times, calmly."),
        Message("ask.blinkAgain", "Shut both eyes for a moment, three times."),
        (lambda c: c.score("eyeBlinkLeft", "eyeBlinkRight") > 0.22 and c.opening.max() < 0.75,),
        hold_s=0.03, times=3,
    ),
    Step(
        "wink left",
        Message("ask.winkLeft", "Wink with your left eye."),
        Message("ask.winkLeftAgain", "Shut only your left eye. If you cannot, just wait."),
        (_winks("Left", "Right"),), hold_s=0.1,
    ),
    Step(
        "wink right",
        Message("ask.winkRight", "Wink with your right eye."),
        Message("ask.winkRightAgain", "Shut only your right eye. If you cannot, just wait."),
        (_winks("Right", "Left"),), hold_s=0.1,
    ),
    Step(
        "look",
        Message("ask.look", "Keep your head still and look left, right, up and down."),
        Message("ask.lookAgain", "Move only your eyes, as far as you can: left, right, up, down."),
        (
            _above(0.22, "eyeLookOutLeft", "eyeLookInRight"),
            _above(0.22, "eyeLookInLeft", "eyeLookOutRight"),
            _above(0.12, "eyeLookUpLeft", "eyeLookUpRight"),
            _above(0.15, "eyeLookDownLeft", "eyeLookDownRight"),
        ),
        hold_s=0.2,
    ),
    Step(
        "smile",
        Message("ask.smile", "Smile broadly."),
        Message("ask.smileAgain", "A bigger smile, with your teeth."),
        (_above(0.35, "mouthSmileLeft", "mouthSmileRight"),), hold_s=0.5,
    ),
    Step(
        "jaw",
        Message("ask.jaw", "Open your mouth wide."),
        Message("ask.jawAgain", "Wider, as for the dentist."),
        (lambda c: c.score("jawOpen") > 0.3 and c.lip_gap > 0.2,), hold_s=0.4,
    ),
    Step(
        "pucker",
        Message("ask.pucker", "Push your lips forward, as for a kiss."),
        Message("ask.puckerAgain", "Lips forward, a little more."),
        (lambda c: max(c.score("mouthPucker"), c.score("mouthFunnel")) > 0.25,), hold_s=0.4,
    ),
    Step(
        "brows",
        Message("ask.brows", "Raise your eyebrows."),
        Message("ask.browsAgain", "Raise your eyebrows, as if surprised."),
        (lambda c: max(c.score("browInnerUp"),
                       c.score("browOuterUpLeft", "browOuterUpRight")) > 0.2,), hold_s=0.4,
    ),
    Step(
        "turn",
        Message("ask.turn", "Turn your head slowly to one side, then to the other."),
        Message("ask.turnAgain", "Turn your head a little further, to either side."),
        (lambda c: c.turn[1] > 0.22, lambda c: c.turn[1] < -0.22), hold_s=0.1,
    ),
    Step(
        "nod",
        Message("ask.nod", "Look up with your whole head, then down."),
        Message("ask.nodAgain", "Nod slowly: up, then down."),
        (lambda c: c.turn[0] > 0.12, lambda c: c.turn[0] < -0.12), hold_s=0.1,
    ),
    Step(
        "sentence",
        Message("ask.sentence", "Say: “Peter buys a blue bike from Mary.”"),
        Message("ask.sentenceAgain", "Say it aloud: “Peter buys a blue bike from Mary.”"),
        (lambda c: c.lip_gap > 0.05,), hold_s=0.03, times=5,
    ),
)  # fmt: skip
"""In the order they are asked; the resting face comes before them (``session``)."""

REST = "rest"
"""The name of the step before all others: the resting face."""


@dataclass
class Watch:
    """Follows one step: which of its acts were done, for how long and how often."""

    step: Step
    _held_ns: list[int] = field(default_factory=list)
    _counts: list[int] = field(default_factory=list)
    _counted: list[bool] = field(default_factory=list)
    _last_ns: int | None = None

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Forget what was seen."""
        acts: Sequence[Act] = self.step.acts
        self._held_ns = [0] * len(acts)
        self._counts = [0] * len(acts)
        self._counted = [False] * len(acts)
        self._last_ns = None

    def see(self, change: Change) -> bool:
        """Take one frame in; returns whether the driver is doing it."""
        elapsed_ns = 0 if self._last_ns is None else change.timestamp_ns - self._last_ns
        # A gap in the recording is not a long act.
        elapsed_ns = min(max(elapsed_ns, 0), 200_000_000)
        self._last_ns = change.timestamp_ns
        active = False
        for k, act in enumerate(self.step.acts):
            if not act(change):
                if self._counts[k] < self.step.times:
                    self._held_ns[k] = 0 if self.step.times > 1 else self._held_ns[k]
                self._counted[k] = False
                continue
            active = True
            self._held_ns[k] += max(elapsed_ns, 1)
            if self._held_ns[k] >= self.step.hold_s * 1e9 and not self._counted[k]:
                self._counted[k] = True
                self._counts[k] += 1
        return active

    @property
    def done(self) -> bool:
        """Return whether all was seen."""
        return all(count >= self.step.times for count in self._counts)

    @property
    def progress(self) -> float:
        """Return how much of it was seen, 0 to 1."""
        wanted = self.step.times * len(self.step.acts)
        return sum(min(count, self.step.times) for count in self._counts) / wanted
