"""``avatar bench --motion``: how steady the avatar is, and how late.

Recorded clips, a photograph before a noisy camera (nothing moves: all movement is jitter) and
made-up movement of known truth go through the retargeter three times: unfiltered, filtered, and
filtered with prediction. What comes out is measured on the built-in portrait at 512×512.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from avatar.core.addresses import shown_spec
from avatar.core.choices import Smoothing
from avatar.core.counting import counted
from avatar.core.errors import UsageError
from avatar.core.files import films_in
from avatar.core.home import Home
from avatar.core.outputs import write_json
from avatar.core.tables import print_table
from avatar.core.terminal import say
from avatar.library.face_model import find_face_model
from avatar.measure.motion.measure import VARIANTS, Figures, MotionBench, Result
from avatar.measure.motion.report import COLUMNS, plot_motion, row
from avatar.measure.motion.tracks import ReplayedTrack, made_up, recorded, still_photograph
from avatar.measure.process import machine
from avatar.measure.reports import check_reports
from avatar.stages.generate.photo import builtin_photo, load_photo
from avatar.stages.track.choice import detect_faces

__all__ = ["motion"]

DELAY_MS = 25.0
"""From camera to output, as `avatar bench` measures it on two cores."""


def motion(
    camera: str,
    clips: Path | None,
    home: Home,
    *,
    smoothing: Smoothing,
    quick: bool = False,
    json_path: Path | None = None,
    plot: Path | None = None,
    face_model: Path | None = None,
) -> int:
    """Measure and report; return the exit status.

    ``camera``: a clip or ``demo``; ``clips``: a folder of clips instead. ``quick``: no recorded
    clip at all. ``smoothing``: strength of the filters that are compared with none.
    Raises ``UsageError`` and the errors of sources and tracker.
    """
    _check(smoothing, json_path, plot)
    model = find_face_model(face_model, home)
    face = detect_faces(load_photo(builtin_photo()), model)[0]
    bench = MotionBench(face, smoothing, DELAY_MS)
    results = []
    for track in _tracks(_cameras(camera, clips, quick), model):
        say(f"{track.name}: {counted(len(track.faces), 'frame')} at {track.fps:.5g} fps")
        results.append(bench.measure(track))
    results += [bench.measure(made_up(face)), bench.measure(made_up(face, 15.0))]
    summary = {
        "what": {"smoothing": smoothing, "delay_ms": DELAY_MS, "size_px": [512, 512]},
        "machine": machine(),
        "bars": _bars(results),
        "tracks": {result.track.name: result.summary() for result in results},
    }
    _print(results, summary)
    if json_path is not None:
        write_json(json_path, summary)
    if plot is not None:
        plot_motion(plot, results, summary)
    return 0


def _check(smoothing: Smoothing, json_path: Path | None, plot: Path | None) -> None:
    if smoothing == "off":
        raise UsageError("bench --motion compares filters with none: --smoothing light or strong")
    check_reports(json=json_path, plot=plot, force=True)


def _cameras(camera: str, clips: Path | None, quick: bool) -> list[str]:
    if quick:
        return []
    if clips is None:
        return [camera]
    found = films_in(clips) if clips.is_dir() else []
    if not found:
        raise UsageError(f"--clips: expected a folder with videos, found none in {clips}")
    return [str(path) for path in found]


def _tracks(cameras: Sequence[str], model: Path) -> Iterator[ReplayedTrack]:
    for dim in (False, True):
        yield still_photograph(model, dim=dim)
    for camera in cameras:
        track = recorded(camera, model)
        if all(seen.face is None for seen in track.faces):
            raise UsageError(f"{shown_spec(camera)}: expected a clip of a face, found none in it")
        yield track


def _bars(results: Sequence[Result]) -> list[dict[str, Any]]:
    """Return each wanted figure with what was found: the worst track counts.

    Overshoot of a clip is the median of its movements: what trembles has no end to stay at.
    """
    at_30 = [r for r in results if r.track.fps > 20]
    filtered = [r.figures["filter"] for r in at_30]
    predicted = [r.figures["filter + prediction"] for r in at_30]
    both = filtered + predicted

    def worst(values: list[float | None], largest: bool = True) -> float:
        known = [value for value in values if value is not None]
        return float((max if largest else min)(known, default=np.nan))

    jitter = worst([f.jitter_px for f in both])
    lag = worst([f.lag_ms for f in filtered] + [f.mouth_lag_ms for f in filtered])
    kept = worst([f.blink_kept[0] if f.blink_kept else None for f in both], largest=False)
    over = worst([f.overshoot[0] if f.overshoot else None for f in both])
    return [
        _bar("jitter of a still driver", f"{jitter:.3f} px RMS", "≤ 0.3 px", jitter <= 0.3),
        _bar("lag of the filter", f"{lag:.1f} ms", "≤ 10 ms", lag <= 10),
        _bar("blinks' depth that is kept", f"{kept:.1%}", "≥ 95 %", kept >= 0.95),
        _bar("overshoot", f"{over:.1%}", "≤ 5 %", over <= 0.05),
    ]  # fmt: skip


def _bar(what: str, found: str, wanted: str, met: bool) -> dict[str, Any]:
    return {"what": what, "found": found, "wanted": wanted, "met": bool(met)}


def _print(results: Sequence[Result], summary: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(stderr=True, highlight=False)
    table = Table("track", "variant", *COLUMNS)
    for result in results:
        for variant in VARIANTS:
            figures: Figures = result.figures[variant]
            name = result.track.name if variant == VARIANTS[0] else ""
            table.add_row(name, variant, *row(figures), end_section=variant == VARIANTS[-1])
    print_table(table, console)
    for bar in summary["bars"]:
        met = "met" if bar["met"] else "MISSED"
        console.print(f"{bar['what']}: {bar['found']}, wanted {bar['wanted']}: {met}")
