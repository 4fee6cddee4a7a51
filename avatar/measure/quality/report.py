"""The figures as the table of bars, as JSON, and as a page of pictures to look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from avatar.core.frames import UInt8Image
from avatar.core.pictures import jpeg
from avatar.measure.page import Html, bad, element, joined, picture
from avatar.measure.page import page as document
from avatar.measure.page import table as html_table
from avatar.measure.quality.measure import Measurement, OtherRun, SampleFrame, SelfRun

if TYPE_CHECKING:
    from rich.table import Table

_TILE_PX = 192
_MARGIN_PX = 92
_JPEG_QUALITY = 84
_GAIN = 3


@dataclass(frozen=True)
class QualityRow:
    """A line of the table.

    ``value``: None where nothing could be measured. ``worst``: said beside it, if anything.
    ``at_least``: whether larger is better.
    """

    key: str
    name: str
    baseline: str
    bar: float
    value: float | None
    digits: int
    at_least: bool = False
    worst: str = ""

    @property
    def met(self) -> bool | None:
        """Return whether the bar is met; None where nothing was measured."""
        if self.value is None:
            return None
        shown = round(self.value, self.digits)
        return shown >= self.bar if self.at_least else shown <= self.bar

    @property
    def bar_text(self) -> str:
        """Return the bar with its direction."""
        if self.bar == 0:
            return "0"
        return f"{'≥' if self.at_least else '≤'} {self.bar:g}"

    @property
    def value_text(self) -> str:
        """Return the measured value as shown."""
        return "not counted" if self.value is None else f"{self.value:.{self.digits}f}"


def rows(result: Measurement) -> list[QualityRow]:
    """Return the table: means over clips or over pairs of clip and picture, medians as named."""
    ours, others = result.self_runs, result.other_runs
    identity = [value for run in others for value in run.identity]
    background = [run.background_db for run in others if run.background_db is not None]
    still = [run.jitter_px for run in result.still_runs]
    lost = [run.lost for run in others]
    speed = {run.framing: run.median_ms for run in result.speeds}
    frames = others[0].frames if others else 0
    return [
        QualityRow("l1", "self-reenactment: L1", "0.0320", 0.028, _over(ours, "l1"), 4,
            worst=_worst_clip(ours, "l1", 4)),
        QualityRow("akd_px", "self-reenactment: AKD, px", "0.97", 0.90, _over(ours, "akd_px"), 2,
            worst=_worst_clip(ours, "akd_px", 2)),
        QualityRow("aed", "self-reenactment: AED", "0.290", 0.21, _over(ours, "aed"), 3,
            worst=_worst_clip(ours, "aed", 3)),
        QualityRow("identity", "other identity: distance to the picture, median", "0.258", 0.25,
            float(np.median(identity)) if identity else None, 3,
            worst=_worst(others, [_median(run.identity) for run in others], 3)),
        QualityRow("jaw", "jawOpen of driver and avatar, correlation", "0.86", 0.94,
            _mean([run.jaw for run in others]), 3, at_least=True,
            worst=_worst(others, [run.jaw for run in others], 2, largest=False)),
        QualityRow("blink", "eyeBlink of driver and avatar, correlation", "0.82", 0.92,
            _mean([run.blink for run in others]), 3, at_least=True,
            worst=_worst(others, [run.blink for run in others], 2, largest=False)),
        QualityRow("lost", f"face no longer found, of {frames} frames", "1.0", 0.0, _mean(lost), 2,
            worst=_worst(others, lost, 0)),
        QualityRow("background_db", "background away from the head, PSNR, least, dB", "–", 35.0,
            min(background, default=None), 1, at_least=True,
            worst=_background_note(others)),
        QualityRow("jitter_px", "jitter with a still driver, RMS, px at 512²", "–", 0.3,
            float(np.sqrt(np.mean(np.square(still)))) if still else None, 3,
            worst=_worst(result.still_runs, still, 2)),
        QualityRow("folded", "folded triangles, all pictures", "–", 0.0, _folded(result), 0),
        QualityRow("portrait_ms", "a portrait of 512×512, median, ms", "–", 8.0,
            speed.get("portrait"), 1),
        QualityRow("photo_ms", "a photo of 1280×720, median, ms", "–", 12.0, speed.get("photo"), 1),
    ]  # fmt: skip


def _over(runs: list[SelfRun], name: str) -> float | None:
    """Return the mean over clips of each clip's mean."""
    return _mean([_mean(getattr(run, name)) for run in runs])


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _median(values: Sequence[float]) -> float | None:
    return float(np.median(values)) if values else None


