"""``avatar bench``: what a frame costs and how late it is, measured, not estimated.

A clip (or the demo) is replayed as a camera at the asked rate; frames are kept as JPEG and
decoded when they are due, as those of a webcam are. The tracker alone is measured before and
after, in the same process and at the same pace, so that the total can be given as a ratio to
it: ratios survive a busy machine, milliseconds do not.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, overload

import numpy as np

from avatar.core.addresses import shown_spec
from avatar.core.choices import TrackerName
from avatar.core.clock import Clock, ManualClock, MonotonicClock
from avatar.core.errors import SinkError, SourceEndedError, UsageError
from avatar.core.frames import CameraFrame, UInt8Image
from avatar.core.home import Home
from avatar.core.machine import ended_by_signals
from avatar.core.observe import Recorder, predicted_summary, summarise
from avatar.core.options import Options
from avatar.core.outputs import write_json
from avatar.core.pictures import jpeg
from avatar.core.tables import print_table
from avatar.core.terminal import say
from avatar.library.face_model import find_face_model
from avatar.measure.process import age_s, cpu_s, machine, memory_mb
from avatar.measure.reports import check_reports
from avatar.sessions.live import CAMERA_SIZE_PX, LiveSession
from avatar.stages.sources import create_source
from avatar.stages.sources.replay import ReplaySource
from avatar.stages.track.choice import create_tracker

CAMERA_FPS = 30.0
_MAX_FRAMES = 600
_ALONE_S = 4.0
_WARM_UP_S = 2.0


class JpegFrames(Sequence[UInt8Image]):
    """Pictures kept compressed, decoded when they are read, as a webcam's MJPG stream is."""

    def __init__(self, images: Sequence[bytes]) -> None:
        self._images = images

    def __len__(self) -> int:
        return len(self._images)

    @overload
    def __getitem__(self, index: int) -> UInt8Image: ...
    @overload
    def __getitem__(self, index: slice) -> JpegFrames: ...
    def __getitem__(self, index: int | slice) -> UInt8Image | JpegFrames:
        if isinstance(index, slice):
            return JpegFrames(self._images[index])
        import cv2

        data = np.frombuffer(self._images[index], np.uint8)
        return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR_RGB), np.uint8)


@dataclass(frozen=True)
class Alone:
    """The tracker with nothing else running: milliseconds a frame, wall and CPU."""

    wall_ms: float
    cpu_ms: float


def load_frames(camera: str, fps: float) -> JpegFrames:
    """Return up to twenty seconds of ``camera``, scaled to what a webcam delivers, 640×480.

    ``camera``: a video file, an address or ``demo``. Raises the source's errors; ``UsageError``
    for a real camera, whose pictures cannot be repeated.
    """
    if camera.isdecimal() or camera.startswith("/dev/"):
        raise UsageError(
            "bench replays a recording so that runs can be compared; found the camera "
            f"{camera}. Give a video file, or `--camera demo`. `avatar run --stats FILE` "
            "measures a camera."
        )
    images: list[bytes] = []
    # A manual clock makes the source deliver every frame at once instead of in real time.
    source = create_source(camera, size_px=CAMERA_SIZE_PX, fps=fps, clock=ManualClock(), loop=False)
    with source:
        while len(images) < _MAX_FRAMES:
            try:
                frame = source.read()
            except SourceEndedError:
                break
            if frame is not None:
                images.append(jpeg(_fitted(frame.image), 80))
    return JpegFrames(images)


def _fitted(image: UInt8Image) -> UInt8Image:
    """Scale to 640×480, with black bars where the shape differs."""
    import cv2

    width, height = CAMERA_SIZE_PX
    if image.shape[:2] == (height, width):
        return image
    ratio = min(width / image.shape[1], height / image.shape[0])
    small = cv2.resize(image, None, fx=ratio, fy=ratio, interpolation=cv2.INTER_AREA)
    top, left = (height - small.shape[0]) // 2, (width - small.shape[1]) // 2
    framed = cv2.copyMakeBorder(
        small, top, height - small.shape[0] - top, left, width - small.shape[1] - left,
        cv2.BORDER_CONSTANT,
    )  # fmt: skip
    return np.asarray(framed, np.uint8)


