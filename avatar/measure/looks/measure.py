"""The runs: every clip drives every picture, and dlib looks at what comes out.

Each run goes through ``avatar.Driver``, the public interface, so that nothing is measured that a
user would not get.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from avatar.core.frames import FaceTrack, UInt8Image
from avatar.core.home import Home
from avatar.measure.looks.signals import (
    FLOORS,
    RealMouths,
    Teeth,
    expression,
    real_mouths,
    teeth,
)
from avatar.measure.quality.detectors import FaceMeter, MeasuredFace
from avatar.measure.quality.media import Clip, Picture, Shot
from avatar.measure.quality.metrics import descriptor_distance
from avatar.measure.quality.probe import ProbedDriver

SIDE_PX = 512
_SHOWN = 10


@dataclass(frozen=True)
class LooksEffort:
    """How many frames of a pair are judged, how many clips drive how many pictures."""

    frames: int
    clips: int
    pictures: int


FULL = LooksEffort(frames=40, clips=999, pictures=999)
QUICK = LooksEffort(frames=12, clips=2, pictures=2)


@dataclass(frozen=True, eq=False)
class SeenFrame:
    """A frame to look at: its number, what drove, what was drawn, and what is wrong with it."""

    index: int
    driver: UInt8Image
    drawn: UInt8Image
    caption: str


@dataclass(eq=False)
class LooksRun:
    """One clip that drives one picture.

    ``driver``, ``avatar``: each signal's values, frame by frame, where both faces were found.
    ``teeth``: of each open mouth. ``identity``: distance to the picture less the driver's own
    distance from his neutral frame. ``lost``: frames in which dlib found no face.
    """

    clip: str
    picture: str
    frames: int = 0
    lost: int = 0
    driver: dict[str, list[float]] = field(default_factory=lambda: {key: [] for key in FLOORS})
    avatar: dict[str, list[float]] = field(default_factory=lambda: {key: [] for key in FLOORS})
    teeth: list[tuple[int, Teeth]] = field(default_factory=list)
    identity: list[float] = field(default_factory=list)
    shown: list[SeenFrame] = field(default_factory=list)

    def follows(self, signal: str) -> tuple[float, float] | None:
        """Return correlation and slope of the avatar's signal over the driver's.

        None where the driver moves less than the signal's floor, or too little is known.
        """
        x, y = np.array(self.driver[signal]), np.array(self.avatar[signal])
        if len(x) <= 8 or x.std() <= FLOORS[signal]:
            return None
        slope = float(np.polyfit(x, y, 1)[0])
        return (float(np.corrcoef(x, y)[0, 1]) if y.std() > 1e-9 else 0.0), slope


@dataclass(eq=False)
class Looks:
    """Everything that one call of ``avatar bench --looks`` measured.

    ``real``: what the drivers' own mouths show; None where none opened. ``grey_levels``: the
    largest difference between channels in pictures of grey photographs; None without a frame.
    """

    engine: str
    real: RealMouths | None = None
    real_count: int = 0
    runs: list[LooksRun] = field(default_factory=list)
    grey_levels: int | None = None

    def outside(self, run: LooksRun) -> list[int]:
        """Return the frames of ``run`` whose teeth no real mouth shows."""
        if self.real is None:
            return []
        return [index for index, seen in run.teeth if self.real.outside(seen).any()]


class LooksBench:
    """Runs an engine through the protocol.

    ``options``: further options of ``avatar.Driver``. ``tick`` is called after every frame that a
    driver is given, for a progress bar.
    """

    def __init__(
        self,
        engine: str,
        face_model: Path,
        home: Home,
        effort: LooksEffort,
        tick: Callable[[], None],
        options: dict[str, Any],
    ) -> None:
        self._engine, self._effort, self._tick = engine, effort, tick
        self._made = {"face_model": face_model, "home": home, **options}
        self._meter = FaceMeter()
        self._neutral: tuple[FaceTrack, MeasuredFace | None] | None = None

    def frame_count(self, clips: list[Clip], pictures: list[Picture]) -> int:
        """Return how often ``tick`` will be called."""
        return sum(clip.length for clip in clips) * (len(pictures) + 1)

    def measure(self, clips: list[Clip], pictures: list[Picture]) -> Looks:
        """Return all figures. Pictures are taken in turns for the runs on grey ones."""
        result = Looks(self._engine)
        real: list[Teeth] = []
        greys = []
        for turn, clip in enumerate(clips):
            shots = clip.shots(range(clip.length))
            judged = self._judged(shots)
            real += [
                seen
                for index, face in judged.items()
                if face is not None and (seen := teeth(shots[index].image, face.points_px))
            ]
            result.runs += [self._run(clip, shots, judged, picture) for picture in pictures]
            greys.append(self._grey(shots, judged, pictures[turn % len(pictures)]))
        result.real, result.real_count = real_mouths(real), len(real)
        result.grey_levels = max((level for level in greys if level is not None), default=None)
        return result

    def _judged(self, shots: list[Shot]) -> dict[int, MeasuredFace | None]:
        """Return the driver's face in the frames that are judged, evenly spread."""
        count = min(self._effort.frames, len(shots))
        indices = np.unique(np.linspace(0, len(shots) - 1, count).astype(int)).tolist()
        return {index: self._meter.face(shots[index].image) for index in indices}

    def _run(
        self,
        clip: Clip,
        shots: list[Shot],
        judged: dict[int, MeasuredFace | None],
        picture: Picture,
    ) -> LooksRun:
        run = LooksRun(clip.name, picture.name)
        shown = list(judged)[:: max(1, len(judged) // _SHOWN)][:_SHOWN]
        own: MeasuredFace | None = None
        with self._driver(picture.photo) as driver:
            rest = driver.at_rest()
            own = self._meter.face(rest)
            for index, drawn in self._drawn(driver, shots):
                if index not in judged:
                    continue
                caption = self._look(run, index, drawn, judged[index], own, driver.probe.reference)
                if index in shown:
                    run.shown.append(SeenFrame(index, shots[index].image, drawn, caption))
        return run

    def _look(
        self,
        run: LooksRun,
        index: int,
        drawn: UInt8Image,
        driver: MeasuredFace | None,
        own: MeasuredFace | None,
        reference: FaceTrack | None,
    ) -> str:
        """Take in one picture; return what to write beneath it."""
        run.frames += 1
        face = self._meter.face(drawn)
        if face is None:
            run.lost += 1
            return f"{index}: lost"
        seen = teeth(drawn, face.points_px)
        if seen is not None:
            run.teeth.append((index, seen))
        if driver is None:
            return f"{index}"
        for theirs, points in ((run.driver, driver.points_px), (run.avatar, face.points_px)):
            for key, value in expression(points).items():
                theirs[key].append(value)
        neutral = self._neutral_face(reference)
        if own is None or neutral is None:
            return f"{index}"
        run.identity.append(
            descriptor_distance(face.descriptor, own.descriptor)
            - descriptor_distance(driver.descriptor, neutral.descriptor)
        )
        return f"{index}: identity {run.identity[-1]:+.2f}"

    def _neutral_face(self, reference: FaceTrack | None) -> MeasuredFace | None:
        """Return the driver's face in his neutral frame, measured once for each."""
        if reference is None or reference.camera is None:
            return None
        if self._neutral is None or self._neutral[0] is not reference:
            self._neutral = reference, self._meter.face(reference.camera.image)
        return self._neutral[1]

    def _grey(self, shots: list[Shot], judged: Iterable[int], picture: Picture) -> int | None:
        """Return the largest difference between channels where the photograph has no colour."""
        import cv2

        grey = cv2.cvtColor(picture.photo, cv2.COLOR_RGB2GRAY)
        wanted, largest = set(judged), None
        with self._driver(np.asarray(cv2.merge([grey] * 3), np.uint8)) as driver:
            for index, drawn in self._drawn(driver, shots):
                if index in wanted:
                    largest = max(largest or 0, int(np.ptp(drawn, axis=2).max()))
        return largest

    def _driver(self, photo: UInt8Image) -> ProbedDriver:
        return ProbedDriver(
            photo, self._engine, motion="relative", frame="portrait",
            size_px=(SIDE_PX, SIDE_PX), **self._made,
        )  # fmt: skip

    def _drawn(self, driver: ProbedDriver, shots: list[Shot]) -> Iterable[tuple[int, UInt8Image]]:
        for index, shot in enumerate(shots):
            frame = driver.draw(shot.image, shot.timestamp_ns)
            self._tick()
            if frame is not None:
                yield index, frame.image
