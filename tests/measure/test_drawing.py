"""What drawing costs is told step by step, on a clock of its own."""

from itertools import count

import numpy as np
import pytest

from avatar.core.frames import GeneratedFrame, Motion, Presence, still
from avatar.measure.drawing import STEPS, costs
from avatar.stages.label import create_labeller


class Plain:
    """Draws nothing."""

    size_px = (64, 64)

    def __enter__(self) -> "Plain":
        return self

    def __exit__(self, *_: object) -> None:
        """Hold nothing."""

    def generate(self, motion: Motion) -> GeneratedFrame:
        image = np.zeros((64, 64, 3), np.uint8)
        return GeneratedFrame(image, motion.timestamp_ns, motion.index, motion.presence)


def test_each_step_has_its_own_time() -> None:
    # The clock's steps grow, so that each is told from its neighbours.
    squares = (n * n * 1_000_000 for n in count())
    found = costs(
        Plain(), create_labeller(size_px=(64, 64)), [still(0, 0, Presence.TRACKED)],
        lambda: next(squares),
    )  # fmt: skip
    assert tuple(found) == STEPS
    # 1 - 0, 9 - 4, 25 - 16.
    assert list(found.values()) == pytest.approx([1.0, 5.0, 9.0])
