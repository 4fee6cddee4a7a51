"""Pairs for a training: what the portrait engine draws of a moment, and what the camera saw."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from avatar.commands.train.watch import (
    Watched,
    best_source,
    most_different,
)
from avatar.errors import UsageError
from avatar.frames import CameraFrame, Face, FaceTrack, Motion, UInt8Image
from avatar.generate.deform import Pose
from avatar.generate.portrait import PortraitGenerator, PortraitSettings
from avatar.generate.trained.generator import PatchCutter
from avatar.motion.head import decompose
from avatar.motion.retarget import FaceRetargeter
from avatar.track.landmarker import detect_faces
from engines.patches import Patch
from engines.training.pairs import PairsWriter

MAX_MOMENTS = 480
HELD_OUT_SHARE = 0.12
MAX_HELD_OUT = 20
# Nothing of the driver's picture enters what is drawn but, in half of the pairs, their creases:
# a live avatar gets these in a share between none and all.
_SHADINGS = (0.0, 1.0)


@dataclass(frozen=True, eq=False)
class Source:
    """The avatar's photograph: uint8 (H, W, 3) RGB, its face, and the clip's frame that it is."""

    photo: UInt8Image
    face: Face
    track: FaceTrack


@dataclass(frozen=True, eq=False)
class Take:
    """What is drawn of one photograph: the moments of ``watched`` to learn from and to hold out."""

    source: Source
    watched: Watched
    train: list[int]
    held_out: list[int]

    @property
    def moments(self) -> list[int]:
        """Return all of them, in time."""
        return sorted([*self.train, *self.held_out])


@dataclass(frozen=True)
class Split:
    """Frames of one clip by what they are for; indices into ``Watched.frames``."""

    train: list[int]
    held_out: list[int]
    rest: list[int]


def split(watched: Watched, share: float) -> Split:
    """Divide a clip by time: the first ``share`` is learnt from, the rest is never seen.

    The last eighth of the first part is held out, to choose the best weights by.
    """
    last = round(len(watched.frames) * share)
    ours = [i for i in watched.usable if i < last]
    rest = [i for i in watched.usable if i >= last]
    cut = len(ours) - max(1, round(len(ours) * HELD_OUT_SHARE))
    train = most_different(watched, ours[:cut], MAX_MOMENTS)
    held_out = ours[cut:]
    step = max(1, -(-len(held_out) // MAX_HELD_OUT))
    return Split(train, held_out[::step], rest)


def take_source(watched: Watched, among: list[int], face_model: Path) -> Source:
    """Read the frame that becomes the avatar's photograph. Raises ``UsageError``."""
    index = best_source(watched, among)
    for frame in watched.read():
        if frame.index == watched.frames[index].index:
            found = detect_faces(frame.image, face_model)
            if not found:
                break
            track = FaceTrack(frame.timestamp_ns, frame.index, found[0], frame)
            return Source(frame.image, found[0], track)
    raise UsageError(
        f"expected a face in frame {index} of {watched.path}, found none when it was read again. "
        "Is the file being written to?"
    )


def photo_takes(watched: Watched) -> list[Take]:
    """Let each photograph be drawn as every other one shows the person; the last is held out."""
    last = len(watched.frames) - 1
    takes = []
    for picture, seen in zip(watched.read(), watched.frames, strict=True):
        assert seen.face is not None
        track = replace(seen.track, camera=picture)
        others = [i for i in range(last) if i != seen.index]
        held_out = [last] if seen.index != last else []
        takes.append(Take(Source(picture.image, seen.face, track), watched, others, held_out))
    return takes


def write_pairs(
    folder: Path,
    size: str,
    patches: Sequence[Patch],
    takes: Sequence[Take],
    tick: Callable[[], None] = lambda: None,
) -> None:
    """Draw every chosen moment and write it with the truth into ``folder``.

    Raises ``OSError`` when the disk refuses.
    """
    moments = sum(len(take.moments) for take in takes)
    writer = PairsWriter(folder, patches, moments * len(_SHADINGS), moments, size)
    held_out: list[int] = []
    first = 0
    for take in takes:
        _write_take(writer, patches, take, first, tick)
        kept = set(take.held_out)
        held_out += [first + k for k, index in enumerate(take.moments) if index in kept]
        first += len(take.moments)
    writer.finish(held_out)


def _write_take(
    writer: PairsWriter,
    patches: Sequence[Patch],
    take: Take,
    first: int,
    tick: Callable[[], None],
) -> None:
    with ExitStack() as stages:
        artists = [stages.enter_context(_Artist(take.source, patches, s)) for s in _SHADINGS]
        shots = driven(take.watched, take.moments, take.source)
        for moment, (frame, motion) in enumerate(shots, first):
            writer.truth(moment, artists[0].truth(frame.image, motion))
            for artist in artists:
                writer.pair(moment, *artist.draw(motion))
            tick()


def driven(
    watched: Watched, moments: Sequence[int], source: Source
) -> Iterator[tuple[CameraFrame, Motion]]:
    """Yield the frames ``moments`` of a clip with the absolute motion that reproduces them."""
    retargeter = FaceRetargeter("absolute", "off")
    retargeter.begin_with(source.track)
    wanted = {watched.frames[i].index: watched.frames[i] for i in moments}
    for frame in watched.read():
        seen = wanted.get(frame.index)
        if seen is not None:
            track = replace(seen.track, camera=frame)
            yield frame, retargeter.retarget(track, track.timestamp_ns)


class _Artist:
    """A portrait engine whose pictures are cut into patches."""

    def __init__(self, source: Source, patches: Sequence[Patch], shading: float) -> None:
        settings = PortraitSettings("teeth", shading)
        self._portrait = PortraitGenerator(source.photo, source.face, "photo", None, settings)
        self._patches = patches

    def __enter__(self) -> _Artist:
        self._portrait.__enter__()
        self._cutter = PatchCutter(self._patches, decompose(self._portrait.canvas.face))
        return self

    def __exit__(self, *_: object) -> None:
        self._portrait.__exit__(None, None, None)

    def draw(self, motion: Motion) -> tuple[dict[str, UInt8Image], dict[str, UInt8Image]]:
        """Return the patches' pictures and maps."""
        image = self._portrait.generate(motion).image
        pose = self._portrait.pose(motion)
        matrices = self._cutter.matrices(pose)
        assert matrices is not None  # a face that is tracked is not seen from its edge
        rect = self._portrait.canvas.photo_rect
        return self._cutter.pictures(image, matrices), self._cutter.maps(pose, matrices, rect)

    def truth(self, image: UInt8Image, motion: Motion) -> dict[str, UInt8Image]:
        """Return the patches of the camera's own picture."""
        drawn = self._portrait.pose(motion)
        centre = np.append(motion.translation, drawn.centre_px[2]).astype(np.float32)
        here = Pose(drawn.landmarks_px, motion.rotation, centre, motion.scale, motion.eye_closure)
        matrices = self._cutter.matrices(here)
        assert matrices is not None
        return self._cutter.pictures(image, matrices)
