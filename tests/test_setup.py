"""scripts/setup names what is missing and the line that installs it, and is quiet otherwise.

A stand-in for Python answers as told; what the real one does is proven by every run of CI.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests import ROOT

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="the scripts are for bash")

STAND_IN = """#!/bin/sh
echo "$*" >>"$CALLS"
case "$*" in
    *base_prefix*) echo "${BASE_PREFIX:-/usr}" ;;
    *version_info*) echo "${VERSION:-3.12}" ;;
    *ensurepip*) exit "${NO_ENSUREPIP:-0}" ;;
    "-m venv"*) rm -rf .venv && mkdir -p .venv/bin && cp "$0" .venv/bin/python ;;
    "-m avatar.core.libraries"*) [ -z "$MISSING" ] || { echo "$MISSING"; exit 1; } ;;
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
        ({"VERSION": "3.10"}, "expected PYTHON to name Python 3.11 to 3.14, found"),
        ({"VERSION": "3.15"}, "(Python 3.15). Name one of those"),
        ({"PYTHON": "/bin/false"}, "found PYTHON=/bin/false. Name one of those"),
        ({"NO_ENSUREPIP": "1"}, "apt-get install -y python3.12-venv\n"),
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


TOOLS = (
    "cat",
    "dirname",
    "env",
    "grep",
    "id",
    "mkdir",
    "rm",
    "cp",
    "sed",
    "sh",
    "sort",
    "bash",
    "paste",
    "sha256sum",
)


@pytest.fixture
def system(checkout: Path) -> Path:
    """A folder of programs that is all of PATH: the tools of scripts/setup and what tests add."""
    folder = checkout / "bin"
    folder.mkdir()
    for tool in TOOLS:
        (folder / tool).symlink_to(shutil.which(tool) or pytest.fail(f"there is no {tool}"))
    program(folder, "uname", 'case "$1" in -s) echo Linux ;; *) echo "${MACHINE:-x86_64}" ;; esac')
    return folder


def program(folder: Path, name: str, does: str = "exit 1") -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{does}\n")
    path.chmod(0o755)


def python(folder: Path, name: str, version: str) -> None:
    program(folder, name, STAND_IN.replace(":-3.12", f":-{version}").removeprefix("#!/bin/sh\n"))


def apt(folder: Path, **candidates: str) -> None:
    """An apt that knows these packages, with its versions."""
    known = "".join(f"*' {n}') echo '  Candidate: {v}' ;; " for n, v in candidates.items())
    program(folder, "apt-get")
    program(folder, "apt-cache", f'case " $*" in {known} *) echo "  Candidate: (none)" ;; esac')


def refused(checkout: Path, system: Path, **environment: str) -> str:
    found = setup(checkout, PATH=str(system), PYTHON="", **environment)
    assert found.returncode == 1
    assert installed(checkout) == []
    assert not (checkout / ".venv").exists()
    return found.stderr


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13", "3.14"])
def test_every_supported_python_is_found(version: str, checkout: Path, system: Path) -> None:
    python(system, "python3", version)
    found = setup(checkout, PATH=str(system), PYTHON="")
    assert f"making .venv with Python {version}" in found.stdout, found.stderr


def test_a_supported_python_beside_a_refused_one_is_found(checkout: Path, system: Path) -> None:
    python(system, "python3", "3.15")
    python(system, "python3.13", "3.13")
    assert "making .venv with Python 3.13" in setup(checkout, PATH=str(system), PYTHON="").stdout


@pytest.mark.parametrize("version", ["3.10", "3.15"])
def test_what_the_system_would_only_bring_again_is_not_advised(
    version: str, checkout: Path, system: Path
) -> None:
    python(system, "python3", version)
    apt(system, python3=f"{version}.4-1")
    says = refused(checkout, system)
    assert f"expected Python 3.11 to 3.14, found Python {version}.0." in says
    assert "apt-get" not in says
    assert "https://docs.astral.sh/uv" in says
    assert '\n    PYTHON="$(uv python find 3.13)" scripts/setup\n' in says