def _worst_clip(runs: list[SelfRun], name: str, digits: int) -> str:
    return _worst(runs, [_mean(getattr(run, name)) for run in runs], digits)


def _worst(
    runs: Sequence[Any], values: Sequence[float | None], digits: int, largest: bool = True
) -> str:
    """Return the worst run with its clip and picture."""
    known = [(value, run) for value, run in zip(values, runs, strict=True) if value is not None]
    if not known:
        return ""
    value, run = (max if largest else min)(known, key=lambda pair: pair[0])
    return f"worst {value:.{digits}f}: {_title(run)}"


def _background_note(runs: list[OtherRun]) -> str:
    known = [run.background_db for run in runs if run.background_db is not None]
    worst = _worst(runs, [run.background_db for run in runs], 1, largest=False)
    return f"{worst}; median {np.median(known):.1f}" if known else ""


def _title(run: Any) -> str:
    picture = getattr(run, "picture", "")
    return f"{run.clip} → {picture}" if picture else str(run.clip)


def _folded(result: Measurement) -> float | None:
    counted = [run.folded for run in result.self_runs]
    counted += [run.folded for run in result.other_runs]
    known = [count for count in counted if count is not None]
    return float(sum(known)) if known else None


def table(result: Measurement) -> Table:
    """Return the table for the terminal."""
    from rich.table import Table

    shown = Table(
        "", "baseline", "bar", "measured", "", "", title=f"quality of the engine {result.engine}"
    )
    for row in rows(result):
        mark, style = _mark(row)
        shown.add_row(
            row.name, row.baseline, row.bar_text, row.value_text, mark, row.worst, style=style
        )
    return shown


def _mark(row: QualityRow) -> tuple[str, str | None]:
    if row.met is None:
        return "", "dim"
    return ("✓", None) if row.met else ("✗", "yellow")


def summary(result: Measurement, what: dict[str, Any]) -> dict[str, Any]:
    """Return all figures for JSON: the table, then each run."""
    return {
        "what": {"engine": result.engine, **what},
        "table": [
            {
                "key": row.key, "name": row.name, "baseline": row.baseline, "bar": row.bar_text,
                "value": row.value, "met": row.met, "beside": row.worst,
            }
            for row in rows(result)
        ],
        "self_reenactment": [
            {
                "clip": run.clip, "frames": len(run.l1), "unmeasured": run.unmeasured,
                "l1": _mean(run.l1), "akd_px": _mean(run.akd_px), "aed": _mean(run.aed),
                "folded": run.folded,
            }
            for run in result.self_runs
        ],
        "other_identity": [
            {
                "clip": run.clip, "picture": run.picture, "frames": run.frames,
                "identity": _median(run.identity), "jaw": run.jaw, "blink": run.blink,
                "lost": run.lost, "background_db": run.background_db, "folded": run.folded,
            }
            for run in result.other_runs
        ],
        "still_driver": [
            {"clip": run.clip, "picture": run.picture, "jitter_px": run.jitter_px}
            for run in result.still_runs
        ],
        "speed": [
            {"framing": run.framing, "size": run.size, "median_ms": run.median_ms}
            for run in result.speeds
        ],
    }  # fmt: skip


