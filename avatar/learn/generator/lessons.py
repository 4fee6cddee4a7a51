"""What a teacher draws of one photograph, picture by picture, and what is seen in it.

A driving clip moves the photograph in the teacher's hands, relative to the clip's most neutral
face. The pictures that come of it are then a recording of the photographed person like any other:
their own faces are tracked, and their own landmarks say what the portrait engine has to draw and
where a patch lies. The driver's landmarks would not do, since a teacher puts lips and lids where it
likes.

Each picture is a file, written whole or not at all, so that what was drawn is never drawn again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from avatar.core.clock import Clock
from avatar.core.counting import counted
from avatar.core.errors import UsageError
from avatar.core.face.topology import FACE_OVAL
from avatar.core.files import write_whole
from avatar.core.frames import CameraFrame, Face, FaceTrack, Motion, UInt8Image
from avatar.core.pictures import png
from avatar.core.stages import Generator
from avatar.learn.generator.prepare import ReferencePhoto, split, take_source
from avatar.learn.generator.teacher import DrivingClip
from avatar.learn.generator.watch import (
    Seen,
    WatchedClip,
    best_source,
    face_height,
    judged,
    most_different,
    seen_in,
)
from avatar.stages.motion.retarget import FaceRetargeter

Say = Callable[[str], None]
See = Callable[[UInt8Image], "Face | None"]

# Teachers draw no finer: 512 pixels across two heights of a face.
_FACE_PX = 256.0
# Half the side of what is kept of the photograph, in heights of its face: all that a teacher moves.
_ROOM = 1.6
# If so many of a teacher's first pictures show no face, the others will not either.
_FIRST_LOOK = 8


def crop_head(photo: UInt8Image, face: Face) -> ReferencePhoto:
    """Return the head of a photograph and what is around it, no larger than a teacher draws it.

    ``photo``: uint8 (H, W, 3) RGB. The sides of what is returned are even.
    """
    import cv2

    oval = face.landmarks_px[FACE_OVAL, :2]
    middle, reach = oval.mean(axis=0), _ROOM * face_height(face)
    limits = np.array(photo.shape[1::-1])
    low = np.clip(np.floor(middle - reach), 0, limits - 2).astype(int)
    high = np.clip(np.ceil(middle + reach), low + 2, limits).astype(int)
    shrink = min(1.0, _FACE_PX / face_height(face))
    width, height = (max(2, int(side * shrink) // 2 * 2) for side in high - low)
    if shrink == 1.0:
        high = low + np.array([width, height])
    cut = photo[low[1] : high[1], low[0] : high[0]]
    picture = cv2.resize(cut, (width, height), interpolation=cv2.INTER_AREA)
    scale = np.array([width, height], np.float32) / (high - low)
    points = face.landmarks_px * np.array([*scale, scale[0]], np.float32)
    points[:, :2] -= low * scale
    placed = Face(points.astype(np.float32), face.blendshapes, face.pose, (width, height))
    image = np.ascontiguousarray(picture, np.uint8)
    return ReferencePhoto(image, placed, FaceTrack(0, -1, placed, CameraFrame(image, 0, 0)))


def plan(watched: WatchedClip, sha256: str, share: float, moments: int) -> DrivingClip:
    """Choose the moments of a driving clip: up to ``moments`` to learn from, and some held out."""
    chosen = split(watched, share)
    return DrivingClip(
        clip=watched.path.absolute(),
        sha256=sha256,
        reference=best_source(watched, chosen.train),
        train=most_different(watched, chosen.train, moments),
        held_out=chosen.held_out,
    )


def motions(
    watched: WatchedClip, moments: Sequence[int], reference: FaceTrack
) -> Iterator[tuple[int, Motion]]:
    """Yield the ``moments`` of a driving clip with their relative motion, in time.

    All its usable frames are followed, so that a moment is the same whichever others are wanted.
    """
    retargeter = FaceRetargeter("relative", "off", watches_mouth=False)
    retargeter.begin_with(reference)
    usable = {watched.frames[i].index: i for i in watched.usable}
    wanted = set(moments)
    for frame in watched.read():
        i = usable.get(frame.index)
        if i is None:
            continue
        track = replace(watched.frames[i].track, camera=frame)
        motion = retargeter.retarget(track, track.timestamp_ns)
        if i in wanted:
            yield i, motion
            wanted.remove(i)
        if not wanted:
            return


class ProgressReporter:
    """Says every ``every_s`` seconds how far a teacher has come and how long the rest takes.

    ``total``: pictures to draw, those that were drawn before not among them.
    """

    def __init__(self, total: int, clock: Clock, say: Say, every_s: float = 20.0) -> None:
        self._total, self._clock, self._say = total, clock, say
        self._every_ns = int(every_s * 1e9)
        self._done = 0
        self._begin_ns = self._told_ns = clock.now_ns()

    def begin(self) -> None:
        """Count time from now: networks may have been built before."""
        self._begin_ns = self._told_ns = self._clock.now_ns()

    def __call__(self) -> None:
        """Count one picture."""
        self._done += 1
        now_ns = self._clock.now_ns()
        if now_ns - self._told_ns < self._every_ns or self._done == self._total:
            return
        self._told_ns = now_ns
        each_s = (now_ns - self._begin_ns) / 1e9 / self._done
        left_min = each_s * (self._total - self._done) / 60
        self._say(
            f"drawn {self._done} of {self._total}, {each_s:.1f} s each, {left_min:.1f} min left"
        )


@dataclass(frozen=True, eq=False)
class TeacherRenderer:
    """Where a teacher draws: ``artist`` is entered when the first picture is wanted of it.

    ``see``: finds the face in what was drawn. ``stop``: set when the user pauses.
    """

    artist: AbstractContextManager[Generator]
    see: See
    progress: ProgressReporter
    stop: threading.Event

    def draw(
        self, watched: WatchedClip, moments: Sequence[int], reference: FaceTrack, folder: Path
    ) -> list[Seen] | None:
        """Draw what ``folder`` does not have yet; return what is seen, None when paused.

        Raises ``UsageError`` when the teacher draws no faces, ``OSError`` when the disk refuses,
        and ``EngineError`` when the networks fail.
        """
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found: list[Seen] = []
        with ExitStack() as opened:
            generator: Generator | None = None
            for i, motion in motions(watched, moments, reference):
                image = read_picture(folder, i)
                if image is None:
                    if self.stop.is_set():
                        return None
                    if generator is None:
                        generator = opened.enter_context(self.artist)
                        self.progress.begin()
                    image = generator.generate(motion).image
                    _write_picture(folder, i, image)
                    self.progress()
                frame = CameraFrame(image, motion.timestamp_ns, i)
                found.append(seen_in(frame, self.see(image)))
                _check_faces(found)
        return None if self.stop.is_set() else found


def _check_faces(found: list[Seen]) -> None:
    if len(found) == _FIRST_LOOK and all(seen.face is None for seen in found):
        raise UsageError(
            "expected faces in what the teacher draws of the photograph, found none in its first "
            f"{_FIRST_LOOK} pictures: nothing can be learned from them. See what it draws: avatar "
            "animate --engine ENGINE --avatar PHOTO --driving CLIP --out look.mp4"
        )


def as_recording(found: list[Seen], folder: Path) -> WatchedClip:
    """Return a teacher's pictures in ``folder`` as a recording. Raises ``UsageError``.

    Indices into its frames are positions in ``found``.
    """
    if not any(seen.face is not None for seen in found):
        raise UsageError(
            "expected faces in what the teacher draws of the photograph, found none in "
            f"{counted(len(found), 'picture')}"
        )
    return judged(folder, found, partial(_pictures, folder, found))


def _pictures(folder: Path, found: Sequence[Seen]) -> Iterator[CameraFrame]:
    for seen in found:
        image = read_picture(folder, seen.index)
        if image is None:
            raise UsageError(
                f"{picture_path(folder, seen.index)} is gone or broken since it was drawn. Go on "
                "with --resume: it is drawn again"
            )
        yield CameraFrame(image, seen.timestamp_ns, seen.index)


def read_picture(folder: Path, index: int) -> UInt8Image | None:
    """Return a picture that was drawn, uint8 (H, W, 3) RGB; None where there is no whole one."""
    import cv2

    try:
        data = np.frombuffer(picture_path(folder, index).read_bytes(), np.uint8)
    except FileNotFoundError:
        return None
    image = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    return None if image is None else np.ascontiguousarray(image[..., ::-1], np.uint8)


def _write_picture(folder: Path, index: int, image: UInt8Image) -> None:
    write_whole(picture_path(folder, index), png(image), flush=True)


def picture_path(folder: Path, index: int) -> Path:
    """Return where the picture of a moment lies."""
    return folder / f"{index:06d}.png"


def reference_of(watched: WatchedClip, lesson: DrivingClip, face_model: Path) -> FaceTrack:
    """Return the driver's face that stands for the photograph's. Raises ``UsageError``."""
    return take_source(watched, [lesson.reference], face_model).track