def tracker_alone(
    frames: JpegFrames, face_model: Path, clock: Clock, seconds: float, fps: float = CAMERA_FPS
) -> Alone:
    """Track at the camera's pace with nothing else running; decoding is not counted."""
    never = threading.Event()
    walls, cpu = [], 0.0
    # MediaPipe's wherever it is, so that the unit stays what it is whatever tracker runs.
    unit: TrackerName = "mediapipe" if find_spec("mediapipe") else "auto"
    with create_tracker(face_model, unit) as tracker:
        start_ns = clock.now_ns()
        for index in range(int(seconds * fps)):
            image = frames[index % len(frames)]
            clock.wait_until_ns(start_ns + round(index * 1e9 / fps), never)
            before, cpu_before = clock.now_ns(), cpu_s()
            tracker.track(CameraFrame(image, before, index))
            if index >= 10:
                walls.append((clock.now_ns() - before) / 1e6)
                cpu += cpu_s() - cpu_before
    return Alone(float(np.median(walls)), cpu * 1e3 / max(len(walls), 1))


class _Window:
    """CPU, memory and time between two moments of a session, start-up left out."""

    def __init__(self, session: LiveSession, sink: str) -> None:
        self._session, self.sink = session, sink
        self.begin = self.end = (0.0, 0.0, 0, 0)

    def _look(self) -> tuple[float, float, int, int]:
        done = self._session.recorder.counts().get(f"delivered.{self.sink}", 0)
        return cpu_s(), memory_mb(), done, time.monotonic_ns()

    @contextmanager
    def open_after(self, warm_up_s: float) -> Iterator[None]:
        timer = threading.Timer(warm_up_s, lambda: setattr(self, "begin", self._look()))
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            self.end = self._look()

    @property
    def lost_outputs(self) -> tuple[str, ...]:
        return self._session.lost_outputs

    @property
    def cpu_ms_a_frame(self) -> float:
        frames = self.end[2] - self.begin[2]
        return (self.end[0] - self.begin[0]) * 1e3 / max(frames, 1)


def bench(
    config: Options, home: Home, *, unpaced: bool, json_path: Path | None, plot: Path | None,
    out: str = "none", camera_fps: float | None = None,
) -> int:  # fmt: skip
    """Measure and report; return the exit status. ``config.seconds`` is the measured time.

    ``camera_fps``: frames a second that the camera gives; None: as many as ``config.fps``.
    ``out``: where frames go, in place of the config's; what it takes is a line of the table.
    """
    config = replace(config, out=(out,))
    seconds = config.seconds or 20.0
    check_reports(json=json_path, plot=plot, force=True, read=(config.camera,))
    model = find_face_model(config.face_model, home)
    clock = MonotonicClock()
    say(f"reading {shown_spec(config.camera)} …")
    pace = camera_fps or config.fps
    frames = load_frames(config.camera, pace)
    before = tracker_alone(frames, model, clock, _ALONE_S, pace)
    recorder, window, first_s = _session(
        config, home, frames, clock, seconds, None if unpaced else pace
    )
    if not recorder.spans(f"capture→{window.sink}"):
        raise SinkError(
            f"nothing to measure: no picture reached {window.sink} after the first "
            f"{_WARM_UP_S:g} s. Check --out, and measure for longer"
        )
    after = tracker_alone(frames, model, clock, _ALONE_S, pace)
    summary = _summary(config, recorder, window, (before, after), None if unpaced else pace)
    summary["first_frame_s"] = first_s
    _print(summary)
    if json_path is not None:
        write_json(json_path, summary)
    if plot is not None:
        from avatar.measure.plot import plot_bench

        plot_bench(plot, summary, {s: recorder.spans(s) for s in recorder.stages()})
    if window.lost_outputs:
        say(f"lost, and not back at the end: {', '.join(window.lost_outputs)}")
        return 1
    return 0


def _session(
    config: Options,
    home: Home,
    frames: JpegFrames,
    clock: Clock,
    seconds: float,
    pace: float | None,
) -> tuple[Recorder, _Window, float]:
    """Run the live session on the replayed frames; the first seconds are not counted.

    ``pace``: the camera's frames a second; None: as fast as they are taken.
    """
    settings = replace(config, fps=120.0 if pace is None else config.fps)
    recorder = Recorder(limit=200_000)
    constructing_ns = clock.now_ns()
    session = LiveSession(
        settings,
        say,
        home=home,
        clock=clock,
        source=ReplaySource(frames, pace or 1000.0, clock, loop=True),
        recorder=recorder,
    )
    window = _Window(session, session.first_sink)
    with ended_by_signals(session.stop), window.open_after(_WARM_UP_S + 1.0):
        session.run(seconds + _WARM_UP_S)
    spans = recorder.spans(f"capture→{session.first_sink}")
    first_s = (spans[0].end_ns - constructing_ns) / 1e9 if spans else float("nan")
    return _after_warm_up(recorder, session.first_sink), window, first_s


