"""A photograph with its faces, upright and whole: lying ones are turned, cut ones get a margin."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from avatar.core.face.bounds import surface_bounds
from avatar.core.frames import Face, Float32, UInt8Image
from avatar.stages.track.turned import moved_face, quarters, turned_face

# A face that the picture's edge cuts gets so much room, in sizes of the face.
_MARGIN = 0.5
_TURNED = {
    1: "{name} lies on its side: turned a quarter to the left",
    2: "{name} stands on its head: turned upright",
    3: "{name} lies on its side: turned a quarter to the right",
}


@dataclass(frozen=True, eq=False)
class AvatarPhoto:
    """A photograph that can be animated.

    ``photo``: uint8 (H, W, 3) RGB; ``face``: the chosen face in its pixels. ``others``: further
    faces of the photograph that move with it. ``more``: further photographs of the same person,
    each with their face in its pixels. ``folder``: that of a stored avatar, and ``photo_sha256``
    its photograph's hash. ``matte``: float32 (H, W), where the file itself says what of the
    photograph is the person.
    """

    name: str
    photo: UInt8Image
    face: Face
    others: tuple[Face, ...] = ()
    more: tuple[tuple[UInt8Image, Face], ...] = ()
    folder: Path | None = None
    photo_sha256: str = ""
    matte: Float32 | None = None


def upright(photo: AvatarPhoto, say: Callable[[str], None]) -> AvatarPhoto:
    """Return a photograph whose face is upright and wholly inside; ``say`` is told of a turn."""
    turns = quarters(photo.face.landmarks_px)
    if turns:
        say(_TURNED[turns].format(name=photo.name))
    pictures = [(photo.photo, (photo.face, *photo.others)), *((p, (f,)) for p, f in photo.more)]
    (first, (face, *others)), *more = (_upright(*picture) for picture in pictures)
    further = tuple((picture, faces[0]) for picture, faces in more)
    matte = None if photo.matte is None else _over(first, np.rot90(photo.matte, turns))
    return replace(photo, photo=first, face=face, others=tuple(others), more=further, matte=matte)


def _over(photo: UInt8Image, matte: Float32) -> Float32:
    """Return ``matte`` as large as ``photo``, in whose margin, if it has one, nobody is."""
    return np.ascontiguousarray(np.pad(matte, (photo.shape[0] - matte.shape[0]) // 2))


def _upright(photo: UInt8Image, faces: Sequence[Face]) -> tuple[UInt8Image, list[Face]]:
    turns = quarters(faces[0].landmarks_px)
    turned = np.ascontiguousarray(np.rot90(photo, turns)) if turns else photo
    return with_margin(turned, [turned_face(face, -turns) for face in faces])


def with_margin(photo: UInt8Image, faces: Sequence[Face]) -> tuple[UInt8Image, list[Face]]:
    """Return a photograph that holds its faces, widened where its edge cuts one."""
    low, high = (np.stack(side) for side in zip(*map(surface_bounds, faces), strict=True))
    size = np.array([photo.shape[1], photo.shape[0]])
    if (low >= 0).all() and (high <= size).all():
        return photo, list(faces)
    margin = int(np.ceil(max((high - low).max() * _MARGIN, (-low).max(), (high - size).max())))
    wide = _widened(photo, margin)
    return wide, [moved_face(face, margin) for face in faces]


def _widened(photo: UInt8Image, margin: int) -> UInt8Image:
    """Return a photograph with a margin that goes from its edge to the edge's mean colour."""
    import cv2

    sides = (margin,) * 4
    edge = np.concatenate([photo[0], photo[-1], photo[:, 0], photo[:, -1]]).mean(axis=0)
    wide = cv2.copyMakeBorder(photo, *sides, cv2.BORDER_REPLICATE)
    soft = cv2.GaussianBlur(wide, (0, 0), max(margin / 6, 1)).astype(np.float32)
    outside = cv2.copyMakeBorder(np.zeros(photo.shape[:2], np.uint8), *sides, 0, value=1)
    apart = cv2.distanceTransform(outside, cv2.DIST_L2, 5)
    near = np.exp(-apart / (margin / 4))[..., None]
    filled = np.asarray(np.rint(soft * near + edge * (1 - near)), np.uint8)
    filled[margin : margin + photo.shape[0], margin : margin + photo.shape[1]] = photo
    return filled
