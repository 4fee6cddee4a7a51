"""``avatar record``: who is before the camera, or a telephone's take, becomes a motion template."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from avatar.core.clock import Clock, MonotonicClock
from avatar.core.errors import SinkError, SourceEndedError, UsageError
from avatar.core.files import expanded
from avatar.core.frames import Motion, Presence
from avatar.core.home import Home
from avatar.core.machine import ended_by_signals
from avatar.core.outputs import check_output
from avatar.core.stages import FrameSource, Retargeter, Tracker
from avatar.core.terminal_keys import TerminalKeys
from avatar.library.face_model import find_face_model
from avatar.sessions.film import INTERRUPTED, film_progress
from avatar.sessions.live import open_camera
from avatar.sessions.record_request import RecordRequest
from avatar.sessions.retargeting import make_retargeter
from avatar.sessions.template import builtin_shape, write
from avatar.stages.motion.live_link import read_take
from avatar.stages.motion.performance import FACE, FACE_SHAPES, seen_of
from avatar.stages.motion.steady_rate import at_steady_rate
from avatar.stages.motion.template import SUFFIX, TemplateRecorder
from avatar.stages.sources.mirror import MirroredSource
from avatar.stages.track.choice import choose_tracker, create_tracker

Say = Callable[[str], None]
_USUAL_RATE = 30.0
_STOP_KEYS = ("q", "\n", "\r", " ")


def record(
    request: RecordRequest,
    home: Home,
    say: Say,
    *,
    clock: Clock | None = None,
    source: FrameSource | None = None,
) -> int:
    """Write the motion that was asked for; return the exit status.

    ``clock`` and ``source`` replace the camera and its clock. Whatever ends it, what was recorded
    until then is written. Raises ``UsageError``, ``SinkError`` and the errors of the stages.
    """
    assert request.out is not None
    out = expanded(request.out)
    if out.suffix.lower() != SUFFIX:
        raise UsageError(f"--out: expected a name that ends in {SUFFIX}, found {out}")
    others = [] if request.take is None else [expanded(request.take)]
    check_output(out, "--out", force=request.force, others=others)
    if request.take is not None:
        take = read_take(others[0])
        write(take.template(builtin_shape(request.face_model, home)), out, say)
        return 0
    return _record(request, out, home, say, clock or MonotonicClock(), source)


def _record(
    request: RecordRequest,
    out: Path,
    home: Home,
    say: Say,
    clock: Clock,
    source: FrameSource | None,
) -> int:
    config = request.session
    stop = threading.Event()
    recorder = TemplateRecorder(FACE, _USUAL_RATE, FACE_SHAPES)
    retargeter = make_retargeter(config, home)
    model = find_face_model(config.face_model, home)
    say(choose_tracker(config.tracker).line)

    def ends(key: str) -> None:
        if key in _STOP_KEYS:
            stop.set()

    camera = MirroredSource(source or open_camera(config, clock, say), config.mirror)
    with ExitStack() as stages:
        stages.enter_context(ended_by_signals(stop.set))
        stages.enter_context(TerminalKeys(ends))
        tracker = stages.enter_context(create_tracker(model, config.tracker, config.person, say))
        stages.enter_context(camera)
        motions = _motions(camera, tracker, retargeter, clock, stop)
        try:
            _count_in(motions, request.count_in, say)
            _take_down(motions, recorder, request.seconds, say)
        finally:
            _keep(recorder, out, say)
    return INTERRUPTED if not recorder.frames else 0


def _motions(
    source: FrameSource,
    tracker: Tracker,
    retargeter: Retargeter,
    clock: Clock,
    stop: threading.Event,
) -> Iterator[Motion]:
    """Yield the motion of each frame until told to stop, or to the end of a film."""
    while not stop.is_set():
        try:
            frame = source.read()
        except SourceEndedError:
            return
        if frame is not None:
            yield retargeter.retarget(tracker.track(frame), frame.timestamp_ns)


def _count_in(motions: Iterator[Motion], seconds: float, say: Say) -> None:
    """Wait for a face, and count: the most neutral look meanwhile is the reference."""
    say("look into the camera, at rest: the count begins when your face is seen")
    first_ns: int | None = None
    said = -1
    for motion in motions:
        if first_ns is None and motion.presence is Presence.TRACKED:
            first_ns = motion.timestamp_ns
        if first_ns is None:
            continue
        left = seconds - (motion.timestamp_ns - first_ns) / 1e9
        if left <= 0:
            return
        if int(np.ceil(left)) != said:
            said = int(np.ceil(left))
            say(f"{said} …")


def _take_down(
    motions: Iterator[Motion], recorder: TemplateRecorder, seconds: float | None, say: Say
) -> None:
    """Record until the end, for ``seconds``, or until a template is full."""
    first_ns: int | None = None
    say("recording" + ("; Q or Ctrl-C ends it" if seconds is None else f" for {seconds:g} s"))
    total = None if seconds is None else round(seconds * _USUAL_RATE)
    with film_progress(total) as step:
        for motion in motions:
            first_ns = motion.timestamp_ns if first_ns is None else first_ns
            if seconds is not None and motion.timestamp_ns - first_ns >= seconds * 1e9:
                return
            recorder.add(motion.timestamp_ns, seen_of(motion))
            step()
            if recorder.is_full:
                say("a template holds no more: the recording ends here")
                return


def _keep(recorder: TemplateRecorder, out: Path, say: Say) -> None:
    """Write what was recorded; where the disk fails, into the system's folder for such files."""
    if not recorder.frames:
        say("nothing was recorded")
        return
    template = at_steady_rate(recorder.template())
    try:
        write(template, out, say)
    except SinkError:
        spare = Path(tempfile.mkdtemp(prefix="avatar-record-")) / out.name
        write(template, spare, say)
        raise
    missing = template.frames - int(template.tracked.sum())
    if missing:
        say(f"no face in {missing} of {template.frames} frames: there the avatar holds still")
