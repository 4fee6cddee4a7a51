"""What a guided capture shows: what to do, and what is wrong with the picture."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from enum import Enum

from avatar.core.messages import Message

# Characters that fit beside each other in the window.
_LINE = 60


class Problem(Enum):
    """Why a frame cannot be used, in the words that help."""

    NO_FACE = Message("ask.face", "I cannot see your face: please look into the camera.")
    DARK = Message("ask.light", "It is too dark: please turn a light towards your face.")
    FAR = Message("ask.closer", "You are a little far away: please come closer.")
    BLURRED = Message(
        "ask.slower", "The picture is blurred: please move more slowly, or turn on a light."
    )
    NOT_ALONE = "Somebody else is in the picture: please be alone in it."


@dataclass(frozen=True)
class State:
    """What to show. ``step`` of ``steps``, from 1; ``progress`` of this step, 0 to 1."""

    text: str
    step: int
    steps: int
    progress: float
    done: bool

    @property
    def line(self) -> str:
        """Return it as it stands in a window, long sentences in several lines."""
        if self.done:
            return self.text
        bar = "●" * round(5 * self.progress) + "○" * (5 - round(5 * self.progress))
        return f"{textwrap.fill(f'{self.step}/{self.steps}  {self.text}', _LINE)}\n{bar}"
