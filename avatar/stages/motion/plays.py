"""What can be played in a call, in place of the driver's motion: choreographies and recordings."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from avatar.core.face.head import mouth_width
from avatar.core.frames import Motion
from avatar.stages.motion.choreography import Choreography, Liveliness
from avatar.stages.motion.expressions import ExpressionBasis
from avatar.stages.motion.performance import Played
from avatar.stages.motion.retarget import blend
from avatar.stages.motion.template import Template

# Without a song: a tempo at which people nod along, and at least so long.
_BPM, _LEAST_S = 112.0, 3.5


class ChoreographyPlay:
    """A choreography's first voice, at a tempo of its own, in whole turns."""

    def __init__(self, choreography: Choreography, bpm: float = _BPM) -> None:
        self._choreography, self._beat_s = choreography, 60 / bpm
        turn_s = choreography.beats * self._beat_s
        self.seconds = math.ceil(_LEAST_S / turn_s) * turn_s
        self._alive = Liveliness(0, self.seconds)

    def motion(self, basis: ExpressionBasis, t_s: float) -> Motion:
        """See ``Play``."""
        look = self._alive(self._choreography.look(t_s / self._beat_s), t_s)
        return basis.motion(look, 0, 0)


class RecordedPlay:
    """A motion template of the family ``face``, from its first face to its last.

    Between two frames it goes evenly; where nobody was seen it stays as it was.
    """

    def __init__(self, template: Template) -> None:
        seen = np.flatnonzero(template.tracked > 0)
        self._at_s = (template.time_s[seen] - template.time_s[seen[0]]).astype(np.float64)
        self._values = [{name: value[k] for name, value in template.values.items()} for k in seen]
        self._played = Played(template.reference)
        self._shape = template.reference["expression"]
        self.seconds = float(self._at_s[-1]) + 1 / template.rate

    def motion(self, basis: ExpressionBasis, t_s: float) -> Motion:
        """See ``Play``."""
        k = int(np.clip(np.searchsorted(self._at_s, t_s) - 1, 0, len(self._at_s) - 1))
        later = min(k + 1, len(self._at_s) - 1)
        step_s = max(float(self._at_s[later] - self._at_s[k]), 1e-6)
        share = min(max((t_s - float(self._at_s[k])) / step_s, 0.0), 1.0)
        first, second = (self._played.motion(self._values[at], 0, 0) for at in (k, later))
        between = blend(first, second, share)
        # Measured in the face that it is laid on.
        size = 1.0
        if self._shape.any():
            size = mouth_width(basis.shape) / max(mouth_width(self._shape), 1e-3)
        return replace(between, expression=(between.expression * np.float32(size)))
