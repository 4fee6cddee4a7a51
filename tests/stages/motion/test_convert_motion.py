"""Templates of LivePortrait, in the layouts of its versions, become files of numbers alone."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from avatar.stages.generate.neural.liveportrait import LivePortrait
from avatar.stages.motion.template import Template, load_template
from tests import ROOT

SCRIPT = ROOT / "scripts" / "convert_motion.py"
COUNT = 3


def convert(source: Path) -> subprocess.CompletedProcess[str]:
    """Run the script as its reader does: alone, without the program."""
    command = [sys.executable, "-I", str(SCRIPT), str(source), str(source.with_suffix(".npz"))]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def made(source: Path) -> Template:
    result = convert(source)
    assert result.returncode == 0, result.stderr
    shapes = {"liveportrait": LivePortrait.seen_shapes}
    return load_template(source.with_suffix(".npz"), shapes, "liveportrait")


def frames(rotation: str = "R", dtype: str = "float32") -> list[dict[str, Any]]:
    turned = np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1]], dtype)
    return [
        {
            rotation: turned[None],
            "exp": np.full((1, 21, 3), n / 10, dtype),
            "t": np.array([[0.1, 0.2, 0]], dtype),
            "scale": np.array([[1.5]], dtype),
            "kp": np.zeros((1, 21, 3), dtype),
        }
        for n in range(COUNT)
    ]


def lips(dtype: str = "float32") -> list[Any]:
    return [np.array([[n / 5]], dtype) for n in range(COUNT)]


def eyes() -> list[Any]:
    return [np.array([[0.3, 0.4]], np.float32)] * COUNT


LAYOUTS: dict[str, Any] = {
    "today": {
        "n_frames": COUNT, "output_fps": 25, "motion": frames(), "c_eyes_lst": eyes(),
        "c_lip_lst": lips(),
    },
    "older names": {
        "n_frames": COUNT, "output_fps": 25, "motion": frames("R_d"), "c_d_eyes_lst": eyes(),
        "c_d_lip_lst": lips(),
    },
    "the first": ([{"n_frames": COUNT, **one} for one in frames("R_d")], [np.zeros((203, 2))]),
    "lips as one array": {
        "output_fps": np.float64(30), "motion": frames(), "c_lip_lst": np.stack(lips("float64")),
    },
    "half precision": {"output_fps": 25.0, "motion": frames(dtype="float16")},
    "rows of Fortran": {
        "output_fps": 25,
        "motion": [{**one, "R": np.asfortranarray(one["R"])} for one in frames()],
    },
}  # fmt: skip


@pytest.mark.parametrize("protocol", [2, 4, 5])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_becomes_a_template(tmp_path: Path, layout: str, protocol: int) -> None:
    content = LAYOUTS[layout]
    source = tmp_path / "motion.pkl"
    source.write_bytes(pickle.dumps(content, protocol))
    found = made(source)
    assert found.frames == COUNT
    assert found.values["rotation"][0].tolist() == [[0, -1, 0], [1, 0, 0], [0, 0, 1]]
    assert found.values["expression"][2, 20] == pytest.approx(0.2, abs=1e-3)
    assert found.values["translation"][1] == pytest.approx([0.1, 0.2, 0], abs=1e-3)
    has_lips = isinstance(content, dict) and any("lip" in name for name in content)
    assert found.values["lips"][2] == pytest.approx([0.4 if has_lips else 0])
    assert found.rate == (30 if layout == "lips as one array" else 25)


class Trap:
    """What a harmful pickle does: it runs something when it is opened."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.what = (function, arguments)

    def __reduce__(self) -> Any:
        return self.what


