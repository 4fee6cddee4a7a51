"""A person cut from a photograph, once, in the photograph's own pixels: matte and what is behind.

A rough cut (``rough_cut``) says where the person is; in a band around its rim, wide enough for
hair, the coverage of every pixel is solved for (``matting``). Where movement can uncover it, the
background is continued from its surroundings (``texture``). Where head and background have the
same colours the matte is soft rather than wrong. Views of the photograph, zoomed and moved, are
drawn from the same cut.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avatar.core.curves import smooth_step
from avatar.core.face.head import HeadShape, decompose
from avatar.core.frames import Face, Float32, UInt8Image
from avatar.stages.generate.face_frame import FaceFrame, face_frame, pixel_places
from avatar.stages.generate.heads import without_others
from avatar.stages.generate.matte_cache import MatteCache
from avatar.stages.generate.matting import sampled_coverage, solve_coverage
from avatar.stages.generate.rough_cut import rough_cut
from avatar.stages.generate.strands import with_strands
from avatar.stages.generate.texture import Places, copied, texture_places

# A face is cut at most so high, pixels, and a picture at most so large: a screen's share of it.
_FACE_PX, _AREA_PX = 300.0, 1_600_000
# How far inside and outside the rough cut's rim the coverage is solved for, half face heights:
# where there is hair, and along the body.
_HAIR_IN, _HAIR_OUT = 0.14, 0.30
_BODY_IN, _BODY_OUT = 0.06, 0.08
# Colours are sampled from so far away, half face heights; how strongly they, and the rough cut, are
# believed against a pixel's windows.
_SAMPLED = 0.25
_TOLD, _GUESSED = 0.1, 2e-4
# Hair that may be there counts so far: rather a wall that moves than hair that is gone.
_DOUBTED = 0.8
# The matte's own noise at either end.
_LEAST, _MOST = 0.02, 0.98
# What of the coverage is an island, at least so strong; strands may be broken so far, half faces.
_ISLAND, _GAP = 0.05, 0.04
# How far in from its rim movement can uncover what is behind a person, half face heights.
_UNCOVERED = 0.75
# What is nearer to the person than this is no place to take background from, half face heights.
_CLEAR = 0.05
# Differences of a background wider than this are light, not texture, half face heights.
_LIGHT = 0.15
# As dim as what stands beside a photograph that is full of one person.
_DIM = 0.6


@dataclass(frozen=True, eq=False)
class PersonCut:
    """One person of a picture, and the background.

    ``image``, ``plate``: uint8 (H, W, 3) RGB, the picture and its background with the person
    filled in. ``coverage``: float32 (H, W), 0 to 1. ``filled``: bool (H, W), where ``plate``
    differs from ``image``. ``ratio``: its pixels of one of the photograph's.
    """

    image: UInt8Image
    plate: UInt8Image
    coverage: Float32
    filled: NDArray[np.bool_]
    ratio: float = 1.0


def working_size(photo: UInt8Image, half_face_px: float) -> tuple[UInt8Image, float]:
    """Return the photograph as large as it is cut, and its pixels of one of the photograph's.

    ``half_face_px``: half the largest face's height in ``photo``, uint8 (H, W, 3).
    """
    import cv2

    height, width = photo.shape[:2]
    ratio = min(1.0, _FACE_PX / (2 * half_face_px), float(np.sqrt(_AREA_PX / (height * width))))
    if ratio > 0.95:
        return photo, 1.0
    size = max(8, round(width * ratio)), max(8, round(height * ratio))
    return np.asarray(cv2.resize(photo, size, interpolation=cv2.INTER_AREA), np.uint8), ratio


def cut_photo(
    photo: UInt8Image,
    faces: Sequence[Face],
    mattes: MatteCache | None,
    matte: Float32 | None = None,
) -> list[PersonCut]:
    """Cut the people with these ``faces`` from ``photo``, the nearest (the first) one first.

    ``photo``: uint8 (H, W, 3) RGB; ``faces``: in its pixels. Each is cut from what is left without
    those before. ``mattes``: where outlines are kept from one start to the next. ``matte``:
    float32 (H, W), where the photograph itself says what of it is the one person in it.
    """
    heads = [decompose(face) for face in faces]
    whole = [face_frame(face.landmarks_px, head) for face, head in zip(faces, heads, strict=True)]
    picture, ratio = working_size(photo, max(float(frame.half_px[1]) for frame in whole))
    own = None if matte is None else _resized(matte, picture.shape)
    frames = [frame.scaled(ratio, np.zeros(2, np.float32)) for frame in whole]
    cuts: list[PersonCut] = []
    for k, (face, head) in enumerate(zip(faces, heads, strict=True)):
        landmarks = face.landmarks_px * np.float32(ratio)
        cuts.append(
            cut_person(picture, landmarks, head, frames[k + 1 :], mattes, ratio=ratio, coverage=own)
        )
        picture = cuts[-1].plate
    return cuts


def _resized(matte: Float32, shape: tuple[int, ...]) -> Float32:
    import cv2

    size = shape[1], shape[0]
    return np.asarray(cv2.resize(matte, size, interpolation=cv2.INTER_AREA), np.float32)


def cut_person(
    image: UInt8Image,
    landmarks_px: Float32,
    head: HeadShape,
    others: Sequence[FaceFrame] = (),
    mattes: MatteCache | None = None,
    *,
    ratio: float = 1.0,
    coverage: Float32 | None = None,
) -> PersonCut:
    """Cut the person with these ``landmarks_px``, float32 (478, 3), from ``image``.

    ``others``: further faces in the picture, which count as background. ``mattes``: where outlines
    are kept from one start to the next. ``ratio``: as in ``PersonCut``. ``coverage``: float32
    (H, W), where the picture itself says what of it is the person.
    """
    frame = face_frame(landmarks_px, head)
    scale_px = _LIGHT * float(frame.half_px[1])

    def cut() -> tuple[Float32, Places]:
        found = coverage if coverage is not None else _coverage(image, landmarks_px, frame, others)
        held, band, usable = _uncovered(found, frame, others)
        return found, texture_places(image, band, usable, ~held, scale_px)

    frames = [part for face in (frame, *others) for part in face.arrays]
    given = [] if coverage is None else [coverage]
    made_of: list[NDArray[Any]] = [image, landmarks_px, *frames, *given]
    found, places = cut() if mattes is None else mattes.matte(made_of, cut)
    held, _, usable = _uncovered(found, frame, others)
    # Light is read off where nothing of the person is mixed in.
    clear = usable if usable.any() else ~held
    if clear.any():
        plate = copied(image, held, ~held, clear, places, scale_px)
    else:
        plate = _dim(image)
    return PersonCut(image, plate, found, held, ratio)


def _dim(image: UInt8Image) -> UInt8Image:
    """Return what may be behind somebody who fills a picture: its own colours, blurred and dim."""
    import cv2

    few = cv2.resize(image, (4, 4), interpolation=cv2.INTER_AREA)
    wide = cv2.resize(few, (image.shape[1], image.shape[0]), interpolation=cv2.INTER_CUBIC)
    return np.asarray(cv2.convertScaleAbs(wide, alpha=_DIM), np.uint8)


def _coverage(
    image: UInt8Image, landmarks_px: Float32, frame: FaceFrame, others: Sequence[FaceFrame]
) -> Float32:
    """Return the person's coverage, float32 (H, W), 0 to 1."""
    import cv2

    image = without_others(image, frame, others)
    half = float(frame.half_px[1])
    size = image.shape[1], image.shape[0]
    guess, doubted = (
        np.asarray(cv2.resize(cv2.GaussianBlur(part.astype(np.float32), (0, 0), 0.8), size))
        for part in rough_cut(image, landmarks_px, frame, others)
    )
    unknown = _band(guess > 0.5, frame) | ((doubted > 0.1) & (guess < 0.5))
    guess = np.maximum(guess, _DOUBTED * doubted)
    person = (guess > 0.5) & ~unknown
    likely, trust, alike = sampled_coverage(
        image, person, ~unknown & ~person, guess > 0.5, _SAMPLED * half
    )
    told = _TOLD * trust
    guessed = _GUESSED + _TOLD * alike
    pull = told + guessed
    wanted = np.where(unknown, (told * likely + guessed * guess) / pull, person)
    alpha = solve_coverage(image, wanted.astype(np.float32), pull.astype(np.float32), unknown)
    clean = np.clip((alpha - _LEAST) / (_MOST - _LEAST), 0, 1)
    joined = _joined(np.asarray(clean, np.float32), guess > 0.5, _GAP * half)
    return with_strands(image, joined, frame)


