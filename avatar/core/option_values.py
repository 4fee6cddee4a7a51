"""What the texts of some options mean: sizes, weights of regions, faces by their number."""

from __future__ import annotations

from typing import Literal

from avatar.core.errors import UsageError

WEIGHTED_REGIONS = ("pose", "mouth", "eyes", "brows")
WEIGHT_BOUNDS = (0.0, 2.0, 0.05)


def parse_size(text: str, option: str = "--size") -> tuple[int, int]:
    """Return (width, height) of ``WIDTHxHEIGHT``; both even, 64 to 4096 pixels.

    ``option``: what the user calls it.

    Raises ``UsageError``.
    """
    width, _, height = text.lower().replace("×", "x").partition("x")
    if not (width.isdecimal() and height.isdecimal()):
        raise UsageError(f"{option}: expected WIDTHxHEIGHT such as 1280x720, found {text!r}")
    size = int(width), int(height)
    if any(side % 2 or not 64 <= side <= 4096 for side in size):
        raise UsageError(
            f"{option}: expected even numbers from 64 to 4096 (video stores colour for 2×2 "
            f"pixels), found {text!r}"
        )
    return size


def parse_weights(texts: tuple[str, ...]) -> dict[str, float]:
    """Return the regions' weights of ``REGION=NUMBER``: pose, mouth, eyes, brows; 0 to 2.

    Raises ``UsageError``.
    """
    weights: dict[str, float] = {}
    for text in texts:
        region, _, number = text.partition("=")
        try:
            value = float(number)
        except ValueError:
            value = float("nan")
        if region not in WEIGHTED_REGIONS or not WEIGHT_BOUNDS[0] <= value <= WEIGHT_BOUNDS[1]:
            raise UsageError(
                f"--weight: expected REGION=NUMBER with one of {', '.join(WEIGHTED_REGIONS)} and a "
                f"number from 0 to 2, such as mouth=1.3; found {text!r}"
            )
        if region in weights:
            raise UsageError(f"--weight: each region only once, found {region} again")
        weights[region] = value
    return weights


def parse_person(text: str) -> str:
    """Return whom ``--person`` asks for: largest, left, right, or a number by size from 1.

    Raises ``UsageError``.
    """
    named = text.lower()
    if named in ("largest", "left", "right") or (named.isdecimal() and int(named) >= 1):
        return named
    raise UsageError(
        f"--person: expected largest, left, right or a number by size from 1, found {text!r}"
    )


def parse_face(text: str) -> int | Literal["all"]:
    """Return which face ``--face`` asks for: a number from 1, the largest, or all of them.

    Raises ``UsageError``.
    """
    if text.lower() == "all":
        return "all"
    if not (text.isdecimal() and int(text) >= 1):
        raise UsageError(f"--face: expected a number from 1 (the largest), or all, found {text!r}")
    return int(text)
