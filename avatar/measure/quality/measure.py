"""The runs: what an engine is given, and what is measured in what it draws.

Every run goes through ``avatar.Driver``, the public interface, so that each engine can be
measured and so that nothing is measured that a user would not get.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from avatar.core.errors import PhotoError
from avatar.core.frames import Face, GeneratedFrame, UInt8Image
from avatar.core.home import Home
from avatar.core.machine import one_opencv_thread
from avatar.measure.quality.detectors import FaceMeter, MeasuredFace
from avatar.measure.quality.media import Clip, Picture, Shot
from avatar.measure.quality.metrics import (
    background,
    correlation,
    descriptor_distance,
    eye_blink,
    jaw_open,
    jitter_px,
    keypoint_distance,
    l1,
    psnr_db,
)
from avatar.measure.quality.probe import ProbedDriver
from avatar.stages.track.choice import detect_faces

COMPARED_PX = 256
JITTER_PX = 512
JITTER_FRAMES = 60
# MediaPipe's tracking takes about ten frames to settle on a face, noise or none; then it stands.
_SETTLING_FRAMES = 30
_NOISE_LEVELS = 2.0
_FRAME_NS = 33_333_333
_KEPT_SAMPLES = 8
# Drivers whose score varies less (standard deviation) do not open their mouth or do not blink:
# what is left is the detector's noise, and noise has no correlation.
FLOORS = {"jaw": 0.03, "blink": 0.08}


@dataclass(frozen=True)
class Effort:
    """How many frames a run has, how many clips drive how many pictures, how many stand still."""

    self_frames: int
    other_frames: int
    drivers: int
    pictures: int
    still: int
    speed_frames: int


FULL = Effort(self_frames=40, other_frames=30, drivers=99, pictures=99, still=99, speed_frames=60)
QUICK = Effort(self_frames=8, other_frames=15, drivers=2, pictures=3, still=1, speed_frames=30)


@dataclass(frozen=True, eq=False)
class SampleFrame:
    """A frame to look at: what drove, and what was drawn; uint8 (256, 256, 3) RGB each."""

    driver: UInt8Image
    drawn: UInt8Image
    caption: str


@dataclass(eq=False)
class SelfRun:
    """A clip that drives its own first frame, which tells how well its later frames are met.

    Lists have one value a frame. ``unmeasured``: frames in which no face was found.
    """

    clip: str
    l1: list[float] = field(default_factory=list)
    akd_px: list[float] = field(default_factory=list)
    aed: list[float] = field(default_factory=list)
    unmeasured: int = 0
    folded: int | None = None
    samples: list[SampleFrame] = field(default_factory=list)


@dataclass(eq=False)
class OtherRun:
    """A clip that drives another person's picture.

    ``identity``: for each frame whose face was found, the distance to the picture less the
    driver's own from his first frame. ``lost``: frames without. ``jaw``, ``blink``: None where
    the driver does not move so.
    ``background_db``: None where the picture shows no background.
    """

    clip: str
    picture: str
    frames: int = 0
    identity: list[float] = field(default_factory=list)
    jaw: float | None = None
    blink: float | None = None
    lost: int = 0
    background_db: float | None = None
    folded: int | None = None
    photo: UInt8Image | None = None
    samples: list[SampleFrame] = field(default_factory=list)


@dataclass(frozen=True)
class StillRun:
    """One frame of a clip, repeated with new noise each time, that drives a picture."""

    clip: str
    picture: str
    jitter_px: float


@dataclass(frozen=True)
class GenerateTimes:
    """Milliseconds of each ``generate`` call, with OpenCV on one thread."""

    size: str
    framing: str
    times_ms: list[float]

    @property
    def median_ms(self) -> float | None:
        """Return the median duration; None when no picture was drawn."""
        return float(np.median(self.times_ms)) if self.times_ms else None


@dataclass(eq=False)
class Measurement:
    """Everything that one call of ``avatar bench --quality`` measured."""

    engine: str
    self_runs: list[SelfRun] = field(default_factory=list)
    other_runs: list[OtherRun] = field(default_factory=list)
    still_runs: list[StillRun] = field(default_factory=list)
    speeds: list[GenerateTimes] = field(default_factory=list)


@dataclass(eq=False)
class _Watched:
    """A frame of the driving clip as the detectors see it.

    ``apart``: the distance of its face's descriptor from that of the first frame.
    """

    shot: Shot
    face: Face | None
    apart: float | None


class QualityBench:
    """Runs an engine through the protocol.

    ``tick`` is called after every frame, for a progress bar; ``say`` is told what is left out.
    """

    def __init__(
        self,
        engine: str,
        face_model: Path,
        home: Home,
        effort: Effort,
        tick: Callable[[], None],
        say: Callable[[str], None],
    ) -> None:
        self._engine, self._face_model, self._effort = engine, face_model, effort
        self._tick, self._say = tick, say
        self._home, self._meter = home, FaceMeter()

    def measure(
        self, clips: list[Clip], driving: list[Clip], pictures: list[Picture]
    ) -> Measurement:
        """Return all figures; ``driving`` are those of ``clips`` that drive the pictures."""
        result = Measurement(self._engine)
        for clip in clips:
            run = self._self_run(clip)
            if run is not None:
                result.self_runs.append(run)
        for clip in driving:
            result.other_runs += self._other_runs(clip, pictures)
        result.still_runs = self._still_runs(driving, pictures)
        result.speeds = self._speeds(driving[0], pictures[0])
        return result

    def frame_count(self, clips: list[Clip], driving: list[Clip], pictures: list[Picture]) -> int:
        """Return how often ``tick`` will be called."""
        effort = self._effort
        ours = sum(len(clip.later(effort.self_frames)) for clip in clips)
        others = sum(len(clip.strided(effort.other_frames)) for clip in driving) * len(pictures)
        still = min(effort.still, len(pictures)) * (_SETTLING_FRAMES + JITTER_FRAMES)
        return ours + others + still + 2 * (effort.speed_frames + 1)

    def _driver(self, avatar: UInt8Image, **options: Any) -> ProbedDriver:
        return ProbedDriver(
            avatar, self._engine, face_model=self._face_model, home=self._home, **options
        )

    def _find(self, image: UInt8Image) -> Face | None:
        found = detect_faces(image, self._face_model, settle=False)
        return found[0] if found else None

    # Self-reenactment

    def _self_run(self, clip: Clip) -> SelfRun | None:
        """Drive frame 0 with later frames; a clip without a face in frame 0 is left out."""
        first, *later = clip.shots([0, *clip.later(self._effort.self_frames)])
        run = SelfRun(clip.name)
        driver = self._driver(first.image, motion="absolute", frame="photo", smoothing="off")
        shown = _spread(len(later), _KEPT_SAMPLES)
        try:
            with driver:
                for index, shot in enumerate(later):
                    drawn = driver.draw(shot.image, shot.timestamp_ns)
                    self._compare(run, shot, drawn, index in shown)
                    self._tick()
                run.folded = driver.probe.folded
        except PhotoError as error:
            self._say(f"{clip.name} is left out of self-reenactment: {error}")
            return None
        return run

    def _compare(self, run: SelfRun, shot: Shot, drawn: GeneratedFrame | None, shown: bool) -> None:
        truth = _scaled(shot.image, COMPARED_PX)
        box = self._meter.box(truth, lambda: self._find(truth))
        if drawn is None or box is None:
            run.unmeasured += 1
            return
        ours = _scaled(drawn.image, COMPARED_PX)
        # The truth's box for both: the face ought to be in the same place.
        a, b = self._meter.measure(truth, box), self._meter.measure(ours, box)
        run.l1.append(l1(truth, ours))
        run.akd_px.append(keypoint_distance(a.points_px, b.points_px))
        run.aed.append(descriptor_distance(a.descriptor, b.descriptor))
        if shown:
            caption = f"L1 {run.l1[-1]:.3f}  AKD {run.akd_px[-1]:.2f}  AED {run.aed[-1]:.2f}"
            run.samples.append(SampleFrame(truth, ours, caption))

    # Another identity

    def _other_runs(self, clip: Clip, pictures: list[Picture]) -> list[OtherRun]:
        first, *later = clip.shots([0, *clip.strided(self._effort.other_frames)])
        neutral = self._measured(first.image)
        watched = [self._watch(shot, neutral) for shot in later]
        runs = []
        for picture in pictures:
            run = self._other_run(clip, first, watched, picture)
            if run is not None:
                runs.append(run)
        return runs

    def _watch(self, shot: Shot, neutral: MeasuredFace | None) -> _Watched:
        face = self._find(shot.image)
        measured = None if neutral is None else self._measured(shot.image, face)
        if neutral is None or measured is None:
            return _Watched(shot, face, None)
        return _Watched(shot, face, descriptor_distance(neutral.descriptor, measured.descriptor))

    def _other_run(
        self, clip: Clip, first: Shot, watched: list[_Watched], picture: Picture
    ) -> OtherRun | None:
        photo = picture.square(COMPARED_PX)
        face, own = self._find(photo), self._measured(photo)
        if face is None or own is None:
            self._say(f"{picture.name} is left out: no face is found in its cut of 256×256 pixels")
            return None
        run = OtherRun(clip.name, picture.name, photo=photo)
        look = _Look(photo, face, own)
        shown = _telling(watched)
        with self._driver(photo, motion="relative", frame="photo", reference="first") as driver:
            driver.draw(first.image, first.timestamp_ns)
            for index, seen in enumerate(watched):
                drawn = driver.draw(seen.shot.image, seen.shot.timestamp_ns)
                self._look_at(run, look, seen, drawn, index in shown)
                self._tick()
            run.folded = driver.probe.folded
        run.jaw, run.blink = look.correlations()
        run.background_db = look.background_db()
        return run

    def _look_at(
        self, run: OtherRun, look: _Look, seen: _Watched, drawn: GeneratedFrame | None, shown: bool
    ) -> None:
        if drawn is None:
            return
        run.frames += 1
        face = self._find(drawn.image)
        caption = "lost"
        if face is None:
            run.lost += 1
        else:
            look.add(drawn.image, face, seen.face)
            measured = self._measured(drawn.image, face)
            if measured is not None and seen.apart is not None:
                distance = descriptor_distance(look.own.descriptor, measured.descriptor)
                run.identity.append(distance - seen.apart)
                caption = f"identity {distance:.2f} - {seen.apart:.2f}"
        if shown:
            driver = _scaled(seen.shot.image, COMPARED_PX)
            run.samples.append(SampleFrame(driver, drawn.image, caption))

    def _measured(self, image: UInt8Image, face: Face | None = None) -> MeasuredFace | None:
        box = self._meter.box(image, lambda: face or self._find(image))
        return None if box is None else self._meter.measure(image, box)

    # A still driver

    def _still_runs(self, driving: list[Clip], pictures: list[Picture]) -> list[StillRun]:
        """Let the middle frame of a clip drive each picture; the clips take turns."""
        runs = []
        middles = [clip.shots([clip.length // 2])[0].image for clip in driving]
        for index, picture in enumerate(pictures[: self._effort.still]):
            turn = index % len(driving)
            frames = self._still_frames(middles[turn], picture.square(JITTER_PX))
            face = self._find(frames[0]) if frames else None
            if face is not None:
                value = jitter_px(frames, face)
                runs.append(StillRun(driving[turn].name, picture.name, value))
        return runs

    def _still_frames(self, image: UInt8Image, photo: UInt8Image) -> list[UInt8Image]:
        noise = np.random.default_rng(1)
        drawn = []
        with self._driver(photo, motion="relative", frame="photo", smoothing="light") as driver:
            for index in range(_SETTLING_FRAMES + JITTER_FRAMES):
                grain = noise.normal(0.0, _NOISE_LEVELS, image.shape)
                noisy = np.clip(image + grain + 0.5, 0, 255).astype(np.uint8)
                frame = driver.draw(noisy, index * _FRAME_NS)
                if frame is not None and index >= _SETTLING_FRAMES:
                    drawn.append(frame.image)
                self._tick()
        return drawn

    # Speed

    def _speeds(self, clip: Clip, picture: Picture) -> list[GenerateTimes]:
        shots = clip.shots(range(min(self._effort.speed_frames + 1, clip.length)))
        with one_opencv_thread():
            return [
                self._speed(shots, picture, "portrait", (512, 512)),
                self._speed(shots, picture, "photo", (1280, 720)),
            ]

    def _speed(
        self, shots: list[Shot], picture: Picture, framing: str, size_px: tuple[int, int]
    ) -> GenerateTimes:
        with self._driver(picture.photo, frame=framing, size_px=size_px) as driver:
            for shot in shots:
                driver.draw(shot.image, shot.timestamp_ns)
                self._tick()
            # The first call fills caches.
            times_ms = driver.probe.times_ms[1:]
        return GenerateTimes("×".join(map(str, size_px)), framing, times_ms)


class _Look:
    """What is gathered over one run about the look of the avatar."""

    def __init__(self, photo: UInt8Image, face: Face, own: MeasuredFace) -> None:
        self.own = own
        self._photo, self._face = photo.astype(np.int16), face
        self._driver: list[tuple[float, float]] = []
        self._avatar: list[tuple[float, float]] = []
        self._squares, self._values = 0.0, 0

    def add(self, drawn: UInt8Image, face: Face, driver: Face | None) -> None:
        """Take in one picture, the avatar's face in it, and the driver's face."""
        if driver is not None:
            self._driver.append((jaw_open(driver), eye_blink(driver)))
            self._avatar.append((jaw_open(face), eye_blink(face)))
        kept = background(self._face, face)
        apart = (drawn.astype(np.int16) - self._photo)[kept]
        self._squares += float(np.sum(apart.astype(np.int64) ** 2))
        self._values += apart.size

    def correlations(self) -> tuple[float | None, float | None]:
        """Return how jawOpen and eyeBlink of driver and avatar correlate, where he moves so."""
        return self._correlation(0, FLOORS["jaw"]), self._correlation(1, FLOORS["blink"])

    def _correlation(self, score: int, floor: float) -> float | None:
        driver = [values[score] for values in self._driver]
        if not driver or np.std(driver) < floor:
            return None
        return correlation(driver, [values[score] for values in self._avatar])

    def background_db(self) -> float | None:
        """Return the PSNR of the background over all pictures; None where there is none."""
        return psnr_db(self._squares / self._values) if self._values else None


def _spread(count: int, wanted: int) -> set[int]:
    """Return indices evenly spread over ``count``."""
    return set(np.linspace(0, count - 1, min(wanted, count)).round().astype(int).tolist())


def _telling(watched: list[_Watched]) -> set[int]:
    """Return the frames to show: evenly spread, the widest open mouth and the most shut eyes."""
    shown = _spread(len(watched), _KEPT_SAMPLES - 2)
    for score in (jaw_open, eye_blink):
        values = [score(seen.face) if seen.face is not None else -1.0 for seen in watched]
        shown.add(int(np.argmax(values)))
    return shown


def _scaled(image: UInt8Image, side_px: int) -> UInt8Image:
    import cv2

    if image.shape[:2] == (side_px, side_px):
        return image
    small = cv2.resize(image, (side_px, side_px), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8)
