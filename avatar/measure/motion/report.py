"""The motion benchmark's table, and its picture as PNG or as one HTML page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from avatar.measure.motion.measure import SIGNALS, UNITS, VARIANTS, Figures, Result
from avatar.measure.page import (
    Html,
    all_figures,
    bad,
    bullets,
    drawn,
    joined,
    page,
    plot,
    table,
    write_plot,
)

_COLOURS = {"off": "0.6", "filter": "tab:blue", "filter + prediction": "tab:red"}
_SHOWN = ("yaw", "x", "mouth", "left lid")
_SPAN_S = 3.0
COLUMNS = (
    "jitter px", "lag ms", "mouth ms", "behind ms", "overshoot %", "blink kept %",
    "closure kept %",
)  # fmt: skip


def row(figures: Figures) -> list[str]:
    """Return a line of the table, in the order of ``COLUMNS``; a dash where nothing was found."""

    def one(value: float | None, digits: int) -> str:
        return "–" if value is None else f"{value:.{digits}f}"

    def two(values: tuple[float, float] | None) -> str:
        return "–" if values is None else f"{100 * values[0]:.1f} ({100 * values[1]:.1f})"

    return [
        one(figures.jitter_px, 3),
        one(figures.lag_ms, 1),
        one(figures.mouth_lag_ms, 1),
        one(figures.behind_ms, 1),
        two(figures.overshoot),
        two(figures.blink_kept),
        two(figures.closure_kept),
    ]


def plot_motion(path: Path, results: Sequence[Result], summary: dict[str, Any]) -> None:
    """Write the picture to ``path``, .png or .html. Raises ``SinkError`` when it cannot."""
    write_plot(path, _png(results), lambda drawing: _page(drawing, results, summary))


def _png(results: Sequence[Result]) -> bytes:
    """Draw each track's liveliest seconds: four signals, every variant."""
    from matplotlib.figure import Figure

    moving = [result for result in results if not result.track.still] or list(results)
    figure = Figure(figsize=(4.2 * len(_SHOWN), 2.6 * len(moving)), layout="constrained")
    axes = np.asarray(figure.subplots(len(moving), len(_SHOWN), squeeze=False))
    for line, result in zip(axes, moving, strict=True):
        for axis, name in zip(line, _SHOWN, strict=True):
            _draw(axis, result, SIGNALS.index(name))
    for axis, name in zip(axes[0], _SHOWN, strict=True):
        axis.set_title(f"{name}, {UNITS[SIGNALS.index(name)]}")
    for axis in axes[-1]:
        axis.set_xlabel("time in s")
    figure.legend(*axes[0][0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
    return drawn(figure, 90)


def _draw(axis: Any, result: Result, signal: int) -> None:
    fps = result.track.fps
    span = round(_SPAN_S * fps)
    off = result.replays["off"].signals[:, signal]
    start = _liveliest(off, round(fps), span)
    times_s = np.arange(start, min(start + span, len(off))) / fps
    for variant in VARIANTS:
        values = result.replays[variant].signals[start : start + span, signal]
        axis.plot(times_s, values, label=variant, color=_COLOURS[variant], linewidth=1.1)
    if signal == SIGNALS.index(_SHOWN[0]):
        axis.set_ylabel(result.track.name)
    axis.grid(alpha=0.3)


def _liveliest(signal: Any, first: int, span: int) -> int:
    """Return where the signal moves most, over ``span`` frames from ``first`` on."""
    starts = range(first, max(first + 1, len(signal) - span), 5)
    return max(starts, key=lambda k: float(np.ptp(signal[k : k + span])))


def _page(picture: bytes, results: Sequence[Result], summary: dict[str, Any]) -> str:
    lines = [
        [result.track.name, variant, *row(result.figures[variant])]
        for result in results
        for variant in VARIANTS
    ]
    return page(
        "Steadiness and lag",
        bullets([_bar(bar) for bar in summary["bars"]]),
        table(["", "", *COLUMNS], lines, texts=(0, 1)),
        plot("Signals without filter, filtered and predicted", picture),
        all_figures(summary),
    )


def _bar(bar: Mapping[str, Any]) -> Html:
    met = Html("met") if bar["met"] else bad("missed")
    return joined(f"{bar['what']}: {bar['found']}, wanted {bar['wanted']}: ", met)
