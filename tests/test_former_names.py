"""What was documented under a former name goes on for this version, and says what it is called."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest

from tests import ROOT

FORMER = [
    ("avatar.config", "LiveConfig", "avatar.core.options", "Options"),
    ("avatar.config", "NeuralOptions", "avatar.core.options", "Options"),
    ("avatar.errors", "UsageError", "avatar.core.errors", "UsageError"),
    ("avatar.frames", "CameraFrame", "avatar.core.frames", "CameraFrame"),
    ("avatar.label", "create_labeller", "avatar.stages.label", "create_labeller"),
    ("avatar.person", "Person", "avatar.core.person", "Person"),
    ("avatar.commands.calibrate", "Lesson", "avatar.app.calibrate", "Lesson"),
    ("avatar.commands.calibrate", "Learnt", "avatar.app.calibrate", "CalibrationResult"),
    ("avatar.commands.calibrate.learn", "learn", "avatar.learn.person.learn", "learn"),
    ("avatar.commands.profiles", "ProfileStore", "avatar.library.profiles", "ProfileStore"),
    ("avatar.cli", "main", "avatar.app.cli", "main"),
]


@pytest.mark.parametrize(("module", "name", "where", "now"), FORMER)
def test_a_former_name_works_and_warns(module: str, name: str, where: str, now: str) -> None:
    with pytest.warns(DeprecationWarning, match=f"{module}.{name} is {where}.{now} now"):
        found = getattr(import_module(module), name)
    assert found is getattr(import_module(where), now)


def test_what_was_never_there_is_not_there() -> None:
    with pytest.raises(AttributeError, match=r"'avatar\.errors' has no attribute 'Oops'"):
        import_module("avatar.errors").Oops  # noqa: B018


@pytest.mark.parametrize("module", ["avatar", "avatar.cli"])
def test_the_command_line_is_a_module_too(module: str) -> None:
    """Autostart files of earlier versions start it as ``avatar.cli``."""
    done = subprocess.run(
        [sys.executable, "-m", module, "--version"], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0 and done.stdout.startswith("avatar ")
    assert ("`python -m avatar` now" in done.stderr) == (module == "avatar.cli")


def test_modules_of_earlier_versions_are_there_once_the_package_is() -> None:
    code = "import avatar; print(avatar.errors.__name__, avatar.frames.__name__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.split() == ["avatar.errors", "avatar.frames"], done.stderr
