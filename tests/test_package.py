"""What is published: one version, no claim that was not seen, and a wheel that has every file."""

from __future__ import annotations

import json
import os
import re
import shutil
import site
import subprocess
import sys
import tomllib
import urllib.request
from collections.abc import Iterator
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any

import pytest

import avatar
from avatar.measure.doctor import SUPPORTED_PYTHONS
from tests import ROOT
from tests.web.browser import Program

SOURCES = ("avatar", "engines", "calibrate")
FILES = ("pyproject.toml", "README.md", "LICENSE", "THIRD_PARTY_NOTICES.md")


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_the_version_has_one_home_and_heads_the_changelog(project: dict[str, Any]) -> None:
    assert "version" not in project["project"]
    assert project["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "avatar.__version__"}
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    versions = re.findall(r"^## \[?([0-9][^\] ]*)", changelog, re.MULTILINE)
    assert versions[0] == avatar.__version__


def test_supported_pythons_are_the_same_wherever_they_are_named(project: dict[str, Any]) -> None:
    (major, first), (_, last) = SUPPORTED_PYTHONS
    assert project["project"]["requires-python"] == f">={major}.{first},<{major}.{last + 1}"
    versions = [f"{major}.{minor}" for minor in range(first, last + 1)]
    kind = "Programming Language :: Python :: "
    named = [name for name in project["project"]["classifiers"] if name.startswith(kind)]
    assert named == [kind + version for version in versions]
    setup = (ROOT / "scripts" / "setup").read_text(encoding="utf-8")
    assert f'case "$1" in {" | ".join(versions)}) true' in setup
    workflow = (ROOT / ".github" / "workflows" / "test.yml").read_text(encoding="utf-8")
    assert f"python: {json.dumps(versions)}" in workflow


def run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=outside(), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def outside(**more: str) -> dict[str, str]:
    """An environment in which nothing leads to the checkout."""
    return {key: value for key, value in os.environ.items() if key != "PYTHONPATH"} | more


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ``bin`` of an environment that has the wheel, and this one's other packages.

    They come by a path file, in which Python does not look for the path files that an editable
    installation is made of: what is imported as ``avatar`` is the wheel's.
    """
    if os.name == "nt":
        pytest.skip("the environment's programs are looked for where POSIX has them")
    folder = tmp_path_factory.mktemp("wheel")
    copy, environment = folder / "copy", folder / "environment"
    for name in SOURCES:
        shutil.copytree(
            ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info")
        )
    for name in FILES:
        shutil.copy(ROOT / name, copy / name)
    pip = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")
    run(*pip, "wheel", "--no-deps", "--no-build-isolation", "--no-index", "-w", folder, copy,
        cwd=folder)  # fmt: skip
    (wheel,) = folder.glob("webcam_avatar-*.whl")
    shutil.rmtree(copy)
    run(sys.executable, "-m", "venv", "--without-pip", environment, cwd=folder)
    python = environment / "bin" / "python"
    run(*pip, "--python", python, "install", "--no-deps", "--no-index", wheel, cwd=folder)
    (packages,) = environment.glob("lib/python*/site-packages")
    (packages / "other.pth").write_text("\n".join(site.getsitepackages()))
    return environment / "bin"


@pytest.mark.slow
def test_the_wheel_is_what_runs_and_says_its_version(installed: Path) -> None:
    where = "import avatar, engines, calibrate; print(avatar.__file__)"
    found = run(installed / "python", "-c", where, cwd=installed)
    assert Path(found.strip()).is_relative_to(installed.parent)
    version = "from importlib.metadata import version; print(version('webcam-avatar'))"
    assert run(installed / "python", "-c", version, cwd=installed).strip() == avatar.__version__
    assert run(installed / "avatar", "--version", cwd=installed).split()[1] == avatar.__version__
    assert "animate" in run(installed / "avatar", "--help", cwd=installed)


@pytest.mark.slow
def test_the_wheel_has_every_file_that_is_no_module(installed: Path) -> None:
    (package,) = installed.parent.glob("lib/python*/site-packages/avatar")

    def files(folder: Path) -> set[Path]:
        paths = (path for path in folder.rglob("*") if path.is_file())
        return {p.relative_to(folder) for p in paths if p.suffix not in (".pyc", ".py")}

    assert files(package) == files(ROOT / "avatar")


@pytest.fixture
def studio(installed: Path, tmp_path: Path) -> Iterator[Program]:
    pytest.importorskip("uvicorn", reason="serves the studio")
    home = {"HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path), "PYTHONUNBUFFERED": "1"}
    running = Program(
        subprocess.Popen(
            [installed / "avatar", "studio", "--port", "0", "--camera", "demo"],
            cwd=tmp_path, env=outside(**home), text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )
    )  # fmt: skip
    try:
        running.wait_for_addresses()
        yield running
    finally:
        running.close()


@pytest.mark.slow
def test_the_studios_page_comes_from_the_wheel_with_all_its_scripts(studio: Program) -> None:
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
    origin = "/".join(studio.address.split("/")[:3])

    def read(address: str) -> str:
        with browser.open(address, timeout=20) as answer:
            assert answer.status == 200
            return str(answer.read().decode())

    wanted = re.findall(r"""/static/[\w.]+\.(?:json|js|css|svg|html)""", read(studio.address))
    assert {"/static/studio.js", "/static/studio.css"} <= set(wanted)
    seen: set[str] = set()
    while wanted:
        path = wanted.pop()
        if path not in seen:
            seen.add(path)
            wanted += re.findall(r"/static/[\w.]+\.(?:json|js|css|svg|html)", read(origin + path))
    assert len(seen) > 15
    studio.end()
