"""Takes of Live Link Face: a telephone's expressions and head, as a table of numbers (CSV).

A row has a time code ``HH:MM:SS:FF.fff``, frames with their fraction, the number of its values, 52
expressions by ARKit's names, and head and eyes in radians: yaw, pitch, roll. The file is
somebody's: it is read as numbers and nothing else, within limits.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from avatar.core.errors import UsageError
from avatar.core.files import read_small
from avatar.core.frames import BLENDSHAPE_NAMES, Float32
from avatar.core.terminal import harmless
from avatar.stages.motion.expressions import EXPRESSIONS, ExpressionBasis, Look
from avatar.stages.motion.performance import FACE, FACE_SHAPES, seen_of
from avatar.stages.motion.template import Template, TemplateRecorder, most_frames

SUFFIX = ".csv"
_MOST_BYTES = 64_000_000
_HEAD = ("headyaw", "headpitch", "headroll")
_TIMECODE = re.compile(r"(\d{1,2}):(\d{2}):(\d{2})[:;](\d{1,3}(?:\.\d{1,6})?)")
# The rates at which a telephone films; time codes do not say theirs.
_RATES, _USUAL_RATE = (24, 25, 30, 48, 50, 60, 120), 60.0
_DAY_S = 86_400.0
_MOST_SCORE = 1.5
_SCORES = tuple(name for name in BLENDSHAPE_NAMES if name != "_neutral")


@dataclass(frozen=True, eq=False)
class TelephoneTake:
    """What a telephone saw.

    ``time_s``: float64 (N,), rising from 0. ``seen``: bool (N,), whether there was a face.
    ``scores``: float32 (N, 51), in the order of ARKit's names without the tongue, 0 to 1.
    ``head``: float32 (N, 3), yaw, pitch, roll, radians. ``rate``: frames a second.
    """

    time_s: NDArray[np.float64]
    seen: NDArray[np.bool_]
    scores: Float32
    head: Float32
    rate: float

    def template(self, shape: Float32) -> Template:
        """Return it as motion of a face of ``shape``, float32 (478, 3), head frame, at rest.

        The head is counted from where it was in the first second with a face.
        """
        recorder = TemplateRecorder(FACE, self.rate, FACE_SHAPES)
        basis, home = ExpressionBasis(shape), self._home()
        for k, time_s in enumerate(self.time_s):
            motion = basis.motion(self._look(k, home), 0, k)
            seen = seen_of(replace(motion, neutral=shape)) if self.seen[k] else None
            recorder.add(round(time_s * 1e9), seen)
        return recorder.template()

    def _look(self, k: int, home: Float32) -> Look:
        scores = dict(zip(_SCORES, self.scores[k].tolist(), strict=True))
        yaw, pitch, roll = (math.degrees(angle) for angle in self.head[k] - home)
        return Look({name: scores[name] for name in EXPRESSIONS}, yaw, pitch, roll)

    def _home(self) -> Float32:
        first_s = float(self.time_s[self.seen][0])
        early = self.seen & (self.time_s <= first_s + 1)
        return np.asarray(np.median(self.head[early], axis=0), np.float32)


def read_take(path: Path) -> TelephoneTake:
    """Read a take. Raises ``UsageError`` in one line that says where the file is wrong."""
    try:
        text = read_small(path, _MOST_BYTES).decode("utf-8-sig")
    except OSError as error:
        raise UsageError(f"the take {path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError:
        raise UsageError(f"the take {path}: expected a table of numbers, found no text") from None
    try:
        return _take(text)
    except (ValueError, csv.Error) as error:
        raise UsageError(
            f"the take {path}: {error}. Expected the CSV file that Live Link Face makes"
        ) from None


def _take(text: str) -> TelephoneTake:
    """Raises ``ValueError`` and ``csv.Error``."""
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    columns = _columns(next(rows, []))
    codes: list[tuple[int, float]] = []
    values: list[list[float]] = []
    for row in rows:
        if not row:
            continue
        if len(codes) == most_frames(FACE_SHAPES):
            raise ValueError(f"it has more than {len(codes)} rows, which is too long")
        codes.append(_timecode(row[columns[0]] if row else "", rows.line_num))
        values.append(_values(row, columns[1:], rows.line_num))
    if not values:
        raise ValueError("it has no rows")
    numbers = np.array(values, np.float32)
    seen = np.asarray(np.isfinite(numbers).all(axis=1))
    if not seen.any():
        raise ValueError("it has no row with a face")
    rate = _rate(codes)
    time_s = _times(codes, rate)
    rises = np.concatenate([[True], np.diff(np.maximum.accumulate(time_s)) > 0])
    numbers = np.where(seen[:, None], numbers, 0)
    return TelephoneTake(
        time_s[rises] - time_s[0],
        seen[rises],
        np.clip(numbers[rises, 3:], 0, 1),
        numbers[rises, :3],
        rate,
    )


def _columns(names: Sequence[str]) -> list[int]:
    """Return where the time code, the head's angles and each expression stand."""
    at = {name.strip().casefold(): k for k, name in enumerate(names)}
    wanted = ("timecode", *_HEAD, *(name.casefold() for name in _SCORES))
    missing = [name for name in wanted if name not in at]
    if missing:
        found = ", ".join(harmless(name.strip()[:20]) for name in names[:4]) or "nothing"
        raise ValueError(
            f"its first line has no column {missing[0]} ({len(missing)} of {len(wanted)} are "
            f"missing), found {found}"
        )
    return [at[name] for name in wanted]


def _timecode(text: str, line: int) -> tuple[int, float]:
    """Return a time code as whole seconds of the day, and frames."""
    found = _TIMECODE.fullmatch(text.strip())
    if found is None:
        raise ValueError(
            f"line {line}: expected a time code as 14:03:21:07.512, found {text[:30]!r}"
        )
    hours, minutes, seconds = (int(part) for part in found.groups()[:3])
    return (hours * 60 + minutes) * 60 + seconds, float(found[4])


def _values(row: Sequence[str], at: Sequence[int], line: int) -> list[float]:
    """Return the numbers of a row; not-a-numbers where nobody was seen."""
    cells = [row[k].strip() if k < len(row) else "" for k in at]
    if not any(cells):
        return [math.nan] * len(at)
    try:
        values = [float(cell) for cell in cells]
    except ValueError:
        wrong = next(cell for cell in cells if not _is_number(cell))
        raise ValueError(f"line {line}: expected a number, found {wrong[:30]!r}") from None
    limits = [math.pi] * len(_HEAD) + [_MOST_SCORE] * len(_SCORES)
    for value, limit in zip(values, limits, strict=True):
        if not abs(value) <= limit:
            raise ValueError(f"line {line}: expected a number within ±{limit:.3g}, found {value:g}")
    return values


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _rate(codes: Sequence[tuple[int, float]]) -> float:
    """Return the rate that the frames are counted at: the least one that has their numbers.

    A take within one second does not show it: there it is the program's usual one.
    """
    most = max(frame for _, frame in codes)
    if codes[0][0] == codes[-1][0] and most < _USUAL_RATE:
        return _USUAL_RATE
    return float(next((rate for rate in _RATES if most < rate), _RATES[-1]))


def _times(codes: Sequence[tuple[int, float]], rate: float) -> NDArray[np.float64]:
    """Return the times of a take, seconds; one that goes past midnight goes on."""
    at = np.array([second + frame / rate for second, frame in codes], np.float64)
    days = np.cumsum(np.concatenate([[False], np.diff(at) < -_DAY_S / 2]))
    return np.asarray(at + days * _DAY_S, np.float64)
