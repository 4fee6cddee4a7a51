"""The virtual camera on the real kernel module, in a virtual machine that loads it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import ROOT

pytestmark = [pytest.mark.real, pytest.mark.slow]

PROGRAMS = ("qemu-system-x86_64", "busybox", "cpio", "depmod", "make", "gcc")


@pytest.fixture
def virtual_machine(shared: Path) -> list[str]:
    script = shared / "tools" / "v4l2-vm.sh"
    if not script.is_file():
        pytest.skip(f"no {script}, which boots a kernel with v4l2loopback")
    missing = [name for name in PROGRAMS if not shutil.which(name)]
    if missing or not list(Path("/usr/src").glob("linux-headers-*-amd64")):
        pytest.skip(
            f"needs {', '.join(missing) or 'kernel headers'}: apt-get install qemu-system-x86 "
            "busybox-static cpio kmod make gcc linux-headers-amd64"
        )
    return ["bash", str(script)]


def test_frames_reach_another_program_and_the_device_opens_again(
    virtual_machine: list[str],
) -> None:
    inside = [sys.executable, "-m", "tests.stages.sinks.v4l2_round_trip"]
    environment = {"WORK": "/tmp/v4l2-vm-sinks", **os.environ}
    done = subprocess.run(
        [*virtual_machine, *inside],
        env=environment, cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "all rounds passed" in done.stdout
