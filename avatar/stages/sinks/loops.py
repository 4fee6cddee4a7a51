"""Pictures that play by themselves in a chat, over and over: GIF and WebP, without sound."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import numpy as np

from avatar.core.errors import SinkError, SinkLostError, UsageError
from avatar.core.frames import UInt8Image
from avatar.core.messages import Message
from avatar.core.outputs import write_output

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

LOOP_SUFFIXES = (".gif", ".webp")
# GIF counts hundredths of a second, and players show nothing shorter than two of them.
_STEP_MS = 50
# Chats shrink what is larger; longer ones are films.
_LONGEST_SIDE_PX, _MOST_S = 480, 30.0
_COLOURS, _PALETTE_FRAMES = 255, 8
_QUALITY = 80


def check_loop(path: Path, seconds: float) -> None:
    """Raise ``UsageError`` for a loop that is too long."""
    if seconds > _MOST_S + 1e-6:
        raise UsageError(
            Message(
                "error.loopLong",
                "{file}: expected a loop of {most} seconds at the most. Write a film: {film}",
                file=str(path), most=f"{_MOST_S:g}", film=str(path.with_suffix(".mp4")),
            )
        )  # fmt: skip


class LoopWriter:
    """Writes a film as a loop when it is left; until then nothing is on the disk.

    ``path``: ends in ``.gif`` or ``.webp``. ``fps``: of the pictures that come. ``metadata``: as
    for a film, with the tag AIGC. ``xmp``: what a WebP says of itself. Raises ``UsageError`` for a
    loop that is too long, and ``SinkLostError`` when the disk fails.
    """

    def __init__(self, path: Path, fps: float, metadata: Mapping[str, str], xmp: str) -> None:
        if "AIGC" not in metadata:
            raise ValueError(f"LoopWriter: expected the tag AIGC, found {sorted(metadata)}")
        self.path, self._fps, self._metadata, self._xmp = path, fps, dict(metadata), xmp
        self._kept: list[UInt8Image] = []
        self._count = 0

    @property
    def frame_count(self) -> int:
        """Return how many pictures came so far."""
        return self._count

    def __enter__(self) -> Self:
        self._kept, self._count = [], 0
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()

    def write_rgb(self, image: UInt8Image) -> None:
        """Append one picture, uint8 (H, W, 3) RGB; those between two steps are left out."""
        check_loop(self.path, (self._count + 1) / self._fps)
        time_ms = self._count * 1000 / self._fps
        if time_ms >= len(self._kept) * _STEP_MS - 1e-6:
            self._kept.append(_small(image))
        self._count += 1

    def close(self, *, cut: bool = False) -> None:
        """Write the loop; a second call does nothing.

        One that was ``cut`` ends there, and lies beside an older one, which stays: ``path`` says
        where.
        """
        kept, self._kept = self._kept, []
        if not kept:
            return
        if cut and self.path.exists():
            self.path = self.path.with_name(f"{self.path.stem}.part{self.path.suffix}")
        gif = self.path.suffix.lower() == ".gif"
        data = self._gif(kept) if gif else self._webp(kept)
        try:
            write_output(self.path, data)
        except SinkError as error:
            raise SinkLostError(str(error)) from error

    def _gif(self, kept: list[UInt8Image]) -> bytes:
        palette = _palette(kept)
        return _saved(
            [_picture(image).quantize(palette=palette) for image in kept],
            "GIF",
            comment=f"{self._metadata.get('comment', '')} AIGC {self._metadata['AIGC']}".encode(),
            optimize=False,
        )

    def _webp(self, kept: list[UInt8Image]) -> bytes:
        pictures = [_picture(image) for image in kept]
        return _saved(pictures, "WEBP", quality=_QUALITY, method=3, xmp=self._xmp.encode())


def _small(image: UInt8Image) -> UInt8Image:
    import cv2

    height, width = image.shape[:2]
    share = min(1.0, _LONGEST_SIDE_PX / max(width, height))
    if share == 1.0:
        return image.copy()
    size = max(2, round(width * share)), max(2, round(height * share))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def _palette(kept: list[UInt8Image]) -> Picture:
    """Return colours that serve all pictures: with colours of its own each would flicker."""
    chosen = kept[:: max(1, len(kept) // _PALETTE_FRAMES)][:_PALETTE_FRAMES]
    return _picture(np.concatenate(chosen)).quantize(_COLOURS)


def _picture(image: UInt8Image) -> Picture:
    from PIL import Image

    return Image.fromarray(image)


def _saved(pictures: list[Picture], kind: str, **options: object) -> bytes:
    data = io.BytesIO()
    pictures[0].save(
        data, kind, save_all=True, append_images=pictures[1:], duration=_STEP_MS, loop=0, **options
    )
    return data.getvalue()
