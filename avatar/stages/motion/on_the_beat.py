"""Faces that move on the beats of a song: which beat it is, whose turn, and the motion of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np

from avatar.core.curves import eased
from avatar.core.frames import Float32, Motion
from avatar.stages.motion.choreography import Choreography, Liveliness
from avatar.stages.motion.expressions import ExpressionBasis, Look

Phase = Literal["together", "canon", "alternate"]
PHASES: tuple[Phase, ...] = get_args(Phase)
# In a canon each further face begins so many beats later, where the choreography does not say.
_CANON_BEATS = 2.0
# In turns a face is on for so many beats, and comes and goes within so much of one.
_TURN_BEATS, _COMING = 4.0, 0.5


@dataclass(frozen=True, eq=False)
class BeatGrid:
    """The beats of a song.

    ``times_s``: float32, at least two, rising. ``first``: the number of the beat that a
    choreography begins with. Before and after them the beats go on as at the ends.
    """

    times_s: Float32
    first: int = 0

    @classmethod
    def steady(cls, bpm: float, start_s: float = 0.0) -> BeatGrid:
        """Return beats of one tempo."""
        return cls(np.array([start_s, start_s + 60 / bpm], np.float32))

    def beat_at(self, t_s: float) -> float:
        """Return the beat at a moment, as a number with its fraction."""
        times = self.times_s
        if t_s <= times[0]:
            beat = (t_s - times[0]) / (times[1] - times[0])
        elif t_s >= times[-1]:
            beat = len(times) - 1 + (t_s - times[-1]) / (times[-1] - times[-2])
        else:
            beat = np.interp(t_s, times, np.arange(len(times)))
        return float(beat) - self.first

    def time_of(self, beat: float) -> float:
        """Return when a beat is, seconds; the inverse of ``beat_at``."""
        times, at = self.times_s, beat + self.first
        last = len(times) - 1
        if at <= 0:
            return float(times[0] + at * (times[1] - times[0]))
        if at >= last:
            return float(times[-1] + (at - last) * (times[-1] - times[-2]))
        return float(np.interp(at, np.arange(len(times)), times))


class Performer:
    """Moves the faces of a clip.

    ``shapes``: each face's own, float32 (478, 3), head frame. ``seed``: of what makes each alive;
    the same one moves them alike. ``period_s``: see ``Liveliness``.
    """

    def __init__(
        self,
        choreography: Choreography,
        beats: BeatGrid,
        shapes: Sequence[Float32],
        *,
        phase: Phase = "together",
        seed: int = 0,
        period_s: float = 10.0,
    ) -> None:
        if phase == "canon" and not choreography.canon:
            choreography = replace(choreography, canon=_CANON_BEATS)
        self._choreography, self._beats, self._phase = choreography, beats, phase
        self._faces = [ExpressionBasis(shape) for shape in shapes]
        self._lives = [Liveliness(seed * 1000 + k, period_s) for k in range(len(shapes))]

    def motions(self, t_s: float, index: int) -> list[Motion]:
        """Return every face's motion ``t_s`` seconds after the start."""
        beat, now_ns = self._beats.beat_at(t_s), round(t_s * 1e9)
        return [
            face.motion(life(self._look(beat, k), t_s), now_ns, index)
            for k, (face, life) in enumerate(zip(self._faces, self._lives, strict=True))
        ]

    def _look(self, beat: float, face: int) -> Look:
        look = self._choreography.look(beat, face)
        if self._phase != "alternate" or len(self._faces) < 2:
            return look
        return look.weaker(_turn(beat, face, len(self._faces)))


def _turn(beat: float, face: int, faces: int) -> float:
    """Return how far it is this face's turn, 0 to 1."""
    at = (beat - face * _TURN_BEATS) % (faces * _TURN_BEATS)
    # It comes just before its first beat, and goes before the first beat of the next.
    goes = min(max((_TURN_BEATS - at) / _COMING, 0.0), 1.0)
    comes = max(1 - (faces * _TURN_BEATS - at) / _COMING, 0.0)
    return eased(max(goes, comes))
