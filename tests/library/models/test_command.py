"""What the user sees of installed models: the list, the check, and their end."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from avatar.app import models as command
from avatar.core.errors import UsageError
from avatar.library.models import store
from tests import ROOT
from tests.library.models.conftest import FEATURES_FILE, RETARGETING_FILE


@pytest.fixture
def folder(checkpoints: Path, models: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """The folder of people's LivePortrait, with two of its files."""
    command.import_files([checkpoints], root=models, accept_licence=True)
    capsys.readouterr()
    return models / "liveportrait"


def cells(table: str) -> list[list[str]]:
    rows = [line for line in table.splitlines() if line.startswith("│")]
    return [[cell.strip() for cell in row.strip("│").split("│")] for row in rows]


def test_the_list_says_what_can_be_had(
    capsys: pytest.CaptureFixture[str], models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    assert command.list_models(models) == 0
    told = capsys.readouterr()
    assert cells(told.out) == [
        ["liveportrait", "people", "MIT", "no; 522 MB to fetch", "-", "-"],
        ["liveportrait", "animals", "MIT", "no", "-", "-"],
        ["fomm", "people", "non-commercial", "no; import it", "-", "-"],
    ]
    assert str(models) in told.err
    assert not models.exists()


def test_the_list_says_what_is_here(
    capsys: pytest.CaptureFixture[str], folder: Path, monkeypatch: pytest.MonkeyPatch, models: Path
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    build = store.build_folder(models / "liveportrait") / "some.onnx"
    build.parent.mkdir(parents=True)
    build.write_bytes(bytes(3_000_000))
    command.list_models(models)
    assert cells(capsys.readouterr().out)[0] == [
        "liveportrait", "people", "MIT", "3 networks missing", "4 MB", "3 MB",
    ]  # fmt: skip
    (folder / store.RECORD).write_text("{}")
    assert command.list_models(models) == 0
    told = capsys.readouterr()
    assert cells(told.out)[0][3] == "not readable"
    assert "is broken" in told.err


def test_verify_finds_what_changed(
    folder: Path, capsys: pytest.CaptureFixture[str], models: Path
) -> None:
    command.verify(models)
    assert re.findall(r"good .*/(\S+): ", capsys.readouterr().err) == [
        FEATURES_FILE,
        RETARGETING_FILE,
    ]
    path = folder / FEATURES_FILE
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert command.verify(models) == 1
    told = capsys.readouterr().err
    assert re.search(rf"BAD .*{FEATURES_FILE}: was changed: expected SHA-256", told)
    assert re.search(rf"good .*{RETARGETING_FILE}", told)
    path.unlink()
    assert command.verify(models) == 1
    assert "cannot be read: No such file" in capsys.readouterr().err


def test_verify_looks_at_the_contents(
    folder: Path, capsys: pytest.CaptureFixture[str], models: Path
) -> None:
    record = store.read_record(folder)
    assert record is not None
    record.files[0].networks = ["liveportrait/motion_extractor"]
    (folder / store.RECORD).write_text(record.model_dump_json())
    assert command.verify(models) == 1
    assert "expected liveportrait/motion_extractor" in capsys.readouterr().err


def test_nothing_to_verify(capsys: pytest.CaptureFixture[str], models: Path) -> None:
    assert command.verify(models) == 0
    assert "nothing is installed" in capsys.readouterr().err


@pytest.mark.parametrize("answer", ["", "no", "y"])
def test_only_a_yes_removes(folder: Path, answer: str, models: Path) -> None:
    with pytest.raises(UsageError, match="was kept: not confirmed"):
        command.remove("liveportrait", root=models, ask=lambda _question: answer)
    assert (folder / FEATURES_FILE).exists()


@pytest.mark.parametrize("broken", [False, True])
def test_remove_takes_builds_along(folder: Path, models: Path, broken: bool) -> None:
    build = store.build_folder(models / "liveportrait")
    build.mkdir(parents=True)
    if broken:
        (folder / store.RECORD).unlink()
    assert command.remove("liveportrait", root=models, yes=True) == 0
    assert not folder.exists()
    assert not build.exists()
    assert {path.name for path in models.iterdir()} == {".lock", "builds"}
    with pytest.raises(UsageError, match="is not installed"):
        command.remove("liveportrait", root=models, yes=True)


def test_who_cannot_be_asked_is_told_the_option(checkpoints: Path, models: Path) -> None:
    arguments = ["models", "import", str(checkpoints / RETARGETING_FILE)]
    result = subprocess.run(
        [sys.executable, "-m", "avatar", *arguments],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        cwd=ROOT,
    )
    assert result.returncode == 2
    assert "licence MIT" in result.stderr
    assert "--accept-licence" in result.stderr.splitlines()[-1]
    assert "Traceback" not in result.stderr
    assert not (models / "liveportrait").exists()
