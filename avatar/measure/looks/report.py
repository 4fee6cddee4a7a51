"""How real the pictures look, as the table of bars, as JSON, and as a page of frames to look at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from avatar.measure.bars import MeasuredBar, rows_html, rows_json, terminal_table
from avatar.measure.looks.measure import Looks, LooksRun
from avatar.measure.page import Html, element
from avatar.measure.page import page as document
from avatar.measure.strips import NOTICE, strip_section

if TYPE_CHECKING:
    from rich.table import Table

_TILE_PX = 256
# What dlib itself can tell: a driver's frame against the same frame turned, shrunk and blurred.
# The bars: correlation, slope from and to.
_SIGNALS = {
    "smile": ("smile (mouth width)", "0.94, 0.98", 0.88, (0.80, 1.15)),
    "brow": ("brow height", "0.80, 0.87", 0.70, (0.60, 1.10)),
    "opening": ("opening", "0.90, 0.91", 0.86, (0.80, 1.10)),
}
_FIGURES = ("light", "chroma", "hue left against right")


def rows(result: Looks) -> list[MeasuredBar]:
    """Return the table: shares over all open mouths, means and medians over pairs as named."""
    found = [_teeth_row(result)]
    for key in _SIGNALS:
        found += _signal_rows(result.runs, key)
    identity = [value for run in result.runs for value in run.identity]
    medians = [(float(np.median(r.identity)), _title(r)) for r in result.runs if r.identity]
    lost = [(float(run.lost), _title(run)) for run in result.runs]
    return [
        *found,
        MeasuredBar("identity", "identity: distance to the picture less the driver's own, median",
            "–", 0.05, float(np.median(identity)) if identity else None, 3,
            worst=_worst(medians, 3)),
        MeasuredBar("lost", "face no longer found by dlib, frames", "–", 0.0,
            float(sum(count for count, _ in lost)) if lost else None, 0, worst=_worst(lost, 0)),
        MeasuredBar("grey_levels", "grey photographs: largest difference between channels, levels",
            "0", 2.0, None if result.grey_levels is None else float(result.grey_levels), 0),
    ]  # fmt: skip


def _teeth_row(result: Looks) -> MeasuredBar:
    mouths = sum(len(run.teeth) for run in result.runs)
    outside = sum(len(result.outside(run)) for run in result.runs)
    share = outside / mouths if mouths and result.real is not None else None
    why = np.zeros(3)
    if result.real is not None:
        for run in result.runs:
            for _, seen in run.teeth:
                why += result.real.outside(seen)
    parts = ", ".join(
        f"{name} {n / max(mouths, 1):.2f}" for name, n in zip(_FIGURES, why, strict=True)
    )
    return MeasuredBar(
        "teeth", "open mouths with teeth as no real mouth shows them, share", "0.04", 0.05,
        share, 3, worst=f"of {mouths}: {parts}",
    )  # fmt: skip


def _signal_rows(runs: Sequence[LooksRun], key: str) -> list[MeasuredBar]:
    name, ceiling, least, (low, high) = _SIGNALS[key]
    seen = [(found, _title(run)) for run in runs if (found := run.follows(key)) is not None]
    alike = [(found[0], title) for found, title in seen]
    slopes = [found[1] for found, _ in seen]
    best_correlation, best_slope = ceiling.split(", ")
    return [
        MeasuredBar(f"{key}_correlation", f"{name}, driver and avatar: correlation, mean",
            best_correlation, least, float(np.mean([v for v, _ in alike])) if alike else None, 3,
            at_least=True, worst=_worst(alike, 2, largest=False)),
        MeasuredBar(f"{key}_slope", f"{name}: slope, median", best_slope, low,
            float(np.median(slopes)) if slopes else None, 2, at_most=high,
            worst=f"{len(slopes)} of {len(runs)} pairs have a driver who moves so"),
    ]  # fmt: skip


def _worst(values: Sequence[tuple[float, str]], digits: int, largest: bool = True) -> str:
    if not values:
        return ""
    value, title = (max if largest else min)(values, key=lambda pair: pair[0])
    return f"worst {value:.{digits}f}: {title}"


def _title(run: LooksRun) -> str:
    return f"{run.clip} → {run.picture}"


def table(result: Looks) -> Table:
    """Return the table for the terminal; its baseline is what dlib itself can tell."""
    return terminal_table(f"looks of the engine {result.engine}", rows(result))


def summary(result: Looks, what: dict[str, Any]) -> dict[str, Any]:
    """Return all figures for JSON: the table, then each pair."""
    return {
        "what": {"engine": result.engine, **what},
        "table": rows_json(rows(result)),
        "real_mouths": None
        if result.real is None
        else {
            "count": result.real_count,
            "low": result.real.low.tolist(),
            "high": result.real.high.tolist(),
        },
        "pairs": [_pair(result, run) for run in result.runs],
    }


def _pair(result: Looks, run: LooksRun) -> dict[str, Any]:
    follows = {key: run.follows(key) for key in _SIGNALS}
    return {
        "clip": run.clip, "picture": run.picture, "frames": run.frames, "lost": run.lost,
        "identity": float(np.median(run.identity)) if run.identity else None,
        "open_mouths": len(run.teeth), "teeth_outside": result.outside(run),
        **{key: None if f is None else {"correlation": f[0], "slope": f[1]}
           for key, f in follows.items()},
    }  # fmt: skip


def page(result: Looks) -> str:
    """Return one self-contained HTML page: the table, and a strip of frames for each pair."""
    return document(
        f"Looks of the engine {result.engine}",
        element("p", NOTICE),
        element("p", "The baseline is what dlib itself can tell of a real face."),
        rows_html(rows(result)),
        *(_section(result, run) for run in result.runs),
    )


def _section(result: Looks, run: LooksRun) -> Html:
    if not run.shown:
        return Html()
    outside = set(result.outside(run))
    captions = [f"{seen.caption}{' TEETH' if seen.index in outside else ''}" for seen in run.shown]
    tiles = [[seen.driver for seen in run.shown], [seen.drawn for seen in run.shown]]
    title = f"{_title(run)}: {_figures(result, run)}"
    return strip_section(title, ("driver", "avatar"), tiles, captions, _TILE_PX)


def _figures(result: Looks, run: LooksRun) -> str:
    parts = [f"teeth {len(result.outside(run))} of {len(run.teeth)}"]
    for key in _SIGNALS:
        found = run.follows(key)
        if found is not None:
            parts.append(f"{key} {found[0]:.2f}, {found[1]:.2f}")
    return "; ".join(parts)