def _after_warm_up(recorder: Recorder, sink: str) -> Recorder:
    """Return the recorder without the first seconds' spans; counters keep everything."""
    kept = Recorder(limit=200_000)
    starts = [s.end_ns for s in recorder.spans(f"capture→{sink}")[:1]]
    from_ns = (starts[0] if starts else 0) + round(_WARM_UP_S * 1e9)
    for stage in recorder.stages():
        for span in recorder.spans(stage):
            if span.start_ns >= from_ns:
                kept.span(span)
    for event, amount in recorder.counts().items():
        kept.count(event, amount)
    return kept


def _summary(
    config: Options,
    recorder: Recorder,
    window: _Window,
    alone: tuple[Alone, Alone],
    pace: float | None,
) -> dict[str, Any]:
    tracker_cpu_ms = (alone[0].cpu_ms + alone[1].cpu_ms) / 2
    summary = summarise(recorder)
    return {
        "what": {
            "camera": shown_spec(config.camera),
            "avatar": list(config.avatar),
            "engine": config.engine,
            "backend": config.backend,
            "precision": config.precision,
            "motion": config.motion,
            "frame": config.frame,
            "camera_size": "×".join(map(str, CAMERA_SIZE_PX)),
            "size": config.size,
            "paced": pace is not None,
            "camera_fps": pace,
            "fps": config.fps if pace is not None else None,
        },
        "machine": machine(),
        **summary,
        "cpu_ms_a_frame": window.cpu_ms_a_frame,
        "tracker_alone": {
            "before": asdict(alone[0]),
            "after": asdict(alone[1]),
            "cpu_ms_a_frame": tracker_cpu_ms,
        },
        "cpu_ratio_to_tracker": window.cpu_ms_a_frame / tracker_cpu_ms,
        "memory_mb": {"after_warm_up": window.begin[1], "at_the_end": window.end[1]},
        "process_age_s": age_s(),
    }


def _print(summary: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(stderr=True, highlight=False)
    what, sink = summary["what"], next(iter(summary["sinks"].values()))
    table = Table("ms", "p50", "p95", "p99", "max", title=_title(what))
    rows = {**summary["stages"], "capture→sink": sink["latency"]}
    for stage, values in rows.items():
        cells = [f"{values[key]:.1f}" for key in ("p50_ms", "p95_ms", "p99_ms", "max_ms")]
        table.add_row(stage, *cells, style="bold" if stage == "capture→sink" else None)
    print_table(table, console)
    delivery = sink["delivery"]
    drops = {k: v for k, v in summary["counts"].items() if k.startswith("dropped.")}
    why = ", ".join(f"{v} {k.removeprefix('dropped.')}" for k, v in drops.items()) or "none"
    alone = summary["tracker_alone"]
    memory = summary["memory_mb"]
    for line in (
        *_drawn_from(summary),
        f"delivered {delivery['fps']:.2f} fps; interval jitter {delivery['jitter_ms']:.1f} ms",
        f"dropped {summary['dropped_share']:.2%} of {summary['counts']['captured']} ({why})",
        f"CPU {summary['cpu_ms_a_frame']:.1f} ms a frame = "
        f"{summary['cpu_ratio_to_tracker']:.2f} × the tracker alone "
        f"({alone['before']['cpu_ms']:.1f} before, {alone['after']['cpu_ms']:.1f} after)",
        f"memory {memory['after_warm_up']:.0f} MiB, {memory['at_the_end']:.0f} at the end; "
        f"first frame {summary['first_frame_s']:.1f} s after opening",
        ", ".join(f"{key} {value}" for key, value in summary["machine"].items()),
    ):
        console.print(line, soft_wrap=True)


def _drawn_from(summary: dict[str, Any]) -> list[str]:
    """Return the line that says how many pictures were not seen but predicted, if any were."""
    line = predicted_summary(summary["counts"])
    sink = next(iter(summary["sinks"].values()))
    if not line or "predicted_latency" not in sink:
        return []
    late = sink["predicted_latency"]
    return [f"{line}, {late['p50_ms']:.1f} ms after the frame before (95 %: {late['p95_ms']:.1f})"]


def _title(what: dict[str, Any]) -> str:
    rates = (what["camera_fps"], what["fps"])
    apart = " to ".join(f"{rate:g}" for rate in dict.fromkeys(rates) if rate is not None)
    pace = f"{apart} fps" if what["paced"] else "as fast as it goes"
    return (
        f"{what['camera']} at {what['camera_size']}, {pace} → {', '.join(what['avatar'])}, "
        f"{what['engine']}, {what['frame']} {what['size']} I420"
    )
