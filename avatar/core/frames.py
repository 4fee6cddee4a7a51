"""What the stages hand to each other, in the order of the flow.

Conventions, for every array here:

- Images are uint8, shape (H, W, 3), RGB, C-contiguous; row 0 is the top.
- Pixel coordinates (``_px``) have their origin at the top-left corner of the image,
  x to the right, y down; the centre of the first pixel is (0.5, 0.5).
- Where a picture has an ``alpha``, uint8 (H, W), 255 is the avatar and 0 nothing, and its colours
  are already multiplied by it (Porter and Duff 1984): shown without regard to alpha, it stands on
  black. None is opaque.
- Landmark depth z has the scale of x and grows away from the camera (MediaPipe's convention).
- The head frame has x to the right of the picture, y up and z towards the viewer when the
  head looks straight into the camera; its unit is the head unit: the root mean square
  distance of the rigid landmarks from their centre.
- Left and right of blendshapes and eyes are the tracked person's own.
- Timestamps are monotonic nanoseconds at capture and travel unchanged to the sink.

A frame's arrays belong to its receiver for reading only: nobody writes into them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

UInt8Image = NDArray[np.uint8]
UInt8Mask = NDArray[np.uint8]
Float32 = NDArray[np.float32]

LANDMARK_COUNT = 478
BLENDSHAPE_NAMES: tuple[str, ...] = (
    "_neutral", "browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft",
    "browOuterUpRight", "cheekPuff", "cheekSquintLeft", "cheekSquintRight", "eyeBlinkLeft",
    "eyeBlinkRight", "eyeLookDownLeft", "eyeLookDownRight", "eyeLookInLeft", "eyeLookInRight",
    "eyeLookOutLeft", "eyeLookOutRight", "eyeLookUpLeft", "eyeLookUpRight", "eyeSquintLeft",
    "eyeSquintRight", "eyeWideLeft", "eyeWideRight", "jawForward", "jawLeft", "jawOpen",
    "jawRight", "mouthClose", "mouthDimpleLeft", "mouthDimpleRight", "mouthFrownLeft",
    "mouthFrownRight", "mouthFunnel", "mouthLeft", "mouthLowerDownLeft", "mouthLowerDownRight",
    "mouthPressLeft", "mouthPressRight", "mouthPucker", "mouthRight", "mouthRollLower",
    "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper", "mouthSmileLeft", "mouthSmileRight",
    "mouthStretchLeft", "mouthStretchRight", "mouthUpperUpLeft", "mouthUpperUpRight",
    "noseSneerLeft", "noseSneerRight",
)  # fmt: skip
BLENDSHAPE_INDEX: dict[str, int] = {name: i for i, name in enumerate(BLENDSHAPE_NAMES)}


def _expect(name: str, array: NDArray[Any], dtype: type, shape: tuple[int | None, ...]) -> None:
    """Raise ValueError unless ``array`` has ``dtype`` and ``shape`` (None matches any length)."""
    fits = array.ndim == len(shape) and all(
        want is None or want == have for want, have in zip(shape, array.shape, strict=True)
    )
    if array.dtype != dtype or not fits:
        wanted = "×".join("?" if n is None else str(n) for n in shape)
        found = "×".join(map(str, array.shape))
        raise ValueError(
            f"{name}: expected {np.dtype(dtype).name} of shape {wanted}, "
            f"found {array.dtype.name} of shape {found}"
        )


def _expect_alpha(name: str, alpha: UInt8Mask | None, image: UInt8Image) -> None:
    """Raise ValueError unless ``alpha`` is None or covers ``image``."""
    if alpha is not None:
        _expect(name, alpha, np.uint8, image.shape[:2])


@dataclass(frozen=True, eq=False)
class CameraFrame:
    """One picture of the driver. It never leaves the pipeline.

    ``image``: uint8 (H, W, 3) RGB. ``index`` counts captured frames from 0.
    """

    image: UInt8Image
    timestamp_ns: int
    index: int

    def __post_init__(self) -> None:
        _expect("CameraFrame.image", self.image, np.uint8, (None, None, 3))


@dataclass(frozen=True, eq=False)
class Face:
    """One tracked face.

    ``landmarks_px``: float32 (478, 3), pixels of the picture it was found in; 468 to 472 are
    the iris of the person's right eye, 473 to 477 of the left, centre first.
    ``blendshapes``: float32 (52,), range [0, 1], in the order of ``BLENDSHAPE_NAMES``.
    ``pose``: float32 (4, 4), canonical face (cm; x right, y up, z to the viewer) to camera.
    ``image_size_px``: (width, height) of that picture.
    """

    landmarks_px: Float32
    blendshapes: Float32
    pose: Float32
    image_size_px: tuple[int, int]

    def __post_init__(self) -> None:
        _expect("Face.landmarks_px", self.landmarks_px, np.float32, (LANDMARK_COUNT, 3))
        _expect("Face.blendshapes", self.blendshapes, np.float32, (len(BLENDSHAPE_NAMES),))
        _expect("Face.pose", self.pose, np.float32, (4, 4))


@dataclass(frozen=True, eq=False)
class FaceTrack:
    """What the tracker saw in one camera frame; ``face`` is None when it found nobody.

    ``camera`` is the frame itself, for engines that need the driver's pixels; a recorded
    track has none. ``person``: counts how often somebody else was chosen to be followed: with
    another number the face is another person's.
    """

    timestamp_ns: int
    index: int
    face: Face | None
    camera: CameraFrame | None = None
    person: int = 0


class Presence(Enum):
    """Where a motion comes from: a face, the last face, or nobody.

    ``PREDICTED``: between two camera frames, carried on from the last face; ``HELD``: that face
    as it was.
    """

    TRACKED = "tracked"
    PREDICTED = "predicted"
    HELD = "held"
    IDLE = "idle"


@dataclass(frozen=True, eq=False)
class NetworkMotion:
    """What a motion-transfer network saw in the driver's picture, and at the reference.

    ``family``: whose networks; others cannot use it. ``values`` and ``reference``: float32 arrays
    by name, as the family's ``seen_shapes`` lists them (``avatar/stages/generate/neural``).
    """

    family: str
    values: Mapping[str, Float32]
    reference: Mapping[str, Float32]


@dataclass(frozen=True, eq=False)
class Motion:
    """How the avatar is to move, free of the driver's proportions and of the avatar's.

    ``absolute``: False: everything is relative to the driver's reference and to the avatar's
    photograph. True: shape, pose and place are the driver's own.
    ``expression``: float32 (478, 3), head frame, head units. Relative: displacement from the
    reference; absolute: the shape itself.
    ``neutral``: float32 (478, 3), head frame, head units: the driver's shape at the reference,
    which tells the driver's proportions; all zero when unknown. One object stands for one
    reference: another object means that a new one was taken.
    ``rotation``: float32 (3, 3), head frame to camera (x right, y up, z to the viewer).
    Relative: R·R_ref⁻¹.
    ``translation``: float32 (2,), x right, y down. Relative: displacement in head units;
    absolute: the head's centre in pixels of the driver's frame.
    ``scale``: relative: ratio to the reference; absolute: pixels of a head unit.
    ``blendshapes``: float32 (52,), the driver's own in both modes, range [0, 1].
    ``eye_closure``: float32 (2,), (left, right), 0 as open as the reference, 1 shut.
    ``gaze``: float32 (2, 2), rows (left, right), columns (x right, y down) in eye widths.
    Relative: displacement of the iris from the reference; absolute: from the eye's centre.
    ``track``: what it was made from, None when held or idle; of a predicted one the last.
    ``reference``: what the reference was taken from, None when unknown: engines that see for
    themselves look at it as at ``track``. Like ``neutral``, one object stands for one reference.
    ``network``: what such an engine saw before; in place of ``track`` (motion templates).
    ``mouth_seen``: False where something hides the driver's: then it rests, and ``track`` has no
    picture.
    """

    timestamp_ns: int
    index: int
    presence: Presence
    absolute: bool
    expression: Float32
    neutral: Float32
    rotation: Float32
    translation: Float32
    scale: float
    blendshapes: Float32
    eye_closure: Float32
    gaze: Float32
    track: FaceTrack | None = None
    reference: FaceTrack | None = None
    network: NetworkMotion | None = None
    mouth_seen: bool = True

    def __post_init__(self) -> None:
        _expect("Motion.expression", self.expression, np.float32, (LANDMARK_COUNT, 3))
        _expect("Motion.neutral", self.neutral, np.float32, (LANDMARK_COUNT, 3))
        _expect("Motion.rotation", self.rotation, np.float32, (3, 3))
        _expect("Motion.translation", self.translation, np.float32, (2,))
        _expect("Motion.blendshapes", self.blendshapes, np.float32, (len(BLENDSHAPE_NAMES),))
        _expect("Motion.eye_closure", self.eye_closure, np.float32, (2,))
        _expect("Motion.gaze", self.gaze, np.float32, (2, 2))


def still(now_ns: int, index: int, presence: Presence, absolute: bool = False) -> Motion:
    """Return the motion that leaves the photograph as it is."""
    flat = np.zeros((LANDMARK_COUNT, 3), np.float32)
    return Motion(
        timestamp_ns=now_ns,
        index=index,
        presence=presence,
        absolute=absolute,
        expression=flat,
        neutral=flat,
        rotation=np.eye(3, dtype=np.float32),
        translation=np.zeros(2, np.float32),
        scale=1.0,
        blendshapes=np.zeros(len(BLENDSHAPE_NAMES), np.float32),
        eye_closure=np.zeros(2, np.float32),
        gaze=np.zeros((2, 2), np.float32),
    )


@dataclass(frozen=True, eq=False)
class GeneratedFrame:
    """A picture of the avatar, not yet marked: no sink takes it.

    ``image``: uint8 (H, W, 3) RGB. ``timestamp_ns`` and ``index`` are the camera frame's;
    ``presence`` says whether a face drove it. ``alpha``: uint8 (H, W) where the background is
    transparent, see above.
    """

    image: UInt8Image
    timestamp_ns: int
    index: int
    presence: Presence
    alpha: UInt8Mask | None = None

    def __post_init__(self) -> None:
        _expect("GeneratedFrame.image", self.image, np.uint8, (None, None, 3))
        _expect_alpha("GeneratedFrame.alpha", self.alpha, self.image)


class Seal:
    """The right to make a ``LabelledFrame``; only ``stages.label`` holds one (a test proves it)."""


@dataclass(frozen=True, eq=False)
class LabelledFrame:
    """A picture that says it is generated: the only thing a sink accepts.

    ``image``: uint8 (H, W, 3) RGB. ``label_text`` is what stands in the picture; empty only
    when the user acknowledged the duty to disclose it themselves. ``alpha``: uint8 (H, W) where the
    background is transparent; the label is opaque in it.
    """

    image: UInt8Image
    timestamp_ns: int
    index: int
    presence: Presence
    label_text: str
    seal: Seal = field(repr=False)
    alpha: UInt8Mask | None = None

    def __post_init__(self) -> None:
        _expect("LabelledFrame.image", self.image, np.uint8, (None, None, 3))
        _expect_alpha("LabelledFrame.alpha", self.alpha, self.image)
        if not isinstance(self.seal, Seal):
            raise TypeError("LabelledFrame: expected a Seal; only stages.label makes these")
