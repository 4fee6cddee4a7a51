"""What every sink refuses, said in the same words."""

from __future__ import annotations

from avatar.core.errors import SinkError, UsageError
from avatar.core.frames import LabelledFrame, UInt8Image

# The end of what is said where a virtual camera fails.
ELSEWHERE = "To go on without a virtual camera: --out preview."


def checked_image(
    frame: LabelledFrame, size_px: tuple[int, int], *, sink: str, entered: bool
) -> UInt8Image:
    """Return the frame's picture when a sink of ``size_px`` (width, height) may show it.

    Raises ``RuntimeError`` before ``__enter__``, ``TypeError`` for anything but a
    ``LabelledFrame``, and ``SinkError`` for another size.
    """
    if not entered:
        raise RuntimeError(f"{sink}: write() needs an entered sink; use it in a with statement")
    if not isinstance(frame, LabelledFrame):
        raise TypeError(
            f"{sink}: expected a LabelledFrame, found {type(frame).__name__}; "
            "pictures leave the program only through a labeller"
        )
    height, width = frame.image.shape[:2]
    if (width, height) != size_px:
        raise SinkError(
            f"{sink}: expected frames of {size_px[0]}×{size_px[1]} pixels, "
            f"found {width}×{height}. Give every part of the program the same --size."
        )
    return frame.image


def expect_even(size_px: tuple[int, int], sink: str) -> None:
    """Raise ``UsageError`` for a size that 4:2:0 pictures cannot have, naming the nearest."""
    width, height = size_px
    if width < 2 or height < 2 or width % 2 or height % 2:
        nearest = f"{max(2, width + width % 2)}x{max(2, height + height % 2)}"
        raise UsageError(
            f"{sink} needs an even width and height (its colours are stored for blocks of 2×2 "
            f"pixels); found {width}×{height}. Use --size {nearest}."
        )
