"""Samples in, ``Profile`` out: a pure function, robust against single bad frames."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from avatar.core.errors import UsageError
from avatar.core.frames import BLENDSHAPE_INDEX, BLENDSHAPE_NAMES, Float32
from avatar.core.person import MOSTLY_SHUT, NOISE_OF_SECOND_DIFFERENCE, SIGNAL_GROUPS
from calibrate.perspective import field_of_view_deg
from calibrate.profile import CrossTalk, Delays, Eye, Lips, Part, Profile, Range
from calibrate.samples import Recording
from calibrate.steps import REST

_Row = tuple[float, float, float]

_LEAST_REST = 5
# The fullest of an act: one frame in twenty may be beyond it.
_FULL_PERCENTILE = 95
_LEAST_SPAN = 0.3
_USUAL_SHUT_SHARE = 0.25
# A blink's way down and up again takes about so long on either side.
_BLINK_AROUND_S = 0.17

# What each step shows; the tracker's other scores that move along are no part of it.
SHOWS: dict[str, tuple[str, ...]] = {
    "blink": ("eyeBlinkLeft", "eyeBlinkRight"),
    "wink left": ("eyeBlinkLeft",),
    "wink right": ("eyeBlinkRight",),
    "look": (
        "eyeLookDownLeft", "eyeLookDownRight", "eyeLookInLeft", "eyeLookInRight",
        "eyeLookOutLeft", "eyeLookOutRight", "eyeLookUpLeft", "eyeLookUpRight",
    ),
    "smile": ("mouthSmileLeft", "mouthSmileRight"),
    "jaw": ("jawOpen",),
    "pucker": ("mouthPucker",),
    "brows": ("browInnerUp", "browOuterUpLeft", "browOuterUpRight"),
}  # fmt: skip
_BLINK_LEFT, _BLINK_RIGHT = ("eyeBlinkLeft",), ("eyeBlinkRight",)
_LIDS_AND_FROWN = ("eyeBlinkLeft", "eyeBlinkRight", "browDownLeft", "browDownRight")
# (step, its expression, the scores that must not move with it).
_CROSSINGS: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
    ("smile", ("mouthSmileLeft", "mouthSmileRight"), _LIDS_AND_FROWN),
    ("jaw", ("jawOpen",), _LIDS_AND_FROWN),
    ("pucker", ("mouthPucker",), (*_LIDS_AND_FROWN, "jawOpen")),
    ("brows", ("browInnerUp", "browOuterUpLeft", "browOuterUpRight"), ("jawOpen",)),
    ("look", ("eyeLookDownLeft",), _BLINK_LEFT),
    ("look", ("eyeLookDownRight",), _BLINK_RIGHT),
    ("wink left", _BLINK_LEFT, _BLINK_RIGHT),
    ("wink right", _BLINK_RIGHT, _BLINK_LEFT),
)
_LEAST_SHARE, _MOST_SHARE, _LEAST_FIT = 0.05, 0.9, 0.3
# The largest displacement of a part in its steps that is usual, head units, RMS over its
# landmarks (the talking faces of `avatar bench --motion`, and the built-in performer).
_USUAL_REACH = {"mouth": 0.10, "brows": 0.06}
_MOST_GAIN = 1.5
_PARTS: dict[str, tuple[tuple[int, ...], tuple[str, ...]]] = {
    "mouth": ((4,), ("smile", "jaw", "pucker", "sentence")),
    "eyes": ((0, 1), ("blink", "wink left", "wink right", "look")),
    "brows": ((3,), ("brows",)),
}


class CalibrationError(UsageError):
    """The samples do not make a profile; the message says what was missing."""


def fit(recording: Recording, made: datetime, program_version: str) -> Profile:
    """Return the profile of the person in ``recording``.

    What no step showed keeps the usual values and is marked as not measured. Raises
    ``CalibrationError`` when the resting face was not seen.
    """
    rest = recording.of(REST)
    if rest.sum() < _LEAST_REST:
        raise CalibrationError(
            f"expected at least {_LEAST_REST} frames of a resting face, found {int(rest.sum())}. "
            "Look into the camera with a relaxed face for two seconds, in better light or nearer."
        )
    low = np.clip(np.median(recording.scores[rest], axis=0), 0, 0.6)
    neutral = np.median(recording.shapes[rest], axis=0)
    looks = (
        low[_index("eyeLookDownLeft", "eyeLookDownRight")]
        - low[_index("eyeLookUpLeft", "eyeLookUpRight")]
    )
    left, right = (_eye(recording, rest, low, side) for side in (0, 1))
    cross_talk = list(_cross_talk(recording, low, (left, right)))
    return Profile(
        made=made,
        program_version=program_version,
        image_size_px=recording.image_size_px,
        neutral=[_three(point) for point in neutral],
        rest_rotation=_rest_rotation(recording, rest),
        rest_look_down=(_round(looks[0]), _round(looks[1])),
        scores=_ranges(recording, low),
        cross_talk=cross_talk,
        left_eye=left,
        right_eye=right,
        lips=_lips(recording, rest),
        mouth=_part(recording, neutral, "mouth"),
        eyes=_part(recording, neutral, "eyes"),
        brows=_part(recording, neutral, "brows"),
        noise=_noise(recording, rest),
        field_of_view_deg=field_of_view_deg(recording, neutral),
        delays_ms=_delays(recording),
        steps=recording.steps,
    )


def _index(*names: str) -> list[int]:
    return [BLENDSHAPE_INDEX[name] for name in names]


def _round(value: float) -> float:
    return round(float(value), 5)


def _three(values: NDArray[np.floating]) -> tuple[float, float, float]:
    x, y, z = (_round(value) for value in values)
    return x, y, z


def _rest_rotation(recording: Recording, rest: NDArray[np.bool_]) -> tuple[_Row, _Row, _Row]:
    """Return the rotation of the resting sample that is nearest to their median turn."""
    turns = recording.turns[rest]
    nearest = int(np.linalg.norm(turns - np.median(turns, axis=0), axis=1).argmin())
    first, second, third = (_three(row) for row in recording.rotations[rest][nearest])
    return first, second, third


def _ranges(recording: Recording, low: NDArray[np.floating]) -> dict[str, Range]:
    ranges = {}
    for index, name in enumerate(BLENDSHAPE_NAMES):
        steps = [step for step, shown in SHOWS.items() if name in shown]
        seen = recording.of(*steps)
        full, measured = 1.0, False
        if seen.any():
            full = float(np.percentile(recording.scores[seen, index], _FULL_PERCENTILE))
            measured = full > low[index] + _LEAST_SPAN / 2
        full = min(max(full, float(low[index]) + _LEAST_SPAN), 1.0) if measured else 1.0
        ranges[name] = Range(rest=_round(low[index]), full=_round(full), measured=measured)
    return ranges


def _shutting(recording: Recording, side: int, open_: float, shut: float) -> NDArray[np.bool_]:
    """Return where an eye's lids are mostly shut, or will be or were a moment from there."""
    mostly = recording.openings[:, side] < open_ - MOSTLY_SHUT * (open_ - shut)
    moments = recording.times_s[mostly]
    if not len(moments):
        return mostly
    after = np.clip(np.searchsorted(moments, recording.times_s), 0, len(moments) - 1)
    before = np.maximum(after - 1, 0)
    away_s = np.minimum(
        np.abs(moments[after] - recording.times_s), np.abs(moments[before] - recording.times_s)
    )
    return np.asarray(away_s <= _BLINK_AROUND_S)


