"""``avatar bench --quality``: how good the drawn pictures are, measured on given clips.

The protocol, the same for every engine:

- Self-reenactment: the first frame of a clip's centred square, 512×512, is the avatar; up to 40
  later frames drive it in absolute motion, unsmoothed. Drawn and true frame are compared at
  256×256: L1, the distance of dlib's 68 points (AKD: mean absolute difference of coordinates)
  and of face descriptors (AED). The true frame's face box serves both. Means over clips.
- Other identity: 30 frames of a clip, in equal steps of whole frames, drive a picture's face
  square, 256×256, in motion relative to the first frame, with the default smoothing. The
  descriptor's distance to the picture, less the driver's own distance from his first frame: a
  smile takes anybody away from his neutral face (median over frames); Pearson's correlation of
  MediaPipe's jawOpen and eyeBlink (both eyes' mean) in driver and drawn picture, each detected as
  a still picture, where the driver moves (mean over pairs; see ``measure.FLOORS``); frames in
  which MediaPipe no longer finds a face (mean over pairs); PSNR of the background (least of the
  pairs; see ``metrics.background``).
- Still driver: a clip's middle frame, each time with new Gaussian noise of 2 levels, drives a
  picture at 512×512 with light smoothing. The tracker settles for a second, then 60 pictures
  count; see ``metrics.jitter_px``. Root mean square over pictures.
- Speed: median of ``generate`` over consecutive frames, OpenCV on one thread.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from avatar.core.errors import UsageError
from avatar.core.home import Home
from avatar.core.outputs import write_json, write_output
from avatar.core.tables import print_table
from avatar.core.terminal import say
from avatar.library.face_model import find_face_model
from avatar.measure.process import machine
from avatar.measure.quality.measure import FULL, QUICK, Measurement, QualityBench
from avatar.measure.quality.media import find_clips, find_pictures
from avatar.measure.quality.report import page, summary, table
from avatar.measure.reports import check_reports
from avatar.sessions.engines import ENGINES


def quality(
    engine: str,
    clips: Path | None,
    avatars: Path | None,
    home: Home,
    *,
    quick: bool = False,
    html_path: Path | None = None,
    json_path: Path | None = None,
    face_model: Path | None = None,
) -> int:
    """Measure and report; return the exit status.

    ``clips``, ``avatars``: folders of videos and of pictures. ``quick``: fewer frames and pairs,
    for daily work; its figures are not comparable with those of a whole run.
    Raises ``UsageError`` and ``MissingDependencyError``.
    """
    from rich.console import Console

    # The others need networks, which are not the protocol's to choose.
    known = [name for name, found in ENGINES.items() if not found.extra]
    if engine not in known:
        raise UsageError(f"--engine: expected one of {', '.join(known)}, found {engine!r}")
    check_reports(json=json_path, html=html_path, force=True)
    result = _measure(engine, clips, avatars, find_face_model(face_model, home), home, quick)
    print_table(table(result), Console(stderr=True, highlight=False))
    if json_path is not None:
        what: dict[str, Any] = {"quick": quick, "machine": machine()}
        write_json(json_path, summary(result, what))
    if html_path is not None:
        write_output(html_path, page(result))
    return 0


def _measure(
    engine: str,
    clips: Path | None,
    avatars: Path | None,
    face_model: Path,
    home: Home,
    quick: bool,
) -> Measurement:
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    films = find_clips(clips)
    effort = QUICK if quick else FULL
    driving = films[: effort.drivers]
    pictures = find_pictures(avatars, face_model, home, say)[: effort.pictures]
    columns = TextColumn("measuring"), BarColumn(), TimeRemainingColumn()
    with Progress(*columns, transient=True) as progress:
        task = progress.add_task("", total=None)
        bench = QualityBench(engine, face_model, home, effort, lambda: progress.advance(task), say)
        progress.update(task, total=bench.frame_count(films, driving, pictures))
        return bench.measure(films, driving, pictures)


__all__ = ["quality"]
