"""The figures as the table of bars, as JSON, and as a page of pictures to look at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from avatar.core.frames import UInt8Image
from avatar.measure.bars import MeasuredBar, rows_html, rows_json, terminal_table
from avatar.measure.page import Html, element
from avatar.measure.page import page as document
from avatar.measure.quality.measure import Measurement, OtherRun, SampleFrame, SelfRun
from avatar.measure.strips import NOTICE, strip_section

if TYPE_CHECKING:
    from rich.table import Table

_GAIN = 3


def rows(result: Measurement) -> list[MeasuredBar]:
    """Return the table: means over clips or over pairs of clip and picture, medians as named."""
    ours, others = result.self_runs, result.other_runs
    identity = [value for run in others for value in run.identity]
    background = [run.background_db for run in others if run.background_db is not None]
    still = [run.jitter_px for run in result.still_runs]
    lost = [run.lost for run in others]
    speed = {run.framing: run.median_ms for run in result.speeds}
    frames = others[0].frames if others else 0
    return [
        MeasuredBar("l1", "self-reenactment: L1", "0.0320", 0.028, _over(ours, "l1"), 4,
            worst=_worst_clip(ours, "l1", 4)),
        MeasuredBar("akd_px", "self-reenactment: AKD, px", "0.97", 0.90, _over(ours, "akd_px"), 2,
            worst=_worst_clip(ours, "akd_px", 2)),
        MeasuredBar("aed", "self-reenactment: AED", "0.290", 0.21, _over(ours, "aed"), 3,
            worst=_worst_clip(ours, "aed", 3)),
        MeasuredBar("identity", "other identity: distance to the picture less the driver's own",
            "–", 0.05,
            float(np.median(identity)) if identity else None, 3,
            worst=_worst(others, [_median(run.identity) for run in others], 3)),
        MeasuredBar("jaw", "jawOpen of driver and avatar, correlation", "0.86", 0.92,
            _mean([run.jaw for run in others]), 3, at_least=True,
            worst=_worst(others, [run.jaw for run in others], 2, largest=False)),
        MeasuredBar("blink", "eyeBlink of driver and avatar, correlation", "0.82", 0.92,
            _mean([run.blink for run in others]), 3, at_least=True,
            worst=_worst(others, [run.blink for run in others], 2, largest=False)),
        MeasuredBar("lost", f"face no longer found, of {frames} frames", "1.0", 0.0, _mean(lost), 2,
            worst=_worst(others, lost, 0)),
        MeasuredBar("background_db", "background away from the head, PSNR, least, dB", "–", 35.0,
            min(background, default=None), 1, at_least=True,
            worst=_background_note(others)),
        MeasuredBar("jitter_px", "jitter with a still driver, RMS, px at 512²", "–", 0.3,
            float(np.sqrt(np.mean(np.square(still)))) if still else None, 3,
            worst=_worst(result.still_runs, still, 2)),
        MeasuredBar("folded", "folded triangles, all pictures", "–", 0.0, _folded(result), 0),
        MeasuredBar("portrait_ms", "a portrait of 512×512, median, ms", "–", 8.0,
            speed.get("portrait"), 1),
        MeasuredBar("photo_ms", "a photo of 1280×720, median, ms", "–", 12.0,
            speed.get("photo"), 1),
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
    return terminal_table(f"quality of the engine {result.engine}", rows(result))


def summary(result: Measurement, what: dict[str, Any]) -> dict[str, Any]:
    """Return all figures for JSON: the table, then each run."""
    return {
        "what": {"engine": result.engine, **what},
        "table": rows_json(rows(result)),
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
    return document(
        f"Quality of the engine {result.engine}",
        element("p", NOTICE),
        rows_html(rows(result)),
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
    title = f"{run.clip} drives its own first frame: {figures}"
    return strip_section(title, names, tiles, captions)


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
    return strip_section(f"{run.clip} → {run.picture}: {_figures(run)}", names, tiles, captions)


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
