"""No damaged file raises anything but the program's own errors, hangs, or takes all memory.

A small share of what ``scripts/test --fuzz`` reads: that sets ``AVATAR_FUZZ``.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests import ROOT

WHOLE = {
    "photographs": 3000, "films": 500, "profiles": 500, "records": 500, "templates": 500,
    "configs": 500, "performances": 500, "takes": 1000, "choreographies": 3000,
}  # fmt: skip
SHARE = 0.03
SEED = 18
MOST_MB = 1500
# Of the processor's time each file may take so long; a busy machine gives it late.
LONGEST_S = 10
HANGS_S = 300


@pytest.mark.parametrize("kind", WHOLE)
def test_damaged_files_are_read_or_refused(tmp_path: Path, kind: str) -> None:
    count = WHOLE[kind] if os.environ.get("AVATAR_FUZZ") else round(WHOLE[kind] * SHARE)
    command = [sys.executable, "-m", "tests.fuzz.damaged", kind, str(count), str(SEED)]
    errors = tmp_path / "errors.txt"
    folder = tmp_path / "files"
    folder.mkdir()
    with (
        errors.open("w") as said,
        subprocess.Popen(
            [*command, str(folder)], cwd=ROOT, stdout=subprocess.PIPE, stderr=said, text=True
        ) as child,
    ):
        last = watched(child)
        assert child.wait() == 0, f"died at file {last}: {tail(errors)}"
    came = json.loads(last)
    assert came["failed"] == 0, f"{sorted(folder.glob('failed-*'))}: {tail(errors)}"
    assert came["read"] + came["refused"] == count
    assert came["slowest_s"] < LONGEST_S
    assert came["peak_mb"] < MOST_MB


def watched(child: subprocess.Popen[str]) -> str:
    """Return the child's last line; fail where none comes for too long."""
    assert child.stdout is not None
    lines: queue.Queue[str | None] = queue.Queue()
    stream = child.stdout

    def read() -> None:
        for line in stream:
            lines.put(line)
        lines.put(None)

    threading.Thread(target=read, daemon=True).start()
    last = ""
    while True:
        try:
            line = lines.get(timeout=HANGS_S)
        except queue.Empty:
            child.kill()
            pytest.fail(f"file {last.strip()} took more than {HANGS_S} s")
        if line is None:
            return last
        last = line


def tail(path: Path) -> str:
    """Return the end of what was said."""
    return path.read_text(errors="replace")[-3000:]
