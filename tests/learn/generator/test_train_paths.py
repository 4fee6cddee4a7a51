"""A path that is none is said first, whatever else is not here."""

from __future__ import annotations

from pathlib import Path

import pytest

from avatar.core.errors import UsageError
from avatar.core.home import Home
from avatar.learn.generator import base, command
from avatar.learn.generator.request import TrainRequest


@pytest.fixture(autouse=True)
def nothing_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise AssertionError("the paths come first")

    monkeypatch.setattr(command, "ready_libraries", missing)
    monkeypatch.setattr(base, "ready_libraries", missing)


def test_a_clip_that_is_not_there(tmp_path: Path, home: Home) -> None:
    request = TrainRequest(name="me", inputs=(tmp_path / "absent.mp4",), rights="self")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"expected a file, found none at .*absent\.mp4"):
        command.train(request, home)


def test_a_folder_of_clips_that_is_not_there(tmp_path: Path, home: Home) -> None:
    request = TrainRequest(name="me", rights="self")
    with pytest.raises(UsageError, match="found none"):
        base.train_base(request, tmp_path / "absent", tmp_path / "base.safetensors", home)
