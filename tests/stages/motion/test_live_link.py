"""Takes of Live Link Face: read as the numbers they are, refused in one line where they are not."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from avatar.core.errors import UsageError
from avatar.core.face.head import decompose, lips_gap
from avatar.core.face.rotation import vector_from_rotation
from avatar.core.frames import BLENDSHAPE_INDEX, BLENDSHAPE_NAMES, Face, Presence
from avatar.stages.motion import live_link
from avatar.stages.motion.live_link import read_take
from avatar.stages.motion.performance import FACE, FACE_SHAPES
from avatar.stages.motion.template import load_template, save_template

SCORES = [name[0].upper() + name[1:] for name in BLENDSHAPE_NAMES if name != "_neutral"]
EYES = [f"{side}Eye{angle}" for side in ("Left", "Right") for angle in ("Yaw", "Pitch", "Roll")]
HEADER = ["Timecode", "BlendShapeCount", *SCORES, "TongueOut", "HeadYaw", "HeadPitch", "HeadRoll",
          *EYES]  # fmt: skip


def row(code: str, head: tuple[float, float, float] = (0, 0, 0), **scores: float) -> list[str]:
    values = [str(scores.get(name, 0.0)) for name in SCORES]
    return [code, "61", *values, "0", *map(str, head), *["0"] * len(EYES)]


def timecode(frame: int, rate: int = 60, start_s: int = 50_630) -> str:
    seconds = start_s + frame // rate
    hours, minutes = seconds // 3600 % 24, seconds // 60 % 60
    return f"{hours:02}:{minutes:02}:{seconds % 60:02}:{frame % rate:02}.417"


def written(path: Path, rows: list[list[str]], header: list[str] = HEADER) -> Path:
    path.write_text("\n".join(",".join(cells) for cells in [header, *rows]) + "\n", "utf-8")
    return path


@pytest.fixture
def take(tmp_path: Path) -> Path:
    """Two seconds: the head turns by ten degrees from where it is, and the mouth opens."""
    rows = [
        row(timecode(k), (0.1 + (math.radians(10) if k >= 60 else 0), 0, 0), JawOpen=k / 120)
        for k in range(120)
    ]
    return written(tmp_path / "take.csv", rows)


def test_numbers_and_times_are_as_the_telephone_had_them(take: Path, portrait_face: Face) -> None:
    found = read_take(take)
    assert found.rate == 60 and len(found.time_s) == 120
    assert np.allclose(np.diff(found.time_s), 1 / 60, atol=1e-6)
    shape = decompose(portrait_face).shape
    motions = list(found.template(shape).motions(None, "relative"))
    assert all(motion.presence is Presence.TRACKED for motion in motions)
    turns = [math.degrees(vector_from_rotation(motion.rotation)[1]) for motion in motions]
    assert turns[0] == pytest.approx(0, abs=1e-3)
    assert turns[-1] == pytest.approx(10, abs=1e-3)
    gaps = [lips_gap(shape + motion.expression) for motion in motions[::20]]
    assert gaps == sorted(gaps) and gaps[-1] > gaps[0] + 0.1
    assert motions[60].blendshapes[BLENDSHAPE_INDEX["jawOpen"]] == pytest.approx(0.5)


def test_it_becomes_a_template_that_is_read_again(
    take: Path, tmp_path: Path, portrait_face: Face
) -> None:
    made = read_take(take).template(decompose(portrait_face).shape)
    save_template(made, tmp_path / "take.npz")
    again = load_template(tmp_path / "take.npz", {FACE: FACE_SHAPES}, FACE)
    assert again.frames == 120 and again.rate == 60
    assert np.array_equal(again.values["expression"], made.values["expression"])


def test_thirty_frames_a_second_midnight_and_a_lost_face(
    tmp_path: Path, portrait_face: Face
) -> None:
    rows = [row(timecode(k, 30, 86_399)) for k in range(60)]
    rows[20] = [rows[20][0], "0", *[""] * (len(HEADER) - 2)]
    found = read_take(written(tmp_path / "t.csv", rows))
    assert found.rate == 30 and found.time_s[-1] == pytest.approx(59 / 30)
    assert np.flatnonzero(~found.seen).tolist() == [20]
    template = found.template(decompose(portrait_face).shape)
    assert template.tracked.tolist().count(0) == 1


def test_other_columns_and_other_orders_do_not_matter(tmp_path: Path) -> None:
    rows = [["x", *reversed(row(timecode(k), JawOpen=0.5))] for k in range(3)]
    header = ["Extra", *reversed([name.upper() for name in HEADER])]
    found = read_take(written(tmp_path / "t.csv", rows, header))
    assert found.scores[:, list(live_link._SCORES).index("jawOpen")].tolist() == [0.5] * 3


def test_a_row_out_of_order_is_left_out(tmp_path: Path) -> None:
    rows = [row(timecode(k)) for k in (0, 1, 1, 0, 2)]
    assert len(read_take(written(tmp_path / "t.csv", rows)).time_s) == 3


Change = Callable[[str], str]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda text: "", r"no column timecode \(55 of 55 are missing\), found nothing"),
        (lambda text: text.replace("JawOpen", "Jaw"), r"no column jawopen \(1 of 55"),
        (lambda text: text.replace("14:03:50:01", "late"), r"line 3: expected a time code.*'late"),
        (lambda text: text.replace("0.25", "=cmd()", 1), r"line 2: expected a number, found '=cmd"),
        (lambda text: text.replace("0.25", "nan", 1), "line 2: expected a number within"),
        (lambda text: text.replace("0.25", "inf", 1), "line 2: expected a number within"),
        (lambda text: text.replace("0.25", "7", 1), r"within ±1.5, found 7"),
        (lambda text: text.replace("0.125", "57.3", 1), r"within ±3.14, found 57.3"),
        (lambda text: text.splitlines()[0] + "\n", "it has no rows"),
        (lambda text: text[:-200], "line 4: expected a number, found ''"),
        (lambda text: text + '"never closed', "unexpected end of data"),
        (lambda text: "\x00\x01" + text, "no column timecode"),
    ],
)  # fmt: skip
def test_hostile_and_broken_files_are_refused_in_one_line(
    tmp_path: Path, change: Change, words: str
) -> None:
    path = tmp_path / "take.csv"
    rows = [row(timecode(k), (0.125, 0, 0), JawOpen=0.25) for k in range(3)]
    path.write_text(change(written(path, rows).read_text("utf-8")), "utf-8")
    with pytest.raises(UsageError, match=words) as refused:
        read_take(path)
    assert "\n" not in str(refused.value) and "take.csv" in str(refused.value)


def test_what_is_no_text_too_large_too_long_or_absent_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "take.csv"
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        read_take(path)
    path.write_bytes(b"\xff\xd8\xff\xe0" * 50)
    with pytest.raises(UsageError, match="found no text"):
        read_take(path)
    written(path, [row(timecode(k)) for k in range(5)])
    monkeypatch.setattr(live_link, "most_frames", lambda shapes: 4)
    with pytest.raises(UsageError, match="more than 4 rows"):
        read_take(path)
    monkeypatch.setattr(live_link, "_MOST_BYTES", 100)
    with pytest.raises(UsageError, match="cannot be read"):
        read_take(path)
    empty = [[timecode(0), "0", *[""] * (len(HEADER) - 2)]]
    monkeypatch.undo()
    with pytest.raises(UsageError, match="no row with a face"):
        read_take(written(path, empty))