def _cross_talk(
    recording: Recording, low: NDArray[np.floating], eyes: Sequence[Eye]
) -> Iterator[CrossTalk]:
    """Yield how much of each expression shows in scores that it should leave alone.

    The median slope through rest, where the samples agree on it. A blink is no cross-talk, though
    the tracker sees shut eyes look down: samples with the lids mostly shut are left out.
    """
    above = np.maximum(recording.scores - low, 0)
    shutting = [_shutting(recording, side, eye.open, eye.shut) for side, eye in enumerate(eyes)]
    for step, causes, victims in _CROSSINGS:
        for victim in victims:
            side = {"eyeBlinkLeft": 0, "eyeBlinkRight": 1}.get(victim)
            seen = recording.of(step)
            if side is not None:
                seen &= ~shutting[side]
            cause = above[seen][:, _index(*causes)].mean(axis=1)
            if len(cause) < _LEAST_REST or (
                np.percentile(cause, _FULL_PERCENTILE) < _LEAST_SPAN / 2
            ):
                continue
            share = _slope(cause, above[seen, BLENDSHAPE_INDEX[victim]])
            if share < _LEAST_SHARE:
                continue
            each = _round(min(share, _MOST_SHARE) / len(causes))
            for name in causes:
                yield CrossTalk(of=name, shows_in=victim, share=each)


def _slope(cause: NDArray[np.floating], effect: NDArray[np.floating]) -> float:
    """Return the slope through the origin, 0 where the line explains too little."""
    active = cause > 0.25 * cause.max()
    if active.sum() < _LEAST_REST:
        return 0.0
    ratios = effect[active] / cause[active]
    middle = float(np.median(ratios))
    spread = float(np.median(np.abs(ratios - middle)))
    if middle <= 0 or spread > middle * (1 - _LEAST_FIT):
        return 0.0
    return middle


