"""Files that the user has: known by their keys, never executed, never outside their place."""

from __future__ import annotations

import io
import os
import pickle
import shutil
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest

from avatar.app import models as command
from avatar.core.errors import EngineError, UsageError
from avatar.core.home import Home
from avatar.library.models import importing, store
from tests.library.models.conftest import (
    EYE,
    FEATURES,
    FEATURES_FILE,
    LIP,
    RETARGETING_FILE,
    SHOULDER,
)

torch = pytest.importorskip("torch", reason="checkpoints are read by PyTorch")

ALL = {FEATURES, SHOULDER, LIP, EYE}


def install(*paths: Path, variant: str | None = None) -> int:
    return command.import_files(paths, variant, root=Home.of_user().models, accept_licence=True)


def installed(models: Path, slug: str = "liveportrait") -> dict[str, str]:
    """The networks that are installed, and the name of each one's file."""
    states = store.installed_states(models / slug)
    return {name: path.name for name, path in states.items()}


def zipped(folder: Path, path: Path, prefix: str = "") -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.iterdir()):
            archive.write(file, f"{prefix}{file.name}")
    return path


def tarred(folder: Path, path: Path, prefix: str = "") -> Path:
    with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w") as archive:
        for file in sorted(folder.iterdir()):
            archive.add(file, f"{prefix}{file.name}")
    return path


def test_files_are_known_by_what_is_in_them(
    models: Path, checkpoints: Path, tmp_path: Path
) -> None:
    misnamed = tmp_path / "Downloaded (1).pth"
    shutil.copy(checkpoints / FEATURES_FILE, misnamed)
    assert install(misnamed, checkpoints / RETARGETING_FILE) == 0
    assert installed(models) == {
        FEATURES: "Downloaded__1_.pth",
        SHOULDER: RETARGETING_FILE,
        LIP: RETARGETING_FILE,
        EYE: RETARGETING_FILE,
    }
    assert misnamed.exists(), "the user's own file stays"


