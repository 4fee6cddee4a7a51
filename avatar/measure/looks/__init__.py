"""``avatar bench --looks``: how real the pictures are on photographs that nobody tuned to.

The protocol: every clip (its centred square, 512×512) drives every picture, cut as a portrait of
512×512, in relative motion with the options as they come. dlib, which no engine uses, judges up to
40 frames of each pair, evenly spread:

- Teeth: of all open mouths (inner lips apart by a tenth of the mouth's width and 4 pixels) the
  share whose brightest 30 % lie outside what the drivers' own open mouths show, 2nd to 98th
  percentile: L* over the cheeks', chroma, difference of hue between left and right.
- Smile, brow, opening: the mouth's width and the brows' height over the face's width, the lips'
  gap over the mouth's width. Pearson's correlation and the slope of avatar over driver, over pairs
  whose driver moves (standard deviation over a floor, see ``signals.FLOORS``).
- Identity: the descriptor's distance to the picture at rest, less the driver's own distance
  between the frame and the one that motion is relative to: a smile takes anybody away from his
  neutral face.
- Grey: each clip drives a picture without colour, in turns; the largest difference of channels.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from avatar.core.home import Home
from avatar.core.outputs import write_json, write_output
from avatar.core.tables import print_table
from avatar.core.terminal import say
from avatar.library.face_model import find_face_model
from avatar.measure.looks.measure import FULL, QUICK, Looks, LooksBench
from avatar.measure.looks.report import page, summary, table
from avatar.measure.process import machine
from avatar.measure.quality.media import find_clips, find_pictures
from avatar.measure.reports import check_reports


def looks(
    engine: str,
    clips: Path | None,
    avatars: Path | None,
    home: Home,
    *,
    mouth: str = "auto",
    quick: bool = False,
    html_path: Path | None = None,
    json_path: Path | None = None,
    face_model: Path | None = None,
) -> int:
    """Measure and report; return the exit status.

    ``clips``, ``avatars``: folders of videos and of pictures. ``mouth``: as for ``avatar run``.
    ``quick``: two clips, two pictures, fewer frames; not comparable with a whole run.
    Raises ``UsageError`` and ``MissingDependencyError``.
    """
    from rich.console import Console

    check_reports(json=json_path, html=html_path, force=True)
    result = _measure(
        engine, clips, avatars, find_face_model(face_model, home), home, quick, {"mouth": mouth}
    )
    print_table(table(result), Console(stderr=True, highlight=False))
    if json_path is not None:
        what: dict[str, Any] = {"quick": quick, "mouth": mouth, "machine": machine()}
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
    options: dict[str, Any],
) -> Looks:
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    effort = QUICK if quick else FULL
    films = find_clips(clips)[: effort.clips]
    pictures = find_pictures(avatars, face_model, home, say)[: effort.pictures]
    columns = TextColumn("measuring"), BarColumn(), TimeRemainingColumn()
    with Progress(*columns, transient=True) as progress:
        task = progress.add_task("", total=None)
        bench = LooksBench(
            engine, face_model, home, effort, lambda: progress.advance(task), options
        )
        progress.update(task, total=bench.frame_count(films, pictures))
        return bench.measure(films, pictures)


__all__ = ["looks"]
