"""Drawing a benchmark: latency over time and its distribution, as PNG or as one HTML page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from avatar.core.observe import Span
from avatar.measure.page import all_figures, check_plot, drawn, page, plot, table, write_plot


def plot_bench(path: Path, summary: dict[str, Any], spans: dict[str, list[Span]]) -> None:
    """Write the picture to ``path``; its ending, .png or .html, decides the form.

    Raises ``UsageError`` for another ending and ``SinkError`` when the disk fails.
    """
    check_plot(path)
    write_plot(path, _png(summary, spans), lambda drawing: _page(drawing, summary))


def _png(summary: dict[str, Any], spans: dict[str, list[Span]]) -> bytes:
    # The object interface: pyplot would look for a display and keep figures in a global.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 7), layout="constrained")
    over_time, spread = figure.subplots(2, 1)
    total = next((kept for stage, kept in spans.items() if stage.startswith("capture→")), [])
    origin_ns = total[0].end_ns if total else 0
    for stage, kept in spans.items():
        whole = stage.startswith("capture→")
        name = "capture→sink" if whole else stage
        style = {"color": "black", "linewidth": 1.4} if whole else {"linewidth": 0.8}
        times_s = [(span.end_ns - origin_ns) / 1e9 for span in kept]
        values_ms = [span.ms for span in kept]
        over_time.plot(times_s, values_ms, label=name, **style)
        spread.plot(
            sorted(values_ms), [100 * (k + 1) / len(kept) for k in range(len(kept))],
            label=name, **style,
        )  # fmt: skip
    over_time.set(xlabel="time in s", ylabel="ms", title=_title(summary))
    over_time.legend(loc="upper right", ncols=4, fontsize="small")
    spread.set(xlabel="ms", ylabel="% of frames at most", xscale="log")
    spread.axhline(50, color="0.8")
    spread.axhline(95, color="0.8")
    figure.align_ylabels()
    return drawn(figure, 110)


def _title(summary: dict[str, Any]) -> str:
    what, sink = summary["what"], next(iter(summary["sinks"].values()))
    latency = sink["latency"]
    return (
        f"{what['camera'].rsplit('/', 1)[-1]} → {what['engine']} {what['frame']} {what['size']}: "
        f"{sink['delivery']['fps']:.1f} fps, "
        f"capture→sink {latency['p50_ms']:.1f} ms (95 %: {latency['p95_ms']:.1f})"
    )


def _page(picture: bytes, summary: dict[str, Any]) -> str:
    rows = {**summary["stages"], "capture→sink": next(iter(summary["sinks"].values()))["latency"]}
    keys = ("p50_ms", "p95_ms", "p99_ms", "max_ms")
    lines = [[stage, *(f"{values[key]:.1f}" for key in keys)] for stage, values in rows.items()]
    return page(
        _title(summary),
        plot("Latency over time and its distribution", picture),
        table(["ms", "p50", "p95", "p99", "max"], lines),
        all_figures(summary),
    )
