"""Drawing a benchmark: latency over time and its distribution, as PNG or as one HTML page."""

from __future__ import annotations

import base64
import html
import io
import json
from pathlib import Path
from typing import Any

from avatar.errors import UsageError
from avatar.observe import Span


def plot_bench(path: Path, summary: dict[str, Any], spans: dict[str, list[Span]]) -> None:
    """Write the picture to ``path``; its ending, .png or .html, decides the form.

    Raises ``UsageError`` for another ending.
    """
    if path.suffix.lower() not in (".png", ".html"):
        raise UsageError(f"--plot: expected a path ending in .png or .html, found {path}")
    picture = _png(summary, spans)
    if path.suffix.lower() == ".png":
        path.write_bytes(picture)
    else:
        path.write_text(_page(picture, summary), encoding="utf-8")


def _png(summary: dict[str, Any], spans: dict[str, list[Span]]) -> bytes:
    # The object interface: pyplot would look for a display and keep figures in a global.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 7), layout="constrained")
    over_time, spread = figure.subplots(2, 1)
    total = spans.get("capture→none", [])
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
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=110)
    return data.getvalue()


def _title(summary: dict[str, Any]) -> str:
    what, latency = summary["what"], next(iter(summary["sinks"].values()))["latency"]
    return (
        f"{what['camera'].rsplit('/', 1)[-1]} → {what['engine']} {what['frame']} {what['size']}: "
        f"{summary['sinks']['none']['delivery']['fps']:.1f} fps, "
        f"capture→sink {latency['p50_ms']:.1f} ms (95 %: {latency['p95_ms']:.1f})"
    )


def _page(picture: bytes, summary: dict[str, Any]) -> str:
    rows = {**summary["stages"], "capture→sink": next(iter(summary["sinks"].values()))["latency"]}
    keys = ("p50_ms", "p95_ms", "p99_ms", "max_ms")
    body = "".join(
        f"<tr><th>{html.escape(stage)}</th>"
        + "".join(f"<td>{values[key]:.1f}</td>" for key in keys)
        + "</tr>"
        for stage, values in rows.items()
    )
    image = base64.b64encode(picture).decode("ascii")
    figures = html.escape(json.dumps(summary, indent=2, ensure_ascii=False))
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>avatar bench</title>'
        "<style>body{font:15px system-ui;margin:2em auto;max-width:1100px}img{width:100%}"
        "td,th{padding:.2em .8em;text-align:right}th:first-child{text-align:left}"
        "pre{white-space:pre-wrap;font-size:12px}</style>"
        f"<h1>{html.escape(_title(summary))}</h1>"
        f'<img alt="Latency over time and its distribution" src="data:image/png;base64,{image}">'
        "<table><tr><th>ms</th><th>p50</th><th>p95</th><th>p99</th><th>max</th></tr>"
        f"{body}</table><details><summary>All figures</summary>"
        f"<pre>{figures}</pre></details></html>"
    )
