"""Pairs on disk: what a full disk does to them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import ROOT

# Files that are written through memory: on a full disk that ends a process by SIGBUS.
WRITE = """
import sys
from pathlib import Path
import tests.engines.training.toys as toys
toys.PAIRS, toys.HELD_OUT = 2000, 10
try:
    toys.write_pairs(Path(sys.argv[1]) / "pairs")
except OSError as error:
    print(error.strerror)
"""


def test_a_full_disk_is_an_error_and_not_the_end_of_the_process(tmp_path: Path) -> None:
    if shutil.which("unshare") is None:
        pytest.skip("a small disk is made with unshare and mount, which are not here")
    small = ["unshare", "-rm", "sh", "-c"]
    mount = f"mount -t tmpfs -o size=1m none '{tmp_path}' && "
    allowed = subprocess.run([*small, f"{mount} true"], capture_output=True, check=False)
    if allowed.returncode != 0:
        pytest.skip("this machine lets nobody mount a small disk in a namespace of their own")
    done = subprocess.run(
        [*small, f"{mount} exec '{sys.executable}' -c \"$0\" '{tmp_path}'", WRITE],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (done.returncode, done.stdout.strip()) == (0, "No space left on device"), done.stderr
