"""Choreographies: what faces do on the beats of a song, from small files that people can write.

A choreography is a TOML file. ``beats`` is how long it is before it begins again; each
``[[voice]]`` has curves: what is moved, and a list of ``[beat, value]`` or ``[beat, value, how]``.
Faces take the voices in turns. docs/choreographies.md says it for people who write one.
"""

from __future__ import annotations

import difflib
import math
import tomllib
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from avatar.core.curves import eased
from avatar.core.errors import UsageError
from avatar.core.files import read_small
from avatar.core.frames import Float32
from avatar.core.terminal import harmless
from avatar.stages.motion.expressions import EXPRESSIONS, Look

SUFFIX = ".toml"
HEAD = {
    "yaw": (-35.0, 35.0), "pitch": (-25.0, 25.0), "roll": (-40.0, 40.0),
    "x": (-1.5, 1.5), "y": (-1.5, 1.5), "zoom": (0.5, 2.0),
    "lookX": (-1.0, 1.0), "lookY": (-1.0, 1.0),
}  # fmt: skip
"""The curves of head and gaze with their bounds: degrees, head units, times, shares."""
HOWS = ("smooth", "linear", "hit", "hold")
# A hit arrives within so many beats.
_HIT_BEATS = 0.3
_MOST_KEYS, _MOST_VOICES, _MOST_BEATS = 400, 40, 256
_MOST_BYTES = 200_000
_MOST_SAID, _MOST_TEXT = 60, 200
_AT_REST = {"zoom": 1.0}


@dataclass(frozen=True)
class Keyframe:
    """A curve's value at a beat, and how it is arrived at."""

    beat: float
    value: float
    how: str = "smooth"


@dataclass(frozen=True)
class Curve:
    """One movement over a loop of ``beats``."""

    keys: tuple[Keyframe, ...]
    beats: float

    def at(self, beat: float) -> float:
        """Return the value at a beat; after the last key comes the first one again."""
        beat %= self.beats
        k = bisect_right([key.beat for key in self.keys], beat)
        before = self.keys[k - 1]
        after = self.keys[k % len(self.keys)]
        start = before.beat - (self.beats if k == 0 else 0)
        end = after.beat + (self.beats if k == len(self.keys) else 0)
        if end <= start:
            return before.value
        return before.value + (after.value - before.value) * _share(beat, start, end, after.how)


def _share(beat: float, start: float, end: float, how: str) -> float:
    if how == "hold":
        return 0.0
    if how == "hit":
        start = max(start, end - _HIT_BEATS)
    share = min(max((beat - start) / (end - start), 0.0), 1.0)
    return share if how == "linear" else eased(share)


@dataclass(frozen=True)
class Choreography:
    """What faces do on the beats.

    ``name``: of the file. ``beats``: after so many it begins again. ``voices``: curves by name.
    ``canon``: so many beats later each further face begins.
    """

    name: str
    title: str
    about: str
    beats: float
    voices: tuple[Mapping[str, Curve], ...]
    canon: float = 0.0

    def look(self, beat: float, face: int = 0) -> Look:
        """Return what face number ``face``, from 0, does at a beat of the song."""
        curves = self.voices[face % len(self.voices)]
        beat -= self.canon * face
        value = {name: curve.at(beat) for name, curve in curves.items()}
        scores: dict[str, float] = {}
        for name, score in value.items():
            for whole in _scores_of(name):
                scores[whole] = min(scores.get(whole, 0.0) + score, 1.0)
        _look_at(scores, value.get("lookX", 0.0), value.get("lookY", 0.0))
        head = {name: value.get(name, _AT_REST.get(name, 0.0)) for name in HEAD}
        return Look(
            scores, head["yaw"], head["pitch"], head["roll"], head["x"], head["y"], head["zoom"]
        )


def _scores_of(name: str) -> list[str]:
    """Return the ARKit names that a curve's name stands for: `mouthSmile` is both sides."""
    if name in HEAD:
        return []
    return [name] if name in EXPRESSIONS else [f"{name}Left", f"{name}Right"]