@pytest.mark.parametrize(
    ("candidates", "package"),
    [
        ({"python3": "3.12.3-0ubuntu2"}, "python3"),
        ({"python3": "3.10.6-1", "python3.12": "3.12.4-1+jammy1"}, "python3.12"),
        ({"python3": "3.15.0-1", "python3.14": "3.14.8-2", "python3.10": "3.10.1"}, "python3.14"),
    ],
)
def test_a_package_that_brings_a_supported_python_is_advised_with_its_place(
    candidates: dict[str, str], package: str, checkout: Path, system: Path
) -> None:
    """The refused interpreter stays first on PATH, so the next line names the new one."""
    python(system, "python3", "3.9")
    apt(system, **candidates)
    says = refused(checkout, system)
    assert f"apt-get install -y {package} {package}-venv\n" in says
    assert f"\n    PYTHON=/usr/bin/{package} scripts/setup\n" in says


@pytest.mark.parametrize(
    ("tool", "line", "then"),
    [
        ("uv", "uv python install 3.13", 'PYTHON="$(uv python find 3.13)"'),
        ("pyenv", "pyenv install --skip-existing 3.13", 'PYTHON="$(pyenv prefix 3.13)/bin/python"'),
        ("add-apt-repository", "add-apt-repository -y ppa:deadsnakes/ppa", "/usr/bin/python3.13"),
        ("dnf", "dnf install -y python3.13", "PYTHON=/usr/bin/python3.13"),
        ("brew", "brew install python@3.13", "PYTHON=python3.13"),
    ],
)
def test_the_tool_that_brings_another_python_is_named_where_it_is(
    tool: str, line: str, then: str, checkout: Path, system: Path
) -> None:
    python(system, "python3", "3.10")
    apt(system, python3="3.10.12-1")
    program(system, tool)
    release = checkout / "os-release"
    release.write_text("NAME=Ubuntu\nID=ubuntu\n")
    says = refused(checkout, system, OS_RELEASE=str(release))
    assert f"{line}\n" in says
    assert f"{then} scripts/setup\n" in says
    assert "astral.sh" not in says


def test_deadsnakes_is_for_ubuntu_only(checkout: Path, system: Path) -> None:
    program(system, "add-apt-repository")
    release = checkout / "os-release"
    release.write_text("ID=debian\n")
    says = refused(checkout, system, OS_RELEASE=str(release))
    assert "found no python3. To have one beside it:\n" in says
    assert "ppa:" not in says
    assert "https://docs.astral.sh/uv" in says


def test_a_python_that_was_built_without_ensurepip_is_not_mended_by_a_package(
    checkout: Path, system: Path
) -> None:
    python(system, "python3", "3.12")
    apt(system, python3="3.10.12-1")
    program(system, "pyenv")
    says = refused(checkout, system, NO_ENSUREPIP="1", BASE_PREFIX="/opt/python")
    assert "python3.12-venv" not in says
    assert "pyenv install" in says


@pytest.mark.parametrize("machine", ["armv7l", "riscv64"])
def test_a_processor_without_wheels_is_told_before_anything_is_downloaded(
    machine: str, checkout: Path, system: Path
) -> None:
    python(system, "python3", "3.12")
    says = refused(checkout, system, MACHINE=machine)
    assert f"expected Linux on an x86-64 or ARM64 processor, found {machine}: OpenCV" in says
    assert (checkout / "calls").read_text() == "", "not even Python is looked for"


@pytest.mark.parametrize("script", ["setup", "demo", "check", "test", "../.ci/run"])
def test_scripts_can_be_run(script: str) -> None:
    path = ROOT / "scripts" / script
    assert os.access(path, os.X_OK)
    subprocess.run(["bash", "-n", str(path)], check=True)


@pytest.mark.parametrize("wrong", ["studoi", "--studio", "dev,studio", ".*"])
def test_an_extra_that_does_not_exist_is_refused_before_anything_is_made(
    checkout: Path, wrong: str
) -> None:
    done = setup(checkout, "dev", wrong)
    assert done.returncode == 1
    assert f"found '{wrong}'" in done.stderr
    assert " studio " in done.stderr
    assert not (checkout / ".venv").exists()


@pytest.mark.parametrize("script", ["setup", "test"])
@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_installs_nothing(checkout: Path, script: str, flag: str) -> None:
    shutil.copy(ROOT / "scripts" / "test", checkout / "scripts" / "test")
    done = subprocess.run(
        [str(checkout / "scripts" / script), flag], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert f"scripts/{script}" in done.stdout
    assert not (checkout / ".venv").exists()


def test_the_extras_that_exist_are_those_of_the_project(checkout: Path) -> None:
    import tomllib

    declared = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    said = setup(checkout, "--help").stdout
    assert said.splitlines()[-1].split()[1:] == list(declared["optional-dependencies"])
