"""``Profile``: what is kept of a person, numbers only, and how it becomes a ``Person``."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from avatar.core.frames import BLENDSHAPE_INDEX, BLENDSHAPE_NAMES, LANDMARK_COUNT
from avatar.core.person import SIGNAL_GROUPS, Person

SCHEMA_VERSION: Literal[1] = 1

Number = Annotated[float, Field(ge=-1e4, le=1e4, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Positive = Annotated[float, Field(ge=0, le=1e4, allow_inf_nan=False)]
Point = tuple[Number, Number, Number]
# A reach that nothing exceeds, head units.
_FAR = 10.0
Score = Annotated[str, Field(pattern="^[A-Za-z_]+$")]


class _Numbers(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Range(_Numbers):
    """A blendshape at rest and at its full; ``measured``: False where the full was not seen."""

    rest: Share
    full: Share
    measured: bool


class CrossTalk(_Numbers):
    """Of each unit of ``of`` above rest, ``share`` shows in ``shows_in`` without being meant."""

    of: Score
    shows_in: Score
    share: Share


class Eye(_Numbers):
    """Lids' distance in eye widths: open, shut, and what a smile and looking down take from it.

    ``measured``: False where no blink was seen.
    """

    open: Positive
    shut: Positive
    smile: Positive
    looking_down: Positive
    measured: bool


class Lips(_Numbers):
    """The gap between the inner lips, head units: at rest and wide open."""

    closed: Number
    open: Number


class Part(_Numbers):
    """``gain``: how much weaker than usual the tracker shows it. ``reach``: head units, RMS; None
    where no step showed it.
    """

    gain: Positive
    reach: Positive | None


class Delays(_Numbers):
    """Milliseconds. ``sound``: how much later the picture is than the microphone, if measured."""

    capture_to_tracked: Positive | None = None
    frame_interval: Positive | None = None
    sound: Number | None = None


class Profile(_Numbers):
    """A person's resting face and range of expression.

    ``neutral``: 478 landmarks in the head frame, head units. ``rest_rotation``: of the
    resting pose, head frame to camera. ``noise``: standard deviations by ``SIGNAL_GROUPS``.
    ``field_of_view_deg``: the camera's across the picture, None where it could not be told.
    ``steps``: samples that each step of the calibration gave.
    """

    schema_version: Literal[1] = SCHEMA_VERSION
    made: AwareDatetime
    program_version: str
    image_size_px: tuple[int, int]
    neutral: Annotated[list[Point], Field(min_length=LANDMARK_COUNT, max_length=LANDMARK_COUNT)]
    rest_rotation: tuple[Point, Point, Point]
    rest_look_down: tuple[Number, Number]
    scores: dict[Score, Range]
    cross_talk: list[CrossTalk]
    left_eye: Eye
    right_eye: Eye
    lips: Lips
    mouth: Part
    eyes: Part
    brows: Part
    noise: dict[str, Positive]
    field_of_view_deg: Annotated[float, Field(ge=10, le=170)] | None
    delays_ms: Delays
    steps: dict[str, int]

    @model_validator(mode="after")
    def _proper_rotation(self) -> Profile:
        rotation = np.array(self.rest_rotation)
        if np.abs(rotation @ rotation.T - np.eye(3)).max() > 1e-2 or np.linalg.det(rotation) < 0:
            raise ValueError("rest_rotation: expected a rotation")
        return self

    @model_validator(mode="after")
    def _known_names(self) -> Profile:
        if set(self.scores) != set(BLENDSHAPE_NAMES):
            raise ValueError(f"scores: expected the {len(BLENDSHAPE_NAMES)} blendshapes by name")
        if set(self.noise) != set(SIGNAL_GROUPS):
            raise ValueError(f"noise: expected {', '.join(SIGNAL_GROUPS)}")
        for entry in self.cross_talk:
            if {entry.of, entry.shows_in} - set(BLENDSHAPE_NAMES):
                raise ValueError(f"cross_talk: {entry.of} or {entry.shows_in} is no blendshape")
        return self

    def with_sound_delay(self, ms: float | None) -> Profile:
        """Return the profile with ``delays_ms.sound``, as ``avatar calibrate --av`` measures it."""
        sound = None if ms is None else round(ms, 1)
        return self.model_copy(
            update={"delays_ms": self.delays_ms.model_copy(update={"sound": sound})}
        )

    def person(self) -> Person:
        """Return what retargeting takes of it."""
        scores = [self.scores[name] for name in BLENDSHAPE_NAMES]
        cross_talk = np.zeros((len(scores), len(scores)), np.float32)
        for entry in self.cross_talk:
            row, column = BLENDSHAPE_INDEX[entry.shows_in], BLENDSHAPE_INDEX[entry.of]
            cross_talk[row, column] = entry.share
        eyes, parts = (self.left_eye, self.right_eye), (self.mouth, self.eyes, self.brows)
        return Person(
            neutral=np.array(self.neutral, np.float32),
            rest_rotation=np.array(self.rest_rotation, np.float32),
            rest_look_down=np.array(self.rest_look_down, np.float32),
            score_low=np.array([s.rest for s in scores], np.float32),
            score_high=np.array([s.full for s in scores], np.float32),
            cross_talk=cross_talk,
            eye_open=np.array([e.open for e in eyes], np.float32),
            eye_shut=np.array([e.shut for e in eyes], np.float32),
            narrowed=np.array([[e.smile, e.looking_down] for e in eyes], np.float32),
            gain=np.array([p.gain for p in parts], np.float32),
            reach=np.array([_FAR if p.reach is None else p.reach for p in parts], np.float32),
            noise=np.array([self.noise[name] for name in SIGNAL_GROUPS], np.float32),
        )
