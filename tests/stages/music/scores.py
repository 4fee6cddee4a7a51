"""How well beats were found: the F-measure of the field (Dixon 2001), with ±70 ms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

TOLERANCE_S = 0.07


def f_measure(found_s: Sequence[float] | Any, true_s: Sequence[float] | Any) -> float:
    """Return the harmonic mean of precision and recall; each beat counts once."""
    hits = at = to = 0
    while at < len(found_s) and to < len(true_s):
        apart_s = found_s[at] - true_s[to]
        hits += abs(apart_s) <= TOLERANCE_S
        at += apart_s <= TOLERANCE_S
        to += apart_s >= -TOLERANCE_S
    return 2 * hits / max(1, len(found_s) + len(true_s))
