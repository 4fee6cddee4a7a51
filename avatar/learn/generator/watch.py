"""Looking through recordings of a person: which frames can be learnt from, and which cannot."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from avatar.core.counting import counted
from avatar.core.errors import UsageError
from avatar.core.face.head import head_rotation
from avatar.core.face.rotation import vector_from_rotation
from avatar.core.face.topology import FACE_OVAL, SURFACE_COUNT
from avatar.core.frames import CameraFrame, Face, FaceTrack, Float32, UInt8Image
from avatar.sessions.avatars import choose_face
from avatar.stages.generate.photo import load_photo
from avatar.stages.generate.trained.references import farthest
from avatar.stages.motion.retarget import neutrality
from avatar.stages.sources.video import film_frames
from avatar.stages.track.choice import create_tracker, detect_faces

Say = Callable[[str], None]

MIN_FACE_PX = 128
MIN_PHOTOS, MAX_PHOTOS = 3, 5
# Photographs are no film: none is so near to another that it may not be shown beside it.
_PHOTO_APART_NS = 60_000_000_000
MIN_MOMENTS = 60
# A frame less than so sharp, against the clip's own median, is blurred.
_BLURRED = 0.4
# Skin whose colour is so far from its usual one, in levels and in median deviations, is covered.
_COVERED_LEVELS, _COVERED_DEVIATIONS = 28.0, 8.0
# Forehead, cheeks, chin: where skin shows unless something is before it.
_SKIN = (151, 50, 280, 199)
_FACES_LOOKED_FOR = 5
SECOND_FACE_SHARE = 0.4


@dataclass(frozen=True, eq=False)
class Seen:
    """A frame of a clip. ``face``: None where none was found. ``sharpness``, ``skin``: of it."""

    timestamp_ns: int
    index: int
    face: Face | None
    sharpness: float = 0.0
    skin: Float32 = field(default_factory=lambda: np.zeros((len(_SKIN), 3), np.float32))

    @property
    def track(self) -> FaceTrack:
        """Return what the tracker saw, without the picture."""
        return FaceTrack(self.timestamp_ns, self.index, self.face)


@dataclass(frozen=True, eq=False)
class WatchedClip:
    """A clip, or photographs, that were looked through.

    ``read``: gives the pictures once more, in the order of ``frames``. ``usable``: indices into
    ``frames`` of those that can be learnt from, in time. The counts say why others cannot.
    """

    path: Path
    frames: list[Seen]
    usable: list[int]
    lost: int
    blurred: int
    covered: int
    read: Callable[[], Iterator[CameraFrame]]

    @property
    def seconds(self) -> float:
        """Return the clip's length in seconds."""
        if not self.frames:
            return 0.0
        return (self.frames[-1].timestamp_ns - self.frames[0].timestamp_ns) / 1e9

    def summary(self) -> str:
        """Return in a line what was found."""
        return (
            f"{self.path.name}: {counted(len(self.frames), 'frame')}, {len(self.usable)} usable "
            f"({self.lost} without a face, {self.blurred} blurred, {self.covered} with something "
            "before the face)"
        )


def watch(path: Path, face_model: Path, tick: Callable[[], None] = lambda: None) -> WatchedClip:
    """Track a clip and judge its frames; ``tick`` is called after each.

    Raises ``UsageError`` for a clip that shows nobody, more than one person, or too little.
    """
    frames: list[Seen] = []
    pictures: list[UInt8Image] = []
    with create_tracker(face_model) as tracker:
        for frame in film_frames(path):
            frames.append(seen_in(frame, tracker.track(frame).face))
            _keep_some(pictures, frame)
            tick()
    if not any(seen.face is not None for seen in frames):
        raise UsageError(
            f"expected a clip of a face, found none in the "
            f"{counted(len(frames), 'frame')} of {path}. Record "
            "yourself from the front, well lit, with the whole head in the picture."
        )
    _check_alone(path, pictures, face_model)
    watched = judged(path, frames, partial(film_frames, path))
    _check_enough(watched)
    return watched


def watch_photos(paths: Sequence[Path], face_model: Path) -> WatchedClip:
    """Find the face of each photograph of one person, in the order given.

    Raises ``PhotoError`` and ``UsageError`` for photographs that nothing can be learnt from.
    """
    if not MIN_PHOTOS <= len(paths) <= MAX_PHOTOS:
        raise UsageError(
            f"expected {MIN_PHOTOS} to {MAX_PHOTOS} photographs of one person, found {len(paths)}"
        )
    pictures = [
        CameraFrame(load_photo(path), index * _PHOTO_APART_NS, index)
        for index, path in enumerate(paths)
    ]
    frames = []
    for path, picture in zip(paths, pictures, strict=True):
        face = choose_face(path.name, detect_faces(picture.image, face_model), lambda _line: None)
        if face_height(face) < MIN_FACE_PX:
            raise UsageError(
                f"expected a face at least {MIN_FACE_PX} pixels high in {path.name}, found "
                f"{face_height(face):.0f}"
            )
        frames.append(seen_in(picture, face))
    usable = list(range(len(frames)))
    return WatchedClip(paths[0], frames, usable, 0, 0, 0, read=lambda: iter(pictures))


def _keep_some(pictures: list[UInt8Image], frame: CameraFrame) -> None:
    """Keep a few pictures spread over the clip, whose length is not known yet."""
    step = 1
    while frame.index // step >= _FACES_LOOKED_FOR:
        step *= 2
    if frame.index % step == 0:
        if len(pictures) == 2 * _FACES_LOOKED_FOR:
            del pictures[1::2]
        pictures.append(frame.image)


