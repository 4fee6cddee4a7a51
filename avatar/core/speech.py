"""What a voice says of the mouth: the numbers that sound hands to motion."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Articulation:
    """The mouth of somebody who is heard, at one moment.

    ``timestamp_ns``: monotonic, when it sounded. ``speaking``: whether there is a voice at all.
    ``jaw``: 0 shut to 1 wide. ``closure``: 1 where the lips touch as in p, b, m, whatever the jaw.
    ``pucker``: 1 as in "oo"; ``stretch``: 1 as in "ee". ``loudness``: 0 to 1, of this voice's own.
    """

    timestamp_ns: int
    speaking: bool
    jaw: float
    closure: float
    pucker: float
    stretch: float
    loudness: float

    @property
    def opening(self) -> float:
        """Return how far the lips are apart, 0 to 1."""
        return self.jaw * (1 - self.closure)


def at_rest(timestamp_ns: int) -> Articulation:
    """Return the mouth of somebody who says nothing."""
    return Articulation(timestamp_ns, False, 0.0, 0.0, 0.0, 0.0, 0.0)