def _eye(
    recording: Recording, rest: NDArray[np.bool_], low: NDArray[np.floating], side: int
) -> Eye:
    """Return one eye's lids; ``side`` 0 is the person's left."""
    opening = recording.openings[:, side]
    open_ = float(np.percentile(opening[rest], 60))
    wink, down = (
        ("wink left", "eyeLookDownLeft"), ("wink right", "eyeLookDownRight"),
    )[side]  # fmt: skip
    seen = recording.of("blink", wink)
    shut, measured = _USUAL_SHUT_SHARE * open_, False
    if seen.any():
        lowest = float(np.percentile(opening[seen], 3))
        measured = lowest < 0.65 * open_
        shut = max(lowest, 0.0) if measured else shut
    above = np.maximum(recording.scores - low, 0)
    smile = above[:, _index("mouthSmileLeft", "mouthSmileRight")].mean(axis=1)
    partly = ~_shutting(recording, side, open_, shut)
    return Eye(
        open=_round(open_),
        shut=_round(shut),
        smile=_narrowing(recording.of("smile") & partly, smile, open_ - opening, open_ - shut),
        looking_down=_narrowing(
            recording.of("look") & partly,
            above[:, BLENDSHAPE_INDEX[down]],
            open_ - opening,
            open_ - shut,
        ),
        measured=measured,
    )


def _narrowing(
    seen: NDArray[np.bool_],
    cause: NDArray[np.floating],
    narrower: NDArray[np.floating],
    whole: float,
) -> float:
    """Return by how much the opening shrinks for a full score, at most most of the whole way."""
    if seen.sum() < _LEAST_REST or np.percentile(cause[seen], _FULL_PERCENTILE) < _LEAST_SPAN / 2:
        return 0.0
    share = _slope(cause[seen], np.maximum(narrower[seen], 0))
    full = float(np.percentile(cause[seen], _FULL_PERCENTILE))
    # Scores are stretched to 1 at the driver's full: so is what they take.
    return _round(min(share * full, 0.8 * max(whole, 0.0)))


def _lips(recording: Recording, rest: NDArray[np.bool_]) -> Lips:
    closed = float(np.median(recording.lip_gaps[rest]))
    jaw = recording.of("jaw")
    wide = float(np.percentile(recording.lip_gaps[jaw], _FULL_PERCENTILE)) if jaw.any() else closed
    return Lips(closed=_round(closed), open=_round(max(wide, closed)))


def _part(recording: Recording, neutral: Float32, name: str) -> Part:
    """Return a part's reach in its steps and the gain that brings it to the usual one."""
    parts, steps = _PARTS[name]
    seen = recording.of(*steps)
    if not seen.any():
        return Part(gain=1.0, reach=None)
    members = np.isin(recording.parts, parts)
    away = recording.shapes[seen][:, members] - neutral[members]
    size = np.sqrt(np.mean(np.sum(away**2, axis=-1), axis=-1))
    reach = float(np.percentile(size, _FULL_PERCENTILE))
    usual = _USUAL_REACH.get(name, 0.0)
    done = set(steps) & set(recording.steps)
    # A part whose acts were not all asked for tells no gain.
    told = len(done) >= min(2, len(steps))
    gain = float(np.clip(usual / max(reach, 1e-3), 1.0, _MOST_GAIN)) if told else 1.0
    return Part(gain=_round(gain), reach=_round(max(reach, 0.02)))


def _noise(recording: Recording, rest: NDArray[np.bool_]) -> dict[str, float]:
    """Return the standard deviation of each signal group in the resting face."""
    shapes, scores = recording.shapes[rest], recording.scores[rest]
    unit = np.float32(np.median(recording.scales_px[rest]))
    place = np.column_stack(
        [recording.centres_px[rest] / unit, np.log(recording.scales_px[rest] / unit)]
    )
    regions = _score_regions()
    groups = [shapes[:, recording.parts == k] for k in range(6)]
    groups += [scores[:, regions == k] for k in range(3)]
    groups += [recording.turns[rest], place]
    return {
        name: _round(_deviation(np.asarray(values).reshape(len(values), -1)))
        for name, values in zip(SIGNAL_GROUPS, groups, strict=True)
    }


def _score_regions() -> NDArray[np.intp]:
    return np.array(
        [
            2 if name.startswith("brow") else 1 if name.startswith("eye") else 0
            for name in BLENDSHAPE_NAMES
        ],
        np.intp,
    )


def _deviation(values: NDArray[np.floating]) -> float:
    """Return the noise of signals (N, M): the quieter half of the frames' second differences."""
    if len(values) < 3 or values.shape[1] == 0:
        return 0.001
    bend = np.sqrt(np.mean(np.diff(values, 2, axis=0) ** 2, axis=1))
    return max(NOISE_OF_SECOND_DIFFERENCE * float(np.percentile(bend, 40)), 1e-4)


def _delays(recording: Recording) -> Delays:
    steps_s = np.diff(recording.times_s)
    interval = float(np.median(steps_s)) * 1000 if len(steps_s) else None
    return Delays(
        capture_to_tracked=None if recording.delay_ms is None else _round(recording.delay_ms),
        frame_interval=None if interval is None or interval > 1e4 else _round(interval),
    )
