"""Numbers with what they count."""

from __future__ import annotations


def counted(number: int, what: str) -> str:
    """Return ``1 frame``, ``2 frames``: a number and the word for so many."""
    return f"{number} {what}{'' if number == 1 else 's'}"
