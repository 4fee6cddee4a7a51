"""A store of its own, a Hub on this machine, and small checkpoints."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from avatar.library.models.catalog import Entry, Licence, PublishedFile
from tests.library.models.hub import REPOSITORY, REVISION, Hub, serving

SHOULDER = "liveportrait/stitching_retargeting_module/stitching"
LIP = "liveportrait/stitching_retargeting_module/lip"
EYE = "liveportrait/stitching_retargeting_module/eye"
FEATURES = "liveportrait/appearance_feature_extractor"
RETARGETING_FILE = "stitching_retargeting_module.pth"
FEATURES_FILE = "appearance_feature_extractor.pth"


@pytest.fixture(autouse=True)
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of all models, which does not exist yet."""
    root = tmp_path / "models"
    monkeypatch.setenv("AVATAR_MODELS", str(root))
    return root


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    pytest.importorskip("huggingface_hub", reason="models are fetched with huggingface-hub")
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "HF_HUB_OFFLINE", "HF_TOKEN"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    with serving() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.address)
        yield hub


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two small published files, of seeded weights."""
    torch = pytest.importorskip("torch", reason="checkpoints are written and read by PyTorch")
    from engines.networks.seeded import seeded

    def state(name: str) -> dict[str, Any]:
        return dict(seeded(name).state_dict())

    def prefixed(name: str) -> dict[str, Any]:
        return {f"module.{key}": value for key, value in state(name).items()}

    folder = tmp_path_factory.mktemp("published")
    torch.save(
        {
            "retarget_shoulder": prefixed(SHOULDER),
            "retarget_mouth": prefixed(LIP),
            "retarget_eye": prefixed(EYE),
        },
        folder / RETARGETING_FILE,
    )
    torch.save(state(FEATURES), folder / FEATURES_FILE)
    return folder


def entry(*files: PublishedFile) -> Entry:
    """A set of two small files, as the catalogue has large ones."""
    return Entry(
        "liveportrait",
        "",
        "a small set",
        Licence("Test-1.0", "for tests", "https://licence.invalid"),
        (FEATURES, SHOULDER, LIP, EYE),
        REPOSITORY,
        REVISION,
        files,
    )
