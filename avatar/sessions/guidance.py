"""What a session that guides its driver shows and takes in the preview."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Guidance:
    """``line``: what stands in the preview instead of the frame rate.

    ``keys``: what keys of the preview do instead of what they usually do.
    """

    line: Callable[[], str] = lambda: ""
    keys: Mapping[str, Callable[[], object]] = field(default_factory=dict)