def page(result: Measurement) -> str:
    """Return one self-contained HTML page: the table, and a strip of pictures for each run."""
    lines = [
        [
            row.name, row.baseline, row.bar_text,
            bad(row.value_text) if row.met is False else row.value_text, row.worst,
        ]
        for row in rows(result)
    ]  # fmt: skip
    return document(
        f"Quality of the engine {result.engine}",
        element(
            "p",
            "Every picture in a row named avatar is generated. It shows real people and works of "
            "others: keep this page to yourself.",
        ),
        html_table(["", "baseline", "bar", "measured", ""], lines, texts=(0, 4)),
        *(_self_section(run) for run in result.self_runs),
        *(_other_section(run) for run in result.other_runs),
    )


def _self_section(run: SelfRun) -> Html:
    if not run.samples:
        return Html()
    tiles = [
        [sample.driver for sample in run.samples],
        [sample.drawn for sample in run.samples],
        [_difference(sample) for sample in run.samples],
    ]
    names = ("driver", "avatar", f"difference {_GAIN}x")
    captions = [sample.caption for sample in run.samples]
    figures = (
        f"L1 {_mean(run.l1) or 0:.4f}, AKD {_mean(run.akd_px) or 0:.2f} px, "
        f"AED {_mean(run.aed) or 0:.3f}"
    )
    return _section(f"{run.clip} drives its own first frame: {figures}", names, tiles, captions)


def _other_section(run: OtherRun) -> Html:
    if not run.samples or run.photo is None:
        return Html()
    black = np.zeros_like(run.photo)
    tiles = [
        [black, *(sample.driver for sample in run.samples)],
        [run.photo, *(sample.drawn for sample in run.samples)],
        [black, *(_apart(run.photo, sample.drawn) for sample in run.samples)],
    ]
    captions = ["the picture", *(sample.caption for sample in run.samples)]
    names = ("driver", "avatar", f"to picture {_GAIN}x")
    return _section(f"{run.clip} → {run.picture}: {_figures(run)}", names, tiles, captions)


def _figures(run: OtherRun) -> str:
    def text(value: float | None, digits: int) -> str:
        return "–" if value is None else f"{value:.{digits}f}"

    return (
        f"identity {text(_median(run.identity), 3)}, jawOpen {text(run.jaw, 2)}, "
        f"eyeBlink {text(run.blink, 2)}, lost {run.lost} of {run.frames}, "
        f"background {text(run.background_db, 1)} dB"
    )


def _difference(sample: SampleFrame) -> UInt8Image:
    return _apart(sample.driver, sample.drawn)


def _apart(a: UInt8Image, b: UInt8Image) -> UInt8Image:
    gap = np.abs(a.astype(np.int16) - b) * _GAIN
    return np.asarray(np.minimum(gap, 255), np.uint8)


def _section(
    title: str, names: Sequence[str], tiles: Sequence[Sequence[UInt8Image]], captions: Sequence[str]
) -> Html:
    strip = _strip(names, tiles, captions)
    return joined(element("h2", title), picture(title, jpeg(strip, _JPEG_QUALITY), "jpeg"))


def _strip(
    names: Sequence[str], tiles: Sequence[Sequence[UInt8Image]], captions: Sequence[str]
) -> UInt8Image:
    """Lay tiles out in rows; each row's name stands before it, in the picture itself."""
    import cv2

    side, line = _TILE_PX, 18
    height, width = side * len(tiles) + line, _MARGIN_PX + side * len(tiles[0])
    sheet = np.full((height, width, 3), 32, np.uint8)
    for y, row in enumerate(tiles):
        _write(sheet, names[y], 4, y * side + side // 2)
        if names[y] == "avatar":
            _write(sheet, "(generated)", 4, y * side + side // 2 + 16)
        for x, tile in enumerate(row):
            small = cv2.resize(tile, (side, side), interpolation=cv2.INTER_AREA)
            left = _MARGIN_PX + x * side
            sheet[y * side : (y + 1) * side, left : left + side] = small
    for x, caption in enumerate(captions):
        _write(sheet, caption, _MARGIN_PX + x * side + 4, height - 5)
    return sheet


def _write(sheet: UInt8Image, text: str, x: int, y: int) -> None:
    import cv2

    cv2.putText(sheet, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (220, 220, 220), 1, cv2.LINE_AA)
