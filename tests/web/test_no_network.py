"""The studio needs no network and asks nobody: video connections stay on the loopback."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import ROOT
from tests.test_no_network import permitted

# What is sent or connected to, as strace writes IPv4 and IPv6 addresses.
ADDRESS = re.compile(r'inet_addr\("([^"]+)"\)|inet_pton\(AF_INET6, "([^"]+)"')


def watch(folder: Path, *before: str) -> None:
    """Run the studio and a page that watches it, behind the command ``before``."""
    command = [*before, sys.executable, "-m", "tests.web.offline", str(folder)]
    result = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=100)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "saw 10 pictures" in result.stdout


def test_it_works_where_there_is_no_network_at_all(tmp_path: Path) -> None:
    """A namespace in which nothing but the loopback exists, not even an address of a network."""
    namespace = ("unshare", "--map-root-user", "--net")
    if not permitted(*namespace) or shutil.which("ip") is None:
        pytest.skip("namespaces are not permitted here, or `ip` is missing: apt install iproute2")
    # $0 is the interpreter, so that the rest are its arguments.
    watch(tmp_path, *namespace, "sh", "-c", 'ip link set lo up && exec "$0" "$@"')


def test_nothing_is_sent_to_anybody_else(tmp_path: Path) -> None:
    log = tmp_path / "calls"
    calls = "trace=connect,sendto,sendmsg,sendmmsg,bind"
    strace = ("strace", "-f", "-qq", "-e", calls, "-o", str(log))
    if not permitted(*strace):
        pytest.skip("strace is not installed or not permitted here: apt install strace")
    watch(tmp_path, *strace)
    lines = [line for line in log.read_text().splitlines() if "sa_family=AF_INET" in line]
    found = {"".join(groups) for line in lines for groups in ADDRESS.findall(line)}
    assert found == {"127.0.0.1"}