def _look_at(scores: dict[str, float], x: float, y: float) -> None:
    """Let both eyes look to the picture's right by ``x`` and down by ``y``, −1 to 1."""
    for name, amount in (
        ("eyeLookOutLeft", x), ("eyeLookInRight", x), ("eyeLookInLeft", -x),
        ("eyeLookOutRight", -x), ("eyeLookDownLeft", y), ("eyeLookDownRight", y),
        ("eyeLookUpLeft", -y), ("eyeLookUpRight", -y),
    ):  # fmt: skip
        if amount > 0:
            scores[name] = min(scores.get(name, 0.0) + amount, 1.0)


def known_curves() -> tuple[str, ...]:
    """Return what a curve can be called: head, gaze, expressions, and both sides of one."""
    pairs = {name[:-4] for name in EXPRESSIONS if name.endswith("Left") and _is_pair(name)}
    return (*HEAD, *sorted(pairs), *EXPRESSIONS)


def _is_pair(name: str) -> bool:
    return f"{name[:-4]}Right" in EXPRESSIONS and name not in ("jawLeft", "mouthLeft")


def load_choreography(path: Path) -> Choreography:
    """Read a choreography. Raises ``UsageError`` that says where the file is wrong."""
    try:
        values = tomllib.loads(read_small(path, _MOST_BYTES).decode("utf-8-sig"))
    except OSError as error:
        raise UsageError(f"the template {path} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, too
        raise UsageError(f"the template {path} is not valid TOML: {error}") from error
    try:
        return _choreography(path.stem, values)
    except ValueError as error:
        raise UsageError(f"the template {path}: {error}") from None


def _choreography(name: str, values: Mapping[str, Any]) -> Choreography:
    """Raises ``ValueError``."""
    for key in values:
        _known(key, ("schema_version", "title", "about", "beats", "canon", "voice"), "entry")
    if values.get("schema_version") != 1:
        raise ValueError(f"schema_version: expected 1, found {_said(values.get('schema_version'))}")
    beats = _number("beats", values.get("beats"), 0.25, _MOST_BEATS)
    canon = _number("canon", values.get("canon", 0), 0, _MOST_BEATS)
    voices = values.get("voice")
    if not isinstance(voices, list) or not 0 < len(voices) <= _MOST_VOICES:
        raise ValueError(f"expected 1 to {_MOST_VOICES} [[voice]] with curves")
    text = {key: _line(values.get(key, "")) for key in ("title", "about")}
    return Choreography(
        name,
        text["title"] or name,
        text["about"],
        beats,
        tuple(_voice(voice, beats) for voice in voices),
        canon,
    )


def _line(value: Any) -> str:
    """Return a text of the file as one line that may be shown anywhere."""
    if not isinstance(value, str):
        raise ValueError(f"expected a text for title and about, found {_said(value)}")
    return " ".join(harmless(value[:_MOST_TEXT]).split())


def _voice(values: Any, beats: float) -> dict[str, Curve]:
    if not isinstance(values, dict) or not values:
        raise ValueError("expected curves in each [[voice]], such as roll = [[0, 9], [1, -9]]")
    for name in values:
        _known(name, known_curves(), "curve")
    return {name: _curve(name, keys, beats) for name, keys in values.items()}


def _curve(name: str, written: Any, beats: float) -> Curve:
    """Return a curve that is written as keys, or as ``{every = BEATS, keys = […]}``."""
    if isinstance(written, dict):
        for key in written:
            _known(key, ("every", "keys"), f"entry of {name}")
        beats = _number(f"{name}.every", written.get("every"), 0.25, beats)
        written = written.get("keys")
    if not isinstance(written, list) or not 0 < len(written) <= _MOST_KEYS:
        raise ValueError(f"{name}: expected 1 to {_MOST_KEYS} keys, such as [[0, 0], [1, 0.5]]")
    low, high = HEAD.get(name, (0.0, 1.0))
    keys = [_key(name, key, beats, low, high) for key in written]
    if any(later.beat <= earlier.beat for earlier, later in pairwise(keys)):
        raise ValueError(f"{name}: expected beats that rise, found {_said([k.beat for k in keys])}")
    return Curve(tuple(keys), beats)


def _key(name: str, written: Any, beats: float, low: float, high: float) -> Keyframe:
    if not isinstance(written, list) or not 2 <= len(written) <= 3:
        raise ValueError(
            f"{name}: expected [beat, value] or [beat, value, how], found {_said(written)}"
        )
    beat = _number(f"{name}: a beat", written[0], 0, beats)
    if beat == beats:
        raise ValueError(f"{name}: beat {beat:g} is beat 0 of the next turn: leave it out")
    how = written[2] if len(written) > 2 else "smooth"
    _known(str(how), HOWS, f"way to arrive ({name})")
    return Keyframe(beat, _number(name, written[1], low, high), str(how))


def _number(what: str, value: Any, low: float, high: float) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not low <= value <= high:
        raise ValueError(
            f"{what}: expected a number from {low:g} to {high:g}, found {_said(value)}"
        )
    return float(value)


def _said(value: Any) -> str:
    """Return what a file says, short enough for a message."""
    try:
        text = repr(value)
    except ValueError:  # a number of thousands of digits, which may be written in hexadecimal
        return "a number too long to be said"
    return text if len(text) <= _MOST_SAID else f"{text[:_MOST_SAID]} …"


def _known(name: str, names: Sequence[str], what: str) -> None:
    if name in names:
        return
    near = difflib.get_close_matches(name, names, 1)
    hint = f" Did you mean `{near[0]}`?" if near else f" Known: {', '.join(names[:12])} …"
    raise ValueError(f"unknown {what} `{harmless(name[:_MOST_SAID])}`.{hint}")


class Liveliness:
    """Keeps a face alive beside its choreography: it breathes, blinks, and is not symmetric.

    ``seed``: another one for each face. ``period_s``: after it everything is as at the start, so
    that a clip can be looped without a jump.
    """

    def __init__(self, seed: int, period_s: float) -> None:
        rng = np.random.default_rng(seed)
        self._period_s = max(period_s, 1.0)
        self._sides = 1 + rng.uniform(-0.12, 0.12, 2)
        self._strength = float(rng.uniform(0.92, 1.08))
        turns = np.maximum(1, np.round(self._period_s / rng.uniform(3.0, 7.0, 5)))
        self._waves = [
            (int(n), float(phase), float(size))
            for n, phase, size in zip(
                turns, rng.uniform(0, 2 * math.pi, 5), (1.0, 0.7, 0.6, 0.010, 0.014), strict=True
            )
        ]
        self._blinks_s = _blinks(rng, self._period_s)

    def __call__(self, look: Look, t_s: float) -> Look:
        """Return ``look`` as this face does it ``t_s`` seconds after the start."""
        yaw, pitch, roll, x, y = (
            size * math.sin(2 * math.pi * n * t_s / self._period_s + phase)
            for n, phase, size in self._waves
        )
        scores = {
            name: min(score * self._strength * self._side(name), 1.0)
            for name, score in look.scores.items()
        }
        blink = self._blink(t_s % self._period_s)
        for name in ("eyeBlinkLeft", "eyeBlinkRight"):
            scores[name] = max(scores.get(name, 0.0), blink)
        return Look(
            scores,
            look.yaw_deg * self._strength + yaw,
            look.pitch_deg * self._strength + pitch,
            look.roll_deg * self._strength + roll,
            look.x + x,
            look.y + y,
            look.zoom,
        )

    def _side(self, name: str) -> float:
        if name.startswith("eye"):
            return 1.0
        if name.endswith("Left"):
            return float(self._sides[0])
        return float(self._sides[1]) if name.endswith("Right") else 1.0

    def _blink(self, t_s: float) -> float:
        phases = ((t_s - at) / _BLINK_S for at in self._blinks_s)
        return max((math.sin(math.pi * phase) for phase in phases if 0 < phase < 1), default=0.0)


_BLINK_S = 0.24


def _blinks(rng: np.random.Generator, period_s: float) -> Float32:
    """Return when lids shut, seconds: none across the end of the period."""
    at, found = float(rng.uniform(0.6, 2.0)), []
    while at < period_s - 2 * _BLINK_S:
        found.append(at)
        at += float(rng.uniform(2.2, 4.5))
    return np.array(found, np.float32)