def seen_in(frame: CameraFrame, face: Face | None) -> Seen:
    """Return what is kept of a picture and the face found in it."""
    if face is None:
        return Seen(frame.timestamp_ns, frame.index, None)
    return Seen(
        frame.timestamp_ns, frame.index, face,
        _sharpness(frame.image, face), _skin_colours(frame.image, face),
    )  # fmt: skip


def _sharpness(image: UInt8Image, face: Face) -> float:
    """Return the variance of the Laplacian over the face, which blur lowers."""
    import cv2

    oval = face.landmarks_px[FACE_OVAL, :2]
    height, width = image.shape[:2]
    low = np.clip(oval.min(axis=0), 0, (width - 2, height - 2)).astype(int)
    high = np.clip(oval.max(axis=0), low + 2, (width, height)).astype(int)
    grey = cv2.cvtColor(image[low[1] : high[1], low[0] : high[0]], cv2.COLOR_RGB2GRAY)
    return float(np.var(cv2.Laplacian(grey, cv2.CV_32F)))


def _skin_colours(image: UInt8Image, face: Face) -> Float32:
    """Return the colours of forehead, cheeks and chin, float32 (4, 3)."""
    height, width = image.shape[:2]
    oval = face.landmarks_px[FACE_OVAL, :2]
    reach = max(2, round(0.03 * float(np.ptp(oval[:, 1]))))
    colours = []
    for x, y in face.landmarks_px[list(_SKIN), :2].astype(int):
        x0, y0 = min(max(x - reach, 0), width - 1), min(max(y - reach, 0), height - 1)
        part = image[y0 : max(y + reach, y0 + 1), x0 : max(x + reach, x0 + 1)]
        colours.append(part.reshape(-1, 3).mean(axis=0))
    return np.array(colours, np.float32)


def judged(
    path: Path, frames: list[Seen], read: Callable[[], Iterator[CameraFrame]]
) -> WatchedClip:
    """Say which of ``frames``, of which one or more have a face, can be learnt from.

    ``read``: gives their pictures once more.
    """
    with_face = [i for i, seen in enumerate(frames) if seen.face is not None]
    sharpness = np.array([frames[i].sharpness for i in with_face])
    sharp = sharpness >= _BLURRED * np.median(sharpness)
    skin = np.stack([frames[i].skin for i in with_face])
    apart = np.abs(skin - np.median(skin, axis=0)).max(axis=2)
    usual = np.median(apart, axis=0)
    covered = (apart > np.maximum(_COVERED_LEVELS, _COVERED_DEVIATIONS * usual)).any(axis=1)
    usable = [i for i, ok in zip(with_face, sharp & ~covered, strict=True) if ok]
    return WatchedClip(
        path, frames, usable,
        lost=len(frames) - len(with_face),
        blurred=int((~sharp).sum()),
        covered=int((sharp & covered).sum()),
        read=read,
    )  # fmt: skip


def _check_alone(path: Path, pictures: list[UInt8Image], face_model: Path) -> None:
    for picture in pictures:
        faces = detect_faces(picture, face_model, settle=False)
        sizes = [float(np.ptp(face.landmarks_px[:SURFACE_COUNT, 1])) for face in faces]
        if len(sizes) > 1 and sizes[1] > SECOND_FACE_SHARE * sizes[0]:
            raise UsageError(
                f"expected one person in {path}, found {len(sizes)} faces in one of its frames. "
                "A network learns one person: cut the clip so that only they are in the picture."
            )


def _check_enough(watched: WatchedClip) -> None:
    if len(watched.usable) < MIN_MOMENTS:
        raise UsageError(
            f"expected at least {MIN_MOMENTS} usable frames, found: {watched.summary()}. Record "
            "half a minute or more: talk, smile, blink, look around, and keep hands off the face."
        )
    sizes = [face_height(watched.frames[i].face) for i in watched.usable]
    if float(np.median(sizes)) < MIN_FACE_PX:
        raise UsageError(
            f"expected a face at least {MIN_FACE_PX} pixels high in {watched.path}, found "
            f"{np.median(sizes):.0f}. Come closer to the camera, or record with more pixels."
        )


def face_height(face: Face | None) -> float:
    """Return the height of a face in pixels; 0 for None."""
    return 0.0 if face is None else float(np.ptp(face.landmarks_px[FACE_OVAL, 1]))


def best_source(watched: WatchedClip, among: list[int]) -> int:
    """Return the frame to make the avatar's photograph of: neutral, and as sharp as most."""
    median = np.median([watched.frames[i].sharpness for i in among])

    def score(i: int) -> float:
        seen = watched.frames[i]
        assert seen.face is not None
        return neutrality(seen.face) + (0 if seen.sharpness >= median else 1e3)

    return min(among, key=score)


def most_different(watched: WatchedClip, among: list[int], count: int) -> list[int]:
    """Return up to ``count`` of the frames, whose expressions and poses differ most, in time."""
    if len(among) <= count:
        return list(among)
    faces = [watched.frames[i].face for i in among]
    signs = np.stack([_signs(face) for face in faces if face is not None])
    return [among[i] for i in farthest(signs, count)]


def _signs(face: Face) -> NDArray[np.float64]:
    turn = vector_from_rotation(head_rotation(face))
    return np.concatenate([face.blendshapes[1:], 2 * turn]).astype(np.float64)
