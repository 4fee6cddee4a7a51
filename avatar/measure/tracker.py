"""Our own tracker beside MediaPipe's: how far apart their answers lie, and what each costs.

``python -m avatar.measure.tracker CLIP...`` shows both trackers the same frames of 640×480 in
turns, so that a busy machine slows both alike, and prints one line a clip.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from avatar.core.face.bounds import bounds_of
from avatar.core.face.rotation import proper_rotation, vector_from_rotation
from avatar.core.frames import CameraFrame, Face, Float32, UInt8Image
from avatar.core.home import Home
from avatar.core.machine import keep_one_opencv_thread
from avatar.core.stages import Tracker
from avatar.core.terminal import say
from avatar.library.face_model import find_face_model
from avatar.measure.bench import CAMERA_FPS, load_frames
from avatar.stages.track.landmarker import FaceLandmarker
from avatar.stages.track.networks import OWN_BACKENDS
from avatar.stages.track.own import OwnTracker

_CROP_PX, _CROP_MARGIN = 256, 1.5
_WARM_UP = 5


@dataclass
class Parity:
    """What two trackers made of the same frames.

    ``landmarks_px``: mean distance of the landmarks, in pixels of the 256-pixel crop that the
    networks see; ``blendshapes``: mean difference; ``pose_deg``: angle between the heads' turns;
    one number for each frame in which both saw a face. ``apart``: frames in which only one did.
    ``wall_ms`` and ``cpu_ms``: rows (theirs, ours).
    """

    landmarks_px: list[float] = field(default_factory=list)
    blendshapes: list[float] = field(default_factory=list)
    pose_deg: list[float] = field(default_factory=list)
    wall_ms: list[tuple[float, float]] = field(default_factory=list)
    cpu_ms: list[tuple[float, float]] = field(default_factory=list)
    apart: int = 0

    def add(self, theirs: Face | None, ours: Face | None) -> None:
        """Compare the faces of one frame."""
        if theirs is None or ours is None:
            self.apart += theirs is not ours
            return
        low, high = bounds_of(theirs.landmarks_px)
        pixel = _CROP_PX / (_CROP_MARGIN * float(max(high - low)))
        apart = (theirs.landmarks_px - ours.landmarks_px)[:, :2]
        self.landmarks_px.append(float(np.linalg.norm(apart, axis=1).mean()) * pixel)
        self.blendshapes.append(float(np.abs(theirs.blendshapes - ours.blendshapes).mean()))
        self.pose_deg.append(_turned_deg(theirs.pose, ours.pose))

    def __str__(self) -> str:
        if not self.landmarks_px:
            return f"no face that both saw, {self.apart} that one saw"
        wall = np.median(self.wall_ms[_WARM_UP:] or self.wall_ms, axis=0)
        cpu = np.median(self.cpu_ms[_WARM_UP:] or self.cpu_ms, axis=0)
        return (
            f"{len(self.landmarks_px)} frames, {self.apart} seen by one only; landmarks "
            f"{np.mean(self.landmarks_px):.3f} px, blendshapes {np.mean(self.blendshapes):.4f}, "
            f"pose {np.mean(self.pose_deg):.3f}°; time {wall[0]:.2f} → {wall[1]:.2f} ms "
            f"(×{wall[1] / wall[0]:.2f}), processor {cpu[0]:.2f} → {cpu[1]:.2f} ms "
            f"(×{cpu[1] / cpu[0]:.2f})"
        )


def _turned_deg(one: Float32, other: Float32) -> float:
    """Return the angle between two poses' rotations, degrees."""
    between = proper_rotation(one[:3, :3]) @ proper_rotation(other[:3, :3]).T
    return float(np.degrees(np.linalg.norm(vector_from_rotation(between))))


def compare(theirs: Tracker, ours: Tracker, frames: Sequence[UInt8Image]) -> Parity:
    """Show both trackers ``frames``, uint8 (H, W, 3), at the camera's pace, in turns."""
    parity = Parity()
    for index, image in enumerate(frames):
        frame = CameraFrame(image, round((index + 1) * 1e9 / CAMERA_FPS), index)
        first, first_s = _timed(theirs, frame)
        second, second_s = _timed(ours, frame)
        parity.add(first, second)
        parity.wall_ms.append((first_s[0] * 1e3, second_s[0] * 1e3))
        parity.cpu_ms.append((first_s[1] * 1e3, second_s[1] * 1e3))
    return parity


def _timed(tracker: Tracker, frame: CameraFrame) -> tuple[Face | None, tuple[float, float]]:
    wall, cpu = time.perf_counter(), time.process_time()
    face = tracker.track(frame).face
    return face, (time.perf_counter() - wall, time.process_time() - cpu)


def main(arguments: Sequence[str]) -> int:
    """Compare on clips; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m avatar.measure.tracker", description=__doc__)
    parser.add_argument("clips", nargs="*", default=["demo"], metavar="CLIP")
    parser.add_argument("--frames", type=int, default=600, help="of each clip at most")
    parser.add_argument("--backend", choices=OWN_BACKENDS, default=OWN_BACKENDS[0])
    parser.add_argument("--face-model", type=Path)
    chosen = parser.parse_args(arguments)
    keep_one_opencv_thread()
    model = find_face_model(chosen.face_model, Home.of_user())
    for clip in chosen.clips:
        frames = load_frames(clip, CAMERA_FPS)[: chosen.frames]
        with FaceLandmarker(model) as theirs, OwnTracker(model, backend=chosen.backend) as ours:
            say(f"{Path(clip).name}: {compare(theirs, ours, frames)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
