"""Engines are built once, kept whole, and rebuilt with a reason."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from avatar.core.errors import EngineError
from engines.build import build
from tests import ROOT
from tests.engines import graphs

pytest.importorskip("onnx", reason="the graphs are made with onnx")


class Letters:
    """A builder that needs no library; it counts how often it was asked."""

    def __init__(self, library: str = "letters 1.0", device: str = "paper") -> None:
        self.library = library
        self.device = device
        self.builds = 0

    def build(self, model: Any, progress: Any) -> bytes:
        self.builds += 1
        progress("writing", 0.0)
        progress("writing", 1.0)
        return b"\n".join(node.op_type.encode() for node in model.graph.node)


class Lines(list[str]):
    def __call__(self, line: str) -> None:
        self.append(line)


def made(cache: Path, builder: Letters, model: Any = None) -> tuple[Any, Lines]:
    lines = Lines()
    model = model if model is not None else graphs.sum_and_product()
    return build("tiny/sum", model, builder, cache, say=lines), lines


def test_is_built_once(tmp_path: Path) -> None:
    builder = Letters()
    first, lines = made(tmp_path, builder)
    assert first.built and first.data == b"Add\nMul"
    assert lines == ["building tiny/sum (fp32) for paper: there is none yet"]
    second, lines = made(tmp_path, builder)
    assert not second.built and second.data == first.data and lines == []
    assert builder.builds == 1


def test_progress_is_told(tmp_path: Path) -> None:
    seen: list[tuple[str, float]] = []
    build(
        "tiny",
        graphs.sum_and_product(),
        Letters(),
        tmp_path,
        progress=lambda what, share: seen.append((what, share)),
    )
    assert seen == [("writing", 0.0), ("writing", 1.0)]


def test_a_changed_graph_and_a_newer_library_are_told(tmp_path: Path) -> None:
    made(tmp_path, Letters())
    changed = graphs.sum_and_product()
    changed.graph.node[0].op_type = "Sub"
    engine, lines = made(tmp_path, Letters(), changed)
    assert engine.data == b"Sub\nMul"
    assert len(lines) == 1 and "is stale (its graph is " in lines[0]
    engine, lines = made(tmp_path, Letters("letters 1.1"), changed)
    assert "is stale (its library is letters 1.0, now it is letters 1.1)" in lines[0]


def test_devices_keep_an_engine_each(tmp_path: Path) -> None:
    for device in ("paper", "slate", "paper", "slate"):
        builder = Letters(device=device)
        made(tmp_path, builder)
    assert builder.builds == 0
    assert len(list(tmp_path.glob("*.engine"))) == 2


@pytest.mark.parametrize("keep", [0, 10, 60, -1])
def test_a_file_that_is_cut_off_is_rebuilt(tmp_path: Path, keep: int) -> None:
    first, _ = made(tmp_path, Letters())
    first.path.write_bytes(first.path.read_bytes()[:keep])
    engine, lines = made(tmp_path, Letters())
    assert engine.built and engine.data == first.data
    assert "is damaged" in lines[0]
    assert not made(tmp_path, Letters())[0].built


def test_a_changed_byte_is_noticed(tmp_path: Path) -> None:
    first, _ = made(tmp_path, Letters())
    content = bytearray(first.path.read_bytes())
    content[-1] ^= 1
    first.path.write_bytes(bytes(content))
    _, lines = made(tmp_path, Letters())
    assert "its checksum does not match" in lines[0]


def test_a_build_that_fails_leaves_nothing(tmp_path: Path) -> None:
    class Fails(Letters):
        def build(self, model: Any, progress: Any) -> bytes:
            raise EngineError("no room on the paper")

    with pytest.raises(EngineError, match="no room"):
        made(tmp_path, Fails())
    assert not list(tmp_path.glob("*.engine*"))


def test_left_overs_of_a_build_that_died_are_removed(tmp_path: Path) -> None:
    first, _ = made(tmp_path, Letters())
    part = first.path.with_name(f".{first.path.name}-abc.part")
    part.write_bytes(b"half")
    made(tmp_path, Letters())
    assert not part.exists()


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(EngineError, match="cannot be kept in"):
        made(tmp_path / "file", Letters())


BUILDER = """
import sys, time
from pathlib import Path
from engines.build import build
from tests.engines import graphs

class Slow:
    library, device = "letters 1.0", "paper"
    def build(self, model, progress):
        with Path(sys.argv[2]).open("a") as file:
            file.write("built\\n")
        print("building", flush=True)
        sys.stdin.readline()
        return bytes(1000)

lines = []
engine = build("tiny", graphs.sum_and_product(), Slow(), Path(sys.argv[1]), say=lines.append)
print("done", len(engine.data), engine.built, lines, flush=True)
"""


def start(cache: Path, count: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", BUILDER, str(cache), str(count)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> str:
    out, _ = process.communicate("\n", timeout=60)
    assert process.returncode == 0
    return out


def test_two_processes_build_once(tmp_path: Path) -> None:
    cache, count = tmp_path / "cache", tmp_path / "count"
    first = start(cache, count)
    assert first.stdout is not None
    assert first.stdout.readline() == "building\n"  # it holds the lock now
    second = start(cache, count)
    assert "done 1000 True" in finish(first)
    assert "done 1000 False" in finish(second)
    assert count.read_text() == "built\n"


def test_a_process_that_dies_while_building_frees_the_next(tmp_path: Path) -> None:
    cache, count = tmp_path / "cache", tmp_path / "count"
    first = start(cache, count)
    assert first.stdout is not None
    assert first.stdout.readline() == "building\n"
    first.kill()
    first.communicate()
    assert not list(cache.glob("*.engine"))
    assert "done 1000 True" in finish(start(cache, count))
