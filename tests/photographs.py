"""Photographs that tests make of the built-in one."""

from __future__ import annotations

from pathlib import Path

from PIL import Image, ImageOps

from avatar.stages.generate.photo import builtin_photo


def pair(path: Path) -> Path:
    """Write a photograph of two people, a large one on the left, its smaller mirror image on the
    right; return its path.
    """
    with Image.open(builtin_photo()) as photo:
        one = photo.convert("RGB")
    small = ImageOps.mirror(one).resize((one.width * 2 // 3, one.height * 2 // 3))
    both = Image.new("RGB", (one.width + small.width, one.height), (90, 90, 90))
    both.paste(one, (0, 0))
    both.paste(small, (one.width, 0))
    both.save(path)
    return path
