"""What people do in the renders: talk, smile, blink, look around, turn their heads.

A track is made of events that begin and end softly. Nobody real moved so: shapes of the mouth
follow each other by chance, or as they are written here, at the pace of speech.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from avatar.learn.renders.assets import Floats, face_units

_MOST_YAW, _MOST_PITCH, _MOST_ROLL = np.radians((20, 11, 8))
# Shapes of the mouth in speech; names without a side stand for both.
_SOUNDS: tuple[Mapping[str, float], ...] = (
    {"jawOpen": 0.55, "mouthLowerDown": 0.25, "mouthUpperUp": 0.35},  # a
    {"jawOpen": 0.28, "mouthStretch": 0.4, "mouthLowerDown": 0.35, "mouthUpperUp": 0.5},  # e
    {"jawOpen": 0.1, "mouthSmile": 0.3, "mouthStretch": 0.3, "mouthLowerDown": 0.35,
     "mouthUpperUp": 0.6},  # i
    {"jawOpen": 0.35, "mouthFunnel": 0.6},  # o
    {"jawOpen": 0.12, "mouthPucker": 0.75, "mouthFunnel": 0.2},  # u
    {"mouthClose": 0.05, "mouthPress": 0.5, "mouthRollLower": 0.35, "mouthRollUpper": 0.3},  # m
    {"jawOpen": 0.06, "mouthRollLower": 0.5, "mouthUpperUp": 0.4},  # f
    {"jawOpen": 0.14, "mouthLowerDown": 0.5, "mouthUpperUp": 0.55},  # s
    {"jawOpen": 0.2, "mouthShrugUpper": 0.3, "mouthLowerDown": 0.3},  # l
)  # fmt: skip
_MOODS: tuple[Mapping[str, float], ...] = (
    {"mouthSmile": 0.55, "cheekSquint": 0.3},
    {"mouthSmile": 0.85, "mouthUpperUp": 0.6, "mouthLowerDown": 0.25, "cheekSquint": 0.6,
     "eyeSquint": 0.35},
    {"jawOpen": 0.45, "mouthSmile": 0.8, "mouthUpperUp": 0.55, "mouthLowerDown": 0.3,
     "cheekSquint": 0.7, "eyeSquint": 0.4},
    {"mouthFrown": 0.5, "browDown": 0.5},
    {"browInnerUp": 0.6, "browOuterUp": 0.7, "eyeWide": 0.5},
    {"browDown": 0.7, "eyeSquint": 0.4, "mouthPress": 0.3},
    {"noseSneer": 0.6, "mouthUpperUp": 0.4, "browDown": 0.3},
    {"mouthLeft": 0.5}, {"mouthRight": 0.5}, {"mouthPucker": 0.7}, {"cheekPuff": 0.5},
    {"jawLeft": 0.5}, {"jawRight": 0.5}, {"mouthDimple": 0.5},
)  # fmt: skip

# The performance: what is said from which second on (the letters of _SOUNDS, a space is a pause),
# expressions (second, half of the length, how softly, shape), blinks, and poses on the way.
SHOWN_SECONDS = 6.0
_LETTERS, _SOUND_SECONDS = "aeioumfsl", 0.155
_SPEECH = ((0.45, "elo  aim i"), (3.85, "laslui maei"))
_EXPRESSIONS: tuple[tuple[float, float, float, Mapping[str, float]], ...] = (
    (2.65, 0.40, 0.45, {"mouthSmile": 0.9, "mouthUpperUp": 0.55, "mouthLowerDown": 0.3,
                        "jawOpen": 0.12, "cheekSquint": 0.5, "eyeSquint": 0.25}),
    (3.75, 0.10, 0.25, {"browInnerUp": 0.7, "browOuterUp": 0.8, "eyeWide": 0.35}),
    (5.25, 0.10, 0.35, {"mouthSmile": 0.5, "cheekSquint": 0.2}),
)  # fmt: skip
_BLINKS = (0.35, 2.05, 3.45, 5.15)
# Second, yaw, pitch and roll in degrees, to the side and up in the mesh's units.
_POSES = np.array((
    (0.0, 0, 0, 0, 0, 0), (0.7, -5, 3, 2, -0.02, 0), (1.3, 6, -2, -2, 0.02, 0),
    (2.0, 0, 2, 0, 0, 0), (2.7, -16, -2, -5, -0.05, 0), (3.4, -6, 2, 0, 0, 0),
    (4.1, 17, 0, 4, 0.05, 0), (4.7, 8, 4, 2, 0.02, 0), (5.3, 0, -1, 0, 0, 0),
    (SHOWN_SECONDS, 0, 0, 0, 0, 0),
))  # fmt: skip


@dataclass(frozen=True, eq=False)
class ActedMotion:
    """``units``: (frames, 52) in 0…1, as ``face_units()``; ``head``: (frames, 3) yaw, pitch and
    roll in radians, about y, x and z; ``shift``: (frames, 2), of the body, in the mesh's units.
    """

    units: Floats
    head: Floats
    shift: Floats


def random_track(random: np.random.Generator, frames: int, fps: float) -> ActedMotion:
    """Make up what somebody does in ``frames`` pictures."""
    act = _Act(random, frames, fps)
    act.talk()
    act.moods()
    act.blinks()
    act.look_around()
    most = np.array((_MOST_YAW, _MOST_PITCH, _MOST_ROLL))
    head = np.clip(act.wander(0.7, 3) * most * 0.6, -most, most)
    return ActedMotion(np.clip(act.units, 0, 1), head, act.wander(1.2, 2) * 0.03)


def shown_track(frames: int, fps: float) -> ActedMotion:
    """Return the performance that shows what the program does, over and over.

    It ends as it begins after ``SHOWN_SECONDS``, so that it can be repeated without a jump.
    """
    act = _Act(np.random.default_rng(0), round(SHOWN_SECONDS * fps), fps)
    for start, letters in _SPEECH:
        for place, letter in enumerate(letters):
            if letter != " ":
                sound = _SOUNDS[_LETTERS.index(letter)]
                act.add(sound, start + place * _SOUND_SECONDS, 0.05, 0.11, 0.8)
    for at, half, soft, shape in _EXPRESSIONS:
        act.add(shape, at, half, soft, 1.0)
    for at in _BLINKS:
        act.add({"eyeBlink": 1.0}, at, 0.05, 0.08, 1.0)
    poses = act.between(_POSES)
    again = np.arange(frames) % len(poses)
    return ActedMotion(act.units[again], np.radians(poses[again, :3]), poses[again, 3:])


class _Act:
    def __init__(self, random: np.random.Generator, frames: int, fps: float) -> None:
        self._random, self._fps = random, fps
        self._times = np.arange(frames) / fps
        self._column = {name: index for index, name in enumerate(face_units())}
        self.units: Floats = np.zeros((frames, len(self._column)))

    def talk(self) -> None:
        """Add speech: a sound every fifth of a second, in bouts."""
        at = self._random.uniform(0, 0.5)
        while at < self._times[-1]:
            bout = at + self._random.uniform(1.0, 3.0)
            while at < bout:
                sound = _SOUNDS[int(self._random.integers(len(_SOUNDS)))]
                self.add(sound, at, 0.09, 0.09, self._random.uniform(0.5, 1.15))
                at += self._random.uniform(0.13, 0.26)
            at += self._random.uniform(0.3, 1.2)

    def moods(self) -> None:
        """Add expressions that last a second or two; each kind is as likely as another."""
        at = self._random.uniform(0, 1)
        while at < self._times[-1]:
            mood = _MOODS[int(self._random.integers(len(_MOODS)))]
            length = self._random.uniform(0.5, 1.6)
            self.add(mood, at + length / 2, length / 2, 0.25, self._random.uniform(0.5, 1.0))
            at += length + self._random.uniform(0.1, 0.8)

    def blinks(self) -> None:
        """Add blinks: closed for a tenth of a second, every two or three seconds."""
        at = self._random.uniform(0.2, 1.5)
        while at < self._times[-1]:
            self.add({"eyeBlink": 1.0}, at, 0.05, 0.08, 1.0)
            at += self._random.uniform(0.8, 3.0)

    def look_around(self) -> None:
        """Move both eyes from one point to another."""
        steps = np.cumsum(self._random.uniform(0.3, 1.5, 40))
        points = self._random.uniform((-0.65, -0.5), (0.65, 0.5), (41, 2))
        points *= self._random.choice((0.15, 1.0), (41, 1))
        aim = points[np.searchsorted(steps, self._times)]
        x, y = (_smooth(aim[:, axis], 0.03 * self._fps) for axis in (0, 1))
        for side, inwards in (("Left", -x), ("Right", x)):
            self._set(f"eyeLookIn{side}", inwards)
            self._set(f"eyeLookOut{side}", -inwards)
            self._set(f"eyeLookUp{side}", y)
            self._set(f"eyeLookDown{side}", -y)

    def wander(self, seconds: float, count: int) -> Floats:
        """Return smooth chance, (frames, count), with a deviation of about 1."""
        loose = self._random.normal(0, 1, (len(self._times), count))
        smooth = np.stack([_smooth(row, seconds * self._fps) for row in loose.T], axis=1)
        return np.asarray(smooth / (smooth.std(axis=0) + 1e-6))

    def between(self, keys: Floats) -> Floats:
        """Return values on the way through ``keys``, rows of second and values, in a circle."""
        rows = [np.interp(self._times, keys[:, 0], values) for values in keys[:, 1:].T]
        return np.stack([_smooth(row, 0.12 * self._fps, "wrap") for row in rows], axis=1)

    def _set(self, name: str, values: Floats) -> None:
        self.units[:, self._column[name]] += np.maximum(values, 0)

    def add(
        self, shape: Mapping[str, float], at: float, half: float, soft: float, weight: float
    ) -> None:
        """Add a shape that is whole for ``half`` seconds to both sides of ``at``."""
        apart = np.clip((np.abs(self._times - at) - half) / soft, 0, 1)
        curve = weight * (0.5 + 0.5 * np.cos(np.pi * apart))
        for name, strength in shape.items():
            for full in (name, f"{name}Left", f"{name}Right"):
                if full in self._column:
                    column = self.units[:, self._column[full]]
                    np.maximum(column, strength * curve, out=column)


def _smooth(
    values: Floats, frames: float, beyond: Literal["reflect", "wrap"] = "reflect"
) -> Floats:
    """Return a signal weighed by a bell whose deviation is ``frames``."""
    reach = int(np.ceil(3 * frames))
    bell = np.exp(-0.5 * (np.arange(-reach, reach + 1) / frames) ** 2)
    padded = np.pad(values, reach, mode=beyond if reach < len(values) else "edge")
    return np.asarray(np.convolve(padded, bell / bell.sum(), mode="valid"))