def test_an_incomplete_set_says_what_it_lacks(
    models: Path, checkpoints: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    install(checkpoints / FEATURES_FILE)
    assert "still lacks liveportrait/motion_extractor" in capsys.readouterr().err
    with pytest.raises(EngineError, match="are incomplete: liveportrait/motion_extractor"):
        store.model_folder(models, "liveportrait")
    install(checkpoints / RETARGETING_FILE)
    assert set(installed(models)) == ALL


@pytest.mark.parametrize("packed", ["folder", "set.zip", "set.tar", "set.tar.gz"])
def test_folders_and_archives(models: Path, checkpoints: Path, tmp_path: Path, packed: str) -> None:
    folder = tmp_path / "set" / "deep"
    shutil.copytree(checkpoints, folder)
    (folder / "readme.txt").write_text("not a checkpoint")
    (folder / "other.pth").write_bytes(b"not a checkpoint either")
    path = folder.parent
    if packed.endswith(".zip"):
        path = zipped(folder, tmp_path / packed, "pretrained/")
    elif packed != "folder":
        path = tarred(folder, tmp_path / packed, "pretrained/")
    install(path)
    assert set(installed(models)) == ALL


@pytest.mark.parametrize("prefix", ["../../", "/tmp/", "..\\..\\", "a/../../../"])
@pytest.mark.parametrize("packed", ["set.zip", "set.tar"])
def test_names_in_archives_lead_nowhere(
    models: Path, checkpoints: Path, tmp_path: Path, packed: str, prefix: str
) -> None:
    pack = zipped if packed.endswith(".zip") else tarred
    around = set(tmp_path.iterdir())
    path = pack(checkpoints, tmp_path / packed, prefix)
    install(path)
    assert set(installed(models)) == ALL
    assert set(tmp_path.iterdir()) - around == {path, models}
    assert sorted(p.name for p in models.iterdir()) == [".lock", "liveportrait"]


def test_links_in_archives_are_not_followed(
    models: Path, checkpoints: Path, tmp_path: Path
) -> None:
    path = tmp_path / "set.tar"
    with tarfile.open(path, "w") as archive:
        link = tarfile.TarInfo("weights.pth")
        link.type, link.linkname = tarfile.SYMTYPE, str(checkpoints / FEATURES_FILE)
        archive.addfile(link)
    with pytest.raises(UsageError, match="holds no checkpoint of a known network"):
        install(path)


class Harmful:
    """What runs when it is unpickled by a careless reader."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.path,))


@pytest.mark.parametrize("packed", [False, True])
def test_code_is_refused_and_not_run(models: Path, tmp_path: Path, packed: bool) -> None:
    ran, path = tmp_path / "ran", tmp_path / "in" / "warping_module.pth"
    path.parent.mkdir()
    path.write_bytes(pickle.dumps({"weight": Harmful(ran)}))
    expected: type[Exception] = UsageError if packed else EngineError
    with pytest.raises(expected, match=r"holds no checkpoint" if packed else "could run code"):
        install(zipped(path.parent, tmp_path / "set.zip") if packed else path)
    assert not ran.exists()
    assert not (models / "liveportrait").exists()


def test_a_truncated_file_is_refused(models: Path, checkpoints: Path, tmp_path: Path) -> None:
    path = tmp_path / FEATURES_FILE
    path.write_bytes((checkpoints / FEATURES_FILE).read_bytes()[:-100_000])
    with pytest.raises(EngineError, match="cannot be read as a checkpoint"):
        install(path)
    assert not (models / "liveportrait").exists()


def test_surplus_and_missing_keys_are_named(checkpoints: Path, tmp_path: Path) -> None:
    state = torch.load(checkpoints / FEATURES_FILE, weights_only=True)
    gone = next(iter(state))
    del state[gone]
    path = tmp_path / "features.pth"
    torch.save({**state, "surplus.weight": torch.zeros(1)}, path)
    with pytest.raises(EngineError, match=f"missing: {gone}; not expected: surplus.weight"):
        install(path)


def test_unknown_contents_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.pth"
    torch.save({"weight": torch.zeros(3)}, path)
    with pytest.raises(EngineError, match="none of the known networks"):
        install(path)


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="found nothing at"):
        install(tmp_path / "missing.pth")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="holds no checkpoint"):
        install(tmp_path / "empty")


def test_a_damaged_archive_is_told(checkpoints: Path, tmp_path: Path) -> None:
    path = zipped(checkpoints, tmp_path / "set.zip")
    content = bytearray(path.read_bytes())
    content[5000:6000] = os.urandom(1000)
    path.write_bytes(content)
    with pytest.raises(UsageError, match="cannot be read as an archive"):
        install(path)


def test_a_cut_archive_is_told(checkpoints: Path, tmp_path: Path) -> None:
    path = tarred(checkpoints, tmp_path / "set.tar.gz")
    path.write_bytes(path.read_bytes()[:200_000])
    with pytest.raises(UsageError, match="cannot be read as an archive"):
        install(path)


def test_a_bomb_is_bounded_by_what_it_really_holds(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "MAX_FILE_BYTES", 1_000_000)
    monkeypatch.setattr(importing, "MAX_TOTAL_BYTES", 3_000_000)
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for i in range(20):
            archive.writestr(f"{i}.pth", bytes(10_000_000))
    with pytest.raises(UsageError, match=r"holds no checkpoint|GB were read"):
        install(path)
    assert not any(file.stat().st_size for file in models.rglob("*") if file.is_file())


def test_very_many_entries_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "MAX_MEMBERS", 10)
    path = tmp_path / "many.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for i in range(11):
            archive.writestr(f"{i}.txt", "")
    with pytest.raises(UsageError, match="more than 10 entries"):
        install(path)


def other_weights(path: Path, seed: int = 5) -> None:
    from engines.networks.seeded import seeded

    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(seeded(FEATURES, seed).state_dict(), path)


def test_which_of_two_sets_has_to_be_said(models: Path, checkpoints: Path, tmp_path: Path) -> None:
    folder = tmp_path / "weights"
    shutil.copytree(checkpoints, folder / "liveportrait")
    other_weights(folder / "liveportrait_animals" / FEATURES_FILE)
    with pytest.raises(UsageError, match=r"holds animals' weights, beside people's.*--variant"):
        install(folder)
    assert not (models / "liveportrait").exists()
    install(folder, variant="people")
    install(folder, variant="animals")
    people, animals = models / "liveportrait", models / "liveportrait-animals"
    assert (people / FEATURES_FILE).read_bytes() != (animals / FEATURES_FILE).read_bytes()
    # Stitching is the people's: the animals have none of their own.
    assert set(installed(models)) == set(installed(models, "liveportrait-animals")) == ALL


def test_a_folder_of_ones_own_may_be_called_anything(
    models: Path, checkpoints: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "Animal Farm"
    shutil.copytree(checkpoints, folder)
    with pytest.raises(UsageError, match="by its contents it could be either"):
        install(folder)
    install(folder, variant="people")
    assert set(installed(models)) == ALL


def test_fomm_has_no_animals(tmp_path: Path) -> None:
    from engines.networks import create

    path = tmp_path / "vox-adv-cpk.pth.tar"
    torch.save({"kp_detector": create("fomm/kp_detector").state_dict()}, path)
    with pytest.raises(UsageError, match="fomm has no variant 'animals'"):
        install(path, variant="animals")
    install(path)


def test_two_sets_at_once_are_ambiguous(checkpoints: Path, tmp_path: Path) -> None:
    other_weights(tmp_path / "newer.pth")
    with pytest.raises(UsageError, match="both hold liveportrait/appearance_feature_extractor"):
        install(checkpoints / FEATURES_FILE, tmp_path / "newer.pth")


def test_newer_weights_take_the_place_of_older(
    models: Path, checkpoints: Path, tmp_path: Path
) -> None:
    install(checkpoints)
    other_weights(tmp_path / FEATURES_FILE)
    install(tmp_path / FEATURES_FILE)
    path = store.installed_states(models / "liveportrait")[FEATURES]
    assert path.read_bytes() == (tmp_path / FEATURES_FILE).read_bytes()
    assert set(installed(models)) == ALL
    named = {path.name for path in store.installed_states(models / "liveportrait").values()}
    assert {p.name for p in (models / "liveportrait").iterdir()} == {"model.json", *named}


def test_the_same_name_in_two_folders(models: Path, checkpoints: Path, tmp_path: Path) -> None:
    for name in (FEATURES_FILE, RETARGETING_FILE):
        (tmp_path / name[:5]).mkdir()
        shutil.copy(checkpoints / name, tmp_path / name[:5] / "model.pth")
    install(tmp_path / FEATURES_FILE[:5], tmp_path / RETARGETING_FILE[:5])
    assert set(installed(models)) == ALL
    assert len(set(installed(models).values())) == 2


def test_an_unknown_variant(checkpoints: Path) -> None:
    with pytest.raises(UsageError, match="expected --variant people or animals, found 'cats'"):
        install(checkpoints, variant="cats")


def test_safetensors(models: Path, checkpoints: Path, tmp_path: Path) -> None:
    safetensors = pytest.importorskip("safetensors.torch", reason="reads .safetensors files")
    state = torch.load(checkpoints / FEATURES_FILE, weights_only=True)
    safetensors.save_file(state, tmp_path / "features.safetensors")
    install(tmp_path / "features.safetensors")
    assert installed(models) == {FEATURES: "features.safetensors"}


def test_copies_are_checked_not_originals(tmp_path: Path) -> None:
    from avatar.library.models.checking import copy_hashed

    with pytest.raises(EngineError, match="larger than expected"):
        copy_hashed(io.BytesIO(bytes(11)), tmp_path / "copy.pth", 10)
