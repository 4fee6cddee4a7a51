"""What a calibration changes, as one HTML page: signals before and after. No picture of anybody."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avatar.core.face.rotation import vector_from_rotation
from avatar.core.frames import BLENDSHAPE_INDEX, FaceTrack, Motion, Presence
from avatar.core.outputs import write_output
from avatar.library.profiles import figures
from avatar.measure.page import bullets, drawn, element, page, plot, table
from avatar.stages.motion.retarget import FaceRetargeter
from calibrate import Profile, Recording

_SIGNALS = (
    "left lid (0 open, 1 shut)", "right lid", "smile", "jaw", "brows", "pucker",
    "yaw in degrees", "pitch in degrees",
)  # fmt: skip


def write_report(
    path: Path, name: str, profile: Profile, tracks: Sequence[FaceTrack], recording: Recording,
    missing: Sequence[str],
) -> None:  # fmt: skip
    """Write the page. Raises ``SinkError`` when the disk fails."""
    before = _signals(tracks, FaceRetargeter("relative", "light"))
    after = _signals(
        tracks, FaceRetargeter("relative", "light", "profile", person=profile.person())
    )
    picture = _png(before, after, recording)
    write_output(path, _page(name, profile, picture, missing))


def _signals(tracks: Sequence[FaceTrack], retargeter: FaceRetargeter) -> NDArray[np.float64]:
    """Return (N, 9): seconds, then ``_SIGNALS``."""
    motions = [retargeter.retarget(track, track.timestamp_ns) for track in tracks]
    first_ns = tracks[0].timestamp_ns
    return np.array(
        [
            [(motion.timestamp_ns - first_ns) / 1e9, *_row(motion)]
            for motion in motions
            if motion.presence is Presence.TRACKED
        ]
    )


def _row(motion: Motion) -> list[float]:
    def score(*names: str) -> float:
        return float(np.mean([motion.blendshapes[BLENDSHAPE_INDEX[name]] for name in names]))

    turn = np.degrees(vector_from_rotation(motion.rotation))
    return [
        float(motion.eye_closure[0]),
        float(motion.eye_closure[1]),
        score("mouthSmileLeft", "mouthSmileRight"),
        score("jawOpen"),
        score("browInnerUp", "browOuterUpLeft", "browOuterUpRight"),
        score("mouthPucker"),
        float(turn[1]),
        float(turn[0]),
    ]


def _png(before: NDArray[np.float64], after: NDArray[np.float64], recording: Recording) -> bytes:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 1.7 * len(_SIGNALS)), layout="constrained")
    axes: Any = figure.subplots(len(_SIGNALS), 1, sharex=True)
    for k, (axis, name) in enumerate(zip(axes, _SIGNALS, strict=True), start=1):
        axis.plot(before[:, 0], before[:, k], color="0.55", linewidth=1, label="before")
        axis.plot(after[:, 0], after[:, k], color="tab:blue", linewidth=1.2, label="after")
        axis.set_ylabel(name, fontsize="small")
        axis.grid(alpha=0.3)
    _name_steps(axes[0], recording)
    axes[-1].set_xlabel("time in s")
    axes[0].legend(loc="upper right", ncols=2, fontsize="small")
    return drawn(figure, 95)


def _name_steps(axis: Any, recording: Recording) -> None:
    """Write each step's name where its samples begin; steps in any order overlap too much."""
    steps = recording.steps
    if not len(recording) or sum(steps.values()) > len(recording):
        return
    first_s = recording.times_s[0]
    for name in steps:
        at_s = recording.times_s[recording.of(name)][0] - first_s
        axis.annotate(
            name, (at_s, 1.02), xycoords=("data", "axes fraction"), fontsize="small", rotation=30
        )


def _page(name: str, profile: Profile, picture: bytes, missing: Sequence[str]) -> str:
    parts = [
        element(
            "p",
            "The same recording, driven without the profile (grey) and with it (blue). Numbers "
            "only: nothing of the camera's pictures is kept.",
        )
    ]
    if missing:
        parts.append(
            element(
                "p", f"Not seen clearly enough, so the usual values stay: {', '.join(missing)}."
            )
        )
    parts.append(plot("Signals before and after", picture))
    talk = [f"{one.of} shows in {one.shows_in}: {one.share:.0%}" for one in profile.cross_talk]
    if talk:
        parts += [element("h2", "Cross-talk that is taken out"), bullets(talk)]
    rows = [[key, f"{value:.4g}"] for key, value in figures(profile).items()]
    parts += [element("h2", "All figures"), table([], rows)]
    return page(f"Calibration of {name}", *parts)