def _joined(coverage: Float32, solid: NDArray[np.bool_], gap_px: float) -> Float32:
    """Return ``coverage`` without islands: what of it reaches no ``solid`` part, bool (H, W)."""
    import cv2

    near = _grown((coverage > _ISLAND) | solid, gap_px / 2)
    _, parts = cv2.connectedComponents(near.astype(np.uint8))
    held = np.zeros(int(parts.max()) + 1, bool)
    held[np.unique(parts[solid])] = True
    return np.where(held[parts], coverage, np.float32(0))


def _band(solid: NDArray[np.bool_], frame: FaceFrame) -> NDArray[np.bool_]:
    """Return where the coverage is not known: around the rim, wider where there is hair."""
    import cv2

    half = float(frame.half_px[1])
    height = frame.coordinates(pixel_places(solid.shape))[..., 1]
    hair = smooth_step((height + 1.6) / 0.6)
    inside, outside = (
        cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 5) for mask in (solid, ~solid)
    )
    reach_in = half * (_BODY_IN + (_HAIR_IN - _BODY_IN) * hair)
    reach_out = half * (_BODY_OUT + (_HAIR_OUT - _BODY_OUT) * hair)
    return np.where(solid, inside < reach_in, outside < reach_out)


def _uncovered(
    coverage: Float32, frame: FaceFrame, others: Sequence[FaceFrame]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]:
    """Return, bool (H, W) each: what the person hides, what of it may show, and sure background."""
    import cv2

    half = float(frame.half_px[1])
    held = coverage > 0.02
    depth = cv2.distanceTransform(held.astype(np.uint8), cv2.DIST_L2, 5)
    usable = ~_grown(held, _CLEAR * half)
    for other in others:
        u, v = np.moveaxis(other.coordinates(pixel_places(held.shape)), -1, 0)
        usable &= ~(((u / 1.6) ** 2 + ((v - 0.1) / 1.9) ** 2 < 1) | ((v < -0.9) & (abs(u) < 2)))
    return held, held & (depth < _UNCOVERED * half), usable


def _grown(mask: NDArray[np.bool_], by_px: float) -> NDArray[np.bool_]:
    import cv2

    size = 2 * max(1, round(by_px)) + 1
    ball = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    return np.asarray(cv2.dilate(mask.astype(np.uint8), ball) > 0, bool)
