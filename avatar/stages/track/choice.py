"""Which tracker finds and follows faces: our own, or MediaPipe's with the same networks.

``auto`` takes our own: its landmarks are MediaPipe's to a few hundredths of a pixel
(``python -m avatar.measure.tracker``), it finds faces that MediaPipe does not, and needs nothing
that is not here anyway. Where this OpenCV cannot run the networks MediaPipe is taken, and that is
said. What is asked for by name is used, or is an error.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from avatar.core.choices import TrackerName
from avatar.core.errors import MissingDependencyError, UsageError
from avatar.core.frames import Face, UInt8Image
from avatar.core.stages import Tracker

CANNOT_CHOOSE = "--person: MediaPipe cannot choose whom to follow; use --tracker own"


@dataclass(frozen=True)
class TrackerChoice:
    """The tracker that is used, and why."""

    name: Literal["own", "mediapipe"]
    reason: str

    @property
    def line(self) -> str:
        """Return what is said of it."""
        return f"tracker {self.name}: {self.reason}"


def choose_tracker(wanted: TrackerName = "auto") -> TrackerChoice:
    """Return the tracker to use. Raises ``MissingDependencyError`` where it cannot run here."""
    if wanted == "mediapipe":
        return TrackerChoice("mediapipe", _mediapipe("asked for"))
    missing = _own_lacks()
    if missing is None:
        return TrackerChoice("own", "asked for" if wanted == "own" else "runs in OpenCV")
    if wanted == "own":
        raise MissingDependencyError(f"the own tracker cannot run here: {missing}")
    return TrackerChoice("mediapipe", _mediapipe(missing))


def _own_lacks() -> str | None:
    """Return why our own tracker cannot run here, None where it can."""
    import cv2

    if hasattr(cv2.dnn, "ENGINE_NEW"):
        return None
    return f"it needs OpenCV 5, found {cv2.__version__}: pip install 'opencv-python>=5'"


def _mediapipe(reason: str) -> str:
    if find_spec("mediapipe") is None:
        raise MissingDependencyError(
            f"MediaPipe is not installed ({reason}): pip install mediapipe==0.10.33, or leave "
            "--tracker out"
        )
    return reason


def create_tracker(
    face_model: Path, wanted: TrackerName = "auto", person: str = "largest",
    say: Callable[[str], None] = lambda line: None,
) -> Tracker:  # fmt: skip
    """Return the tracker to use; whoever needs to say which asks ``choose_tracker`` first.

    ``face_model``: path of ``face_landmarker.task``. ``person``: see ``OwnTracker``; only our own
    can choose. ``say`` is told when somebody asked for later is not there. Raises ``UsageError``
    and what ``choose_tracker`` raises.
    """
    if choose_tracker(wanted).name == "own":
        from avatar.stages.track.own import OwnTracker

        return OwnTracker(face_model, person, say=say)
    if person != "largest":
        raise UsageError(CANNOT_CHOOSE)
    from avatar.stages.track.landmarker import FaceLandmarker

    return FaceLandmarker(face_model)


def detect_faces(
    image: UInt8Image, face_model: Path, *, settle: bool = True, wanted: TrackerName = "auto"
) -> list[Face]:
    """Return the faces of a still picture, the largest first.

    ``image``: uint8 (H, W, 3) RGB. Landmarks are in its pixels; our own tracker finds lying faces,
    too, and those that the picture's edge cuts. ``settle`` looks at a face as at one that is
    followed, so that its landmarks agree with a driver's; our own always does.
    """
    if choose_tracker(wanted).name == "own":
        from avatar.stages.track.find import find_faces
        from avatar.stages.track.networks import FaceNetworks

        with FaceNetworks(face_model) as networks:
            return find_faces(networks, image)
    from avatar.stages.track import landmarker

    return landmarker.detect_faces(image, face_model, settle=settle)
