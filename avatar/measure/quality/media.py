"""What is measured: clips of people who talk, and pictures that they drive."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from avatar.core.errors import PhotoError, UsageError
from avatar.core.face.bounds import bounds_of
from avatar.core.face.topology import FACE_OVAL
from avatar.core.files import FILM_SUFFIXES, PICTURE_SUFFIXES, films_in, pictures_in
from avatar.core.frames import Face, UInt8Image
from avatar.core.home import Home
from avatar.sessions.avatars import open_avatar
from avatar.stages.generate.photo import load_photo
from avatar.stages.sources.video import film_frames

CLIP_PX = 512
SQUARE_RATIO = 2.6


@dataclass(frozen=True, eq=False)
class Shot:
    """A picture of a clip: uint8 (512, 512, 3) RGB and its time since the first, nanoseconds."""

    image: UInt8Image
    timestamp_ns: int


class Clip:
    """The centred square of a video, scaled to 512×512."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.name = path.stem

    @cached_property
    def length(self) -> int:
        """Return the number of frames, counted: containers do not always know it."""
        return sum(1 for _ in self._shots(16))

    def later(self, count: int) -> list[int]:
        """Return up to ``count`` frames after the first, evenly spread to the very end."""
        last = self.length - 1
        return sorted(set(np.linspace(1, last, min(count, last)).round().astype(int).tolist()))

    def strided(self, count: int) -> list[int]:
        """Return up to ``count`` frames after the first, in equal steps of whole frames."""
        last = self.length - 1
        return [step * max(1, last // count) for step in range(1, min(count, last) + 1)]

    def shots(self, indices: Sequence[int]) -> list[Shot]:
        """Return the frames ``indices``, which rise."""
        wanted = set(indices)
        kept = []
        for index, shot in enumerate(self._shots(CLIP_PX)):
            if index in wanted:
                kept.append(shot)
            if index >= max(wanted):
                break
        return kept

    def _shots(self, side_px: int) -> Iterator[Shot]:
        start_ns = None
        for frame in film_frames(self._path, (side_px, side_px)):
            start_ns = frame.timestamp_ns if start_ns is None else start_ns
            yield Shot(frame.image, frame.timestamp_ns - start_ns)


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture with a human face. ``photo``: uint8 (H, W, 3) RGB; ``face`` in its pixels."""

    name: str
    photo: UInt8Image
    face: Face

    def square(self, side_px: int) -> UInt8Image:
        """Return the face's surroundings, uint8 (side_px, side_px, 3) RGB.

        A square 2.6 times as wide as the face oval's longer side, centred on it; where the
        picture ends before, the square is moved inwards and, if need be, made smaller: nothing
        is padded, since padding is what no photograph has.
        """
        import cv2

        height, width = self.photo.shape[:2]
        low, high = bounds_of(self.face.landmarks_px[FACE_OVAL])
        side = min(round(float(max(high - low)) * SQUARE_RATIO), height, width)
        centre = (low + high) / 2
        left = min(max(0, round(float(centre[0]) - side / 2)), width - side)
        top = min(max(0, round(float(centre[1]) - side / 2)), height - side)
        cut = self.photo[top : top + side, left : left + side]
        method = cv2.INTER_AREA if side > side_px else cv2.INTER_CUBIC
        return np.asarray(cv2.resize(cut, (side_px, side_px), interpolation=method), np.uint8)


def find_clips(folder: Path | None) -> list[Clip]:
    """Return the clips in ``folder``. Raises ``UsageError`` where there are none."""
    return [Clip(path) for path in _files("--clips", folder, films_in, FILM_SUFFIXES, "videos")]


def find_pictures(
    folder: Path | None, face_model: Path, home: Home, say: Callable[[str], None]
) -> list[Picture]:
    """Return the pictures in ``folder`` that have a face; ``say`` is told which have none.

    Raises ``UsageError`` where there are none.
    """
    pictures = []
    for path in _files("--avatars", folder, pictures_in, PICTURE_SUFFIXES, "pictures"):
        try:
            avatar = open_avatar(load_photo(path), face_model, home, say)
        except PhotoError as error:
            say(f"{path.name} is left out: {error}")
            continue
        pictures.append(Picture(path.stem, avatar.photo, avatar.face))
    if not pictures:
        raise UsageError(f"--avatars: expected pictures with a human face, found none in {folder}")
    return pictures


def _files(
    option: str,
    folder: Path | None,
    find: Callable[[Path], list[Path]],
    suffixes: Sequence[str],
    kind: str,
) -> list[Path]:
    if folder is None:
        raise UsageError(
            f"expected {option} FOLDER with {kind} of people, found none. They are not "
            "part of the program, since they show real people: give your own."
        )
    if not folder.is_dir():
        raise UsageError(f"{option}: expected a folder, found none at {folder}")
    found = find(folder)
    if not found:
        raise UsageError(f"{option}: expected {kind} ({', '.join(suffixes)}), none in {folder}")
    return found
