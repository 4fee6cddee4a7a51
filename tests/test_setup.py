"""scripts/setup names what is missing and the line that installs it, and is quiet otherwise.

A stand-in for Python answers as told; what the real one does is proven by every run of CI.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="the scripts are for bash")

STAND_IN = """#!/bin/sh
echo "$*" >>"$CALLS"
case "$*" in
    *version_info*) echo "${VERSION:-3.12}" ;;
    *ensurepip*) exit "${NO_ENSUREPIP:-0}" ;;
    "-m venv"*) rm -rf .venv && mkdir -p .venv/bin && cp "$0" .venv/bin/python ;;
    "-m avatar.libraries"*) [ -z "$MISSING" ] || { echo "$MISSING"; exit 1; } ;;
    --version) echo "Python ${VERSION:-3.12}.0" ;;
esac
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder whose name has a space and letters beyond ASCII, with what setup looks at."""
    folder = tmp_path / "ein Örtchen"
    (folder / "scripts").mkdir(parents=True)
    for name in ("scripts/setup", "pyproject.toml"):
        shutil.copy(ROOT / name, folder / name)
    python = folder / "python"
    python.write_text(STAND_IN)
    python.chmod(0o755)
    return folder


def setup(checkout: Path, *extras: str, **environment: str) -> subprocess.CompletedProcess[str]:
    (checkout / "calls").write_text("")
    told = {"PYTHON": str(checkout / "python"), "CALLS": str(checkout / "calls"), "CI": ""}
    return subprocess.run(
        [str(checkout / "scripts" / "setup"), *extras],
        env=os.environ | told | environment,
        cwd="/",
        capture_output=True,
        text=True,
    )


def installed(checkout: Path) -> list[str]:
    calls = (checkout / "calls").read_text().splitlines()
    return [call.split("--editable ")[1] for call in calls if "--editable" in call]


def test_the_second_run_has_nothing_to_do_and_says_nothing(checkout: Path) -> None:
    assert setup(checkout).returncode == 0
    assert installed(checkout) == ["."]
    again = setup(checkout)
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")
    assert installed(checkout) == []


def test_extras_add_up(checkout: Path) -> None:
    setup(checkout, "dev")
    assert installed(checkout) == [".[dev]"]
    setup(checkout)
    assert installed(checkout) == []
    setup(checkout, "train")
    assert installed(checkout) == [".[dev,train]"]


def test_changed_dependencies_are_installed(checkout: Path) -> None:
    setup(checkout)
    with (checkout / "pyproject.toml").open("a") as file:
        file.write("\n# changed\n")
    setup(checkout)
    assert installed(checkout) == ["."]


def test_a_moved_checkout_gets_a_new_environment(checkout: Path) -> None:
    setup(checkout)
    moved = checkout.rename(checkout.with_name("anderswo"))
    assert "making .venv" in setup(moved).stdout
    assert installed(moved) == ["."]


def test_another_python_gets_a_new_environment(checkout: Path) -> None:
    setup(checkout)
    other = checkout / "other"
    other.write_text(STAND_IN.replace(":-3.12", ":-3.13"))
    other.chmod(0o755)
    assert "making .venv with Python 3.13" in setup(checkout, PYTHON=str(other)).stdout


@pytest.mark.parametrize(
    ("environment", "says"),
    [
        ({"VERSION": "3.10"}, "expected PYTHON to name Python 3.11, 3.12 or 3.13"),
        ({"PYTHON": "/bin/false"}, "found PYTHON=/bin/false"),
        ({"NO_ENSUREPIP": "1"}, "apt-get install -y python3-venv"),
        ({"MISSING": "apt-get install -y libgl1"}, "\n    apt-get install -y libgl1\n"),
    ],
)
def test_what_is_missing_is_named_with_what_to_do(
    environment: dict[str, str], says: str, checkout: Path
) -> None:
    result = setup(checkout, **environment)
    assert result.returncode == 1
    assert says in result.stderr
    assert installed(checkout) == []
    if environment.keys() & {"MISSING", "NO_ENSUREPIP"}:
        assert setup(checkout).returncode == 0, "the next run carries on"


@pytest.mark.parametrize("script", ["setup", "demo", "check", "test", "../.ci/run"])
def test_scripts_can_be_run(script: str) -> None:
    path = ROOT / "scripts" / script
    assert os.access(path, os.X_OK)
    subprocess.run(["bash", "-n", str(path)], check=True)
