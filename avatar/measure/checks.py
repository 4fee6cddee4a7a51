"""What ``avatar doctor`` says of one thing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at. ``remedy`` is what mends it, empty when nothing needs mending."""

    name: str
    state: Literal["ok", "warn", "fail"]
    detail: str
    remedy: str = ""
