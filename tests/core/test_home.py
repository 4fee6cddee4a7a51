"""Every path of the user's comes from one object: the folders of before, or all below one."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import platformdirs
import pytest

from avatar.core.home import Home
from tests import ROOT

PRODUCT = ROOT / "avatar"
PROPERTIES = [name for name, value in vars(Home).items() if isinstance(value, property)]


def paths(home: Home) -> dict[str, Path]:
    names = [field.name for field in dataclasses.fields(Home)] + PROPERTIES
    found = {name: getattr(home, name) for name in names}
    return {name: path for name, path in found.items() if path is not None}


def test_the_users_folders_are_where_they_always_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for kind in ("data", "cache", "config"):
        monkeypatch.setenv(f"XDG_{kind.upper()}_HOME", str(tmp_path / kind))
    home = Home.of_user({})
    data = platformdirs.user_data_path("webcam-avatar")
    cache = platformdirs.user_cache_path("webcam-avatar")
    log = platformdirs.user_data_path("webcam-avatar", appauthor=False) / "disclosure.log"
    assert paths(home) == {
        "data": data,
        "cache": cache,
        "config": platformdirs.user_config_path(),
        "films": platformdirs.user_videos_path() / "webcam-avatar",
        "models": data / "models",
        "disclosure_log": log,
        "avatars": data / "avatars",
        "profiles": data / "profiles",
        "studio": data / "studio",
        "recordings": data / "recordings",
        "face_model": data / "models" / "face_landmarker.task",
        "faces": cache / "faces",
        "mattes": cache / "mattes",
        "features": cache / "features",
    }


def test_two_variables_name_a_folder_of_models_and_a_face_model() -> None:
    named = {"AVATAR_MODELS": "~/networks", "AVATAR_FACE_MODEL": "face.task"}
    home = Home.of_user(named)
    assert home.models == Path("~/networks").expanduser()
    assert home.named_face_model == Path("face.task")
    empty = Home.of_user(dict.fromkeys(named, ""))
    assert empty.models == empty.data / "models"
    assert empty.named_face_model is None


def test_under_a_folder_lies_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AVATAR_MODELS", "AVATAR_FACE_MODEL", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, "/elsewhere")
    home = Home.under(tmp_path)
    assert all(path.is_relative_to(tmp_path) for path in paths(home).values())
    assert home.named_face_model is None
    assert list(tmp_path.iterdir()) == [], "a home makes nothing"


def mentioning(pattern: str) -> set[str]:
    return {
        path.relative_to(PRODUCT).as_posix()
        for path in PRODUCT.rglob("*.py")
        if re.search(pattern, path.read_text(encoding="utf-8"))
    }


def test_nothing_else_in_the_product_asks_where_the_user_keeps_things() -> None:
    assert mentioning(r"platformdirs|XDG_(DATA|CACHE|CONFIG|VIDEOS)_HOME") == {"core/home.py"}
    # Installed fonts and programs, and what a path is called in a text: none is the user's data.
    places_of_the_system = {"stages/label/fonts.py", "stages/sinks/devices.py"}
    names_in_texts = {"measure/doctor_gpu.py", "app/studio/outputs.py"}
    assert mentioning(r"Path\.home\(\)") == places_of_the_system | names_in_texts


def test_only_entries_resolve_the_users_home() -> None:
    """The command line and the documented entries for programs; what is below is handed one."""
    entries = {
        "learn/person/learn.py",
        "library/profiles.py",
        "measure/clips.py",
        "measure/drawing.py",
        "measure/on_a_card.py",
        "measure/outline/__main__.py",
        "measure/swap.py",
        "measure/tracker.py",
        "measure/trained/speed.py",
        "sessions/driver.py",
        "sessions/live.py",
        "sessions/sharing.py",
    }
    found = mentioning(r"Home\.of_user\(")
    assert {path for path in found if not path.startswith("app/cli/")} == entries
