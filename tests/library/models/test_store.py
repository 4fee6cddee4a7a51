"""What is installed is what the record says; everything else is told, with the remedy."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from avatar.core.errors import EngineError, UsageError
from avatar.library.models import store
from avatar.library.models.catalog import ENTRIES, find
from engines.networks import NAMES
from tests.library.models.conftest import FEATURES, RETARGETING_FILE


@pytest.fixture
def folder(checkpoints: Path, models: Path) -> Path:
    """The folder of people's LivePortrait, with two of its files."""
    from avatar.app.models import import_files

    import_files([checkpoints], root=models, accept_licence=True)
    return models / "liveportrait"


def test_the_catalogue_names_networks_that_exist() -> None:
    for entry in ENTRIES:
        assert set(entry.networks) == {n for n in NAMES if n.startswith(f"{entry.family}/")}
        assert bool(entry.files) == bool(entry.repository) == bool(entry.revision)
        assert bool(entry.files) != bool(entry.by_hand)
        for file in entry.files:
            assert bool(file.sha256) == bool(file.size_bytes)
    assert len({entry.slug for entry in ENTRIES}) == len(ENTRIES)


@pytest.mark.parametrize(
    ("family", "variant", "remedy"),
    [
        ("liveportrait", "", r"avatar models pull liveportrait\. .* avatar models import FILE$"),
        ("liveportrait", "animals", r"pull liveportrait --variant animals.*--variant animals$"),
        ("fomm", "", r"avatar models import FILE\. Where to get it: avatar models pull fomm$"),
    ],
)
def test_what_is_absent_says_how_to_get_it(
    family: str, variant: str, remedy: str, models: Path
) -> None:
    with pytest.raises(EngineError, match=rf"are not installed .*{remedy}"):
        store.model_folder(models, family, variant)


def test_unknown_names_are_answered_with_the_known(models: Path) -> None:
    with pytest.raises(UsageError, match=r"found `livportrait`. Known are: `liveportrait`, "):
        store.model_folder(models, "livportrait")
    with pytest.raises(UsageError, match=r"found `fomm --variant animals`"):
        find("fomm", "animals")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("not json", "is broken: not valid JSON"),
        ({"files": 3}, "is broken: files"),
        ({"files": [{"name": "../../etc/passwd"}]}, r"is broken: files\.0\.name"),
        ({"schema_version": 2}, "was written by a newer program"),
        ({"family": None}, "is broken: family"),
    ],
)
def test_a_record_that_cannot_be_used(folder: Path, change: object, message: str) -> None:
    path = folder / store.RECORD
    values = json.loads(path.read_text())
    path.write_text(json.dumps(values | change) if isinstance(change, dict) else str(change))
    with pytest.raises(EngineError, match=message):
        store.installed_states(folder)


def test_a_file_that_is_gone_or_cut_is_told(folder: Path, models: Path) -> None:
    path = store.installed_states(folder)[FEATURES]
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(EngineError, match=r"has \d+ bytes, expected \d+ bytes.*models pull"):
        store.installed_states(folder)
    path.unlink()
    with pytest.raises(EngineError, match=r"is gone, expected .*models pull liveportrait"):
        store.installed_states(folder)


def test_a_file_that_the_record_does_not_name_is_not_used(folder: Path) -> None:
    (folder / "motion_extractor.pth").write_bytes(b"half of it")
    assert "liveportrait/motion_extractor" not in store.installed_states(folder)


def test_what_killed_commands_left_is_swept(models: Path) -> None:
    for name, age_s in (
        (".adding-old", 2 * 86400),
        (".removing-old", 2 * 86400),
        (".adding-now", 0),
    ):
        (models / name).mkdir(parents=True)
        (models / name / "part.pth").write_bytes(b"half")
        then = time.time() - age_s
        os.utime(models / name, (then, then))
    with store.staging(models) as staging:
        assert {path.name for path in models.iterdir()} == {".adding-now", staging.name}


def test_a_disk_that_refuses_is_told(checkpoints: Path, tmp_path: Path) -> None:
    from avatar.app.models import import_files

    (tmp_path / "file").write_text("")
    root = tmp_path / "file" / "models"
    with pytest.raises(UsageError, match=r"cannot be stored in .*AVATAR_MODELS"):
        import_files([checkpoints / RETARGETING_FILE], root=root, accept_licence=True)