def refusals(folder: Path) -> dict[str, bytes]:
    """Return pickles by what is wrong with them."""
    sprung = str(folder / "sprung")
    good = LAYOUTS["today"]
    made = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n"
    huge = b"\x80\x04" + made + b"(J\xff\xff\xff\x7ftC\x01btR."
    return {
        "writes a file": pickle.dumps({"motion": [Trap(Path.write_text, Path(sprung), "x")]}),
        "evaluates": pickle.dumps(Trap(eval, f"open({sprung!r}, 'w')")),
        "imports": pickle.dumps(Trap(__import__, "antigravity")),
        "loads by NumPy": pickle.dumps(Trap(np.load, sprung)),
        "of torch": b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n.",
        "huge": huge,
        "objects": pickle.dumps({"motion": [{"R": np.array([good], object)}]}),
        "cut": pickle.dumps(good)[:-40],
        "empty": b"",
        "a picture": b"\x89PNG\r\n\x1a\n" + bytes(40),
        "deep": b"\x80\x04" + b"]" * 100_000 + b"a" * 99_999 + b".",
        "no frames": pickle.dumps({"motion": []}),
        "no rotation": pickle.dumps({"motion": [{"exp": np.zeros(63)}]}),
        "not a number": pickle.dumps(
            {**good, "motion": [{**frames()[0], "t": np.full(3, np.nan)}]}
        ),
        "other shapes": pickle.dumps({**good, "motion": [{**frames()[0], "exp": np.zeros(6)}]}),
        "lips of others": pickle.dumps({**good, "c_lip_lst": lips()[:1]}),
        "no rate": pickle.dumps({**good, "output_fps": 0}),
        "text": pickle.dumps("motion"),
    }


@pytest.mark.parametrize("wrong", refusals(Path("/")))
def test_whatever_else_is_refused_in_one_line_and_runs_nothing(tmp_path: Path, wrong: str) -> None:
    source = tmp_path / "motion.pkl"
    source.write_bytes(refusals(tmp_path)[wrong])
    result = convert(source)
    assert result.returncode == 1, result.stdout
    assert result.stderr.startswith(f"{source} is not converted: ")
    assert len(result.stderr.splitlines()) == 1, result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["motion.pkl"]


def test_a_file_that_is_there_is_kept(tmp_path: Path) -> None:
    source = tmp_path / "motion.pkl"
    source.write_bytes(pickle.dumps(LAYOUTS["today"]))
    made(source)
    before = source.with_suffix(".npz").read_bytes()
    result = convert(source)
    assert result.returncode == 1 and "exists" in result.stderr
    assert source.with_suffix(".npz").read_bytes() == before


@pytest.mark.parametrize(
    "content",
    [
        {"motion": frames(), "c_lip_lst": 5},
        {"motion": frames(), "c_lip_lst": {0: 1, 1: 2, 2: 3}},
        {"motion": frames(), "c_lip_lst": np.float32(3)},
        {"motion": frames(), "output_fps": 10**400},
        {"motion": [{"R": [10**400] * 9}]},
    ],
    ids=["a number", "a table", "a scalar", "a huge rate", "huge numbers"],
)
def test_odd_values_are_refused_in_one_line(tmp_path: Path, content: Any) -> None:
    source = tmp_path / "motion.pkl"
    source.write_bytes(pickle.dumps(content, 4))
    result = convert(source)
    assert result.returncode == 1
    assert "is not converted: expected" in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX")
def test_a_file_that_cannot_be_written_whole_is_not_left(tmp_path: Path) -> None:
    source = tmp_path / "motion.pkl"
    source.write_bytes(pickle.dumps({"motion": frames() * 20}, 4))
    command = [sys.executable, "-I", str(SCRIPT), str(source), str(tmp_path / "motion.npz")]
    limited = ["sh", "-c", 'ulimit -f 1; exec "$@"', "sh", *command]
    result = subprocess.run(limited, capture_output=True, text=True, timeout=60)
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    assert not source.with_suffix(".npz").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX")
def test_a_pipe_is_not_waited_for_and_names_do_not_command_the_terminal(tmp_path: Path) -> None:
    source = tmp_path / "a\x1b[31m.pkl"
    os.mkfifo(source)
    result = convert(source)
    assert result.returncode == 1
    assert "no file" in result.stderr and "\x1b" not in result.stderr
