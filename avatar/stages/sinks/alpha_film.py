"""Films with transparency: ProRes 4444 in MOV for editing, VP9 in WebM for pages and OBS.

Both hold straight colours, as their players expect, so premultiplied ones are divided by alpha.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from avatar.core.errors import SinkError
from avatar.core.frames import UInt8Image, UInt8Mask
from avatar.stages.sinks.mp4 import WITH_INDEX, FilmFormat, Mp4Writer

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

# In pieces of half a second while they are written; a MOV in pieces does not open in every editor.
_PIECES = {
    "movflags": "empty_moov+default_base_moof+use_metadata_tags",
    "frag_duration": "500000",  # microseconds
    "flush_packets": "1",
}
_FORMATS = {
    ".mov": FilmFormat(".mov", "mov", "prores_ks", "yuva444p10le", _PIECES, WITH_INDEX),
    ".webm": FilmFormat(".webm", "webm", "libvpx-vp9", "yuva420p", {"flush_packets": "1"}),
}
_OPTIONS = {
    ".mov": {"profile": "4444", "alpha_bits": "8", "vendor": "apl0"},
    # Alpha is a second stream of pictures, which cannot refer to hidden ones.
    ".webm": {"crf": "24", "b": "0", "auto-alt-ref": "0", "deadline": "good", "cpu-used": "5"},
}
ALPHA_SUFFIXES = tuple(_FORMATS)
"""Names of films that can be transparent end in one of these."""


class AlphaFilmWriter(Mp4Writer):
    """Writes pictures with alpha, as ``Mp4Writer`` does without; the name's ending says which film.

    ``path`` ends in one of ``ALPHA_SUFFIXES``.
    """

    def __init__(
        self,
        path: Path,
        size_px: tuple[int, int],
        fps: float,
        metadata: Mapping[str, str],
        *,
        overwrite: bool = False,
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        super().__init__(path, size_px, fps, metadata, overwrite=overwrite, say=say)
        self.film = _FORMATS[path.suffix.lower()]
        self._options = _OPTIONS[path.suffix.lower()]

    def write_rgb(self, image: UInt8Image) -> None:
        """Append one opaque frame, uint8 (H, W, 3) RGB."""
        self.write_rgba(image, np.full(image.shape[:2], 255, np.uint8))

    def write_rgba(self, image: UInt8Image, alpha: UInt8Mask) -> None:
        """Append one frame: uint8 (H, W, 3) RGB premultiplied by ``alpha``, uint8 (H, W)."""
        width, height = self._size_px
        if image.shape != (height, width, 3) or alpha.shape != (height, width):
            raise SinkError(
                f"{self.path}: expected a picture of {width}×{height} with its alpha, found "
                f"{image.shape} and {alpha.shape}"
            )
        self._planes = straight(image, alpha)
        self._encode(self._planes)

    def _picture(self, planes: UInt8Image) -> VideoFrame:
        import av

        frame = av.VideoFrame.from_ndarray(planes, format="rgba")
        return frame.reformat(format=self.film.pixels)


def straight(image: UInt8Image, alpha: UInt8Mask) -> UInt8Image:
    """Return uint8 (H, W, 4) whose colours are no longer multiplied by alpha; nothing is black."""
    import cv2

    colours = cv2.divide(image, cv2.merge([alpha] * 3), scale=255)
    red, green, blue = cv2.split(colours)
    return np.asarray(cv2.merge([red, green, blue, alpha]), np.uint8)
