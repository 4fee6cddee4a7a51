"""Puts a driver's clip beside the avatar's, as the moving picture at the head of README.

python scripts/side_by_side.py DRIVER.mp4 AVATAR.mp4 OUT.webp SECONDS

The last SECONDS of both become one round: what repeats has no jump there.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import av
from PIL import Image, ImageDraw, ImageFont

SIDE_PX, GAP_PX, STRIP_PX = 352, 8, 30
EVERY = 2  # of 30 frames a second
QUALITY = 72
CAPTIONS = ("your camera", "what the call sees")
PAPER, INK = "#16181d", "#e8eaee"


def pictures(path: Path) -> Iterator[Image.Image]:
    """Yield the frames of a clip, square."""
    with av.open(str(path)) as clip:
        for frame in clip.decode(video=0):
            yield frame.to_image().resize((SIDE_PX, SIDE_PX), Image.Resampling.LANCZOS)


def beside(driver: Image.Image, avatar: Image.Image) -> Image.Image:
    """Return both in one picture, each with its caption below."""
    sheet = Image.new("RGB", (2 * SIDE_PX + GAP_PX, SIDE_PX + STRIP_PX), PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(17)
    for place, (picture, caption) in enumerate(zip((driver, avatar), CAPTIONS, strict=True)):
        left = place * (SIDE_PX + GAP_PX)
        sheet.paste(picture, (left, 0))
        draw.text((left + SIDE_PX // 2, SIDE_PX + STRIP_PX // 2), caption, INK, font, "mm")
    return sheet


def main(driver: str, avatar: str, out: str, seconds: str) -> None:
    """Write the animated WebP."""
    pairs = zip(pictures(Path(driver)), pictures(Path(avatar)), strict=True)
    frames = [beside(*pair) for pair in pairs][-round(30 * float(seconds)) :: EVERY]
    # WebP counts whole milliseconds: rounded places in time add up to the very length.
    times = [round(place * 1000 * EVERY / 30) for place in range(len(frames) + 1)]
    frames[0].save(
        out, save_all=True, append_images=frames[1:], loop=0, quality=QUALITY, method=6,
        duration=[end - start for start, end in pairwise(times)],
    )  # fmt: skip
    print(f"{out}: {len(frames)} pictures, {Path(out).stat().st_size / 1e6:.2f} MB")  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])
