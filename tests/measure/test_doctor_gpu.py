"""``avatar doctor --gpu``: what it says without a card, and that its report is anonymous."""

from __future__ import annotations

import getpass
import platform
from dataclasses import replace
from pathlib import Path

import pytest

from avatar.core.errors import AvatarError, UsageError
from avatar.library.models.builds import choose_target
from avatar.measure import doctor_gpu as module
from avatar.measure.doctor_gpu import Weights, anonymous, describe, doctor_gpu, examine
from engines.networks import FAMILIES
from engines.nvidia import find_gpu

PARTS = tuple(f"liveportrait/stitching_retargeting_module/{part}" for part in ("lip", "eye"))


@pytest.fixture
def no_models(tmp_path: Path) -> Path:
    return tmp_path / "models"


def check(report: Path, no_models: Path, said: list[str], **options: object) -> int:
    given: dict[str, object] = {
        "engine": "liveportrait", "backend": "auto", "precision": "auto", "report": report,
        "force": False, "say": said.append,
    }  # fmt: skip
    return doctor_gpu(no_models, **(given | options))  # type: ignore[arg-type]


def test_without_a_card_it_says_why_and_what_works_instead(tmp_path: Path, no_models: Path) -> None:
    try:
        find_gpu()
    except AvatarError:
        pass
    else:
        pytest.skip("this machine has a card")
    said: list[str] = []
    report = tmp_path / "report.txt"
    assert check(report, no_models, said) == 1
    text = "\n".join(said)
    assert "no NVIDIA card can be used here" in text
    assert "--backend openvino" in text
    assert "backend onnxruntime" in text
    assert "no NVIDIA card" in report.read_text(encoding="utf-8")


@pytest.mark.parametrize("backend", ["openvino", "onnxruntime"])
def test_models_are_built_compared_and_timed(backend: str, no_models: Path) -> None:
    pytest.importorskip("torch", reason="the reference is PyTorch's")
    pytest.importorskip(backend, reason=f"{backend} is an extra")
    from engines.networks.seeded import seeded

    said: list[str] = []
    weights = Weights(None, {name: seeded(name) for name in PARTS}, no_models)
    verdicts = list(examine(PARTS, weights, choose_target(backend), said.append))
    assert [verdict.name for verdict in verdicts] == list(PARTS)
    assert all(verdict.right and verdict.ms > 0 for verdict in verdicts)
    assert sum("relative" in line for line in said) == 2


def test_a_backend_that_computes_something_else_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_models: Path
) -> None:
    pytest.importorskip("torch", reason="the reference is PyTorch's")
    pytest.importorskip("onnxruntime", reason="onnxruntime is an extra")
    from engines.networks.seeded import seeded

    good, bad = ({name: seeded(name, seed) for name in PARTS} for seed in (0, 1))
    real = module._open
    monkeypatch.setattr(module, "models_of", lambda family: PARTS)
    monkeypatch.setattr(module, "_weights", lambda family, models: Weights(None, good, models))
    monkeypatch.setattr(
        module,
        "_open",
        lambda name, weights, *rest: real(name, Weights(None, bad, weights.cache), *rest),
    )
    family = replace(FAMILIES["liveportrait"], each_frame=PARTS)
    monkeypatch.setattr(module, "FAMILIES", {family.name: family})
    said: list[str] = []
    assert check(tmp_path / "report.txt", no_models, said, backend="onnxruntime") == 1
    assert any(line.startswith("WRONG here") for line in said)


def test_an_existing_report_and_an_unknown_engine_are_refused(
    tmp_path: Path, no_models: Path
) -> None:
    report = tmp_path / "report.txt"
    report.write_text("mine")
    with pytest.raises(UsageError, match="--force"):
        check(report, no_models, [])
    with pytest.raises(UsageError, match="liveportrait or fomm"):
        check(tmp_path / "other.txt", no_models, [], engine="portrait")
    assert report.read_text() == "mine"


def test_the_machine_is_described_without_failing() -> None:
    lines = list(describe())
    assert any(line.startswith("card: ") for line in lines)
    assert sum(line.startswith("backend ") for line in lines) == 6, "torch on a card and without"


def test_the_report_names_nobody_and_no_folder(no_models: Path) -> None:
    user, host = getpass.getuser(), platform.node()
    text = anonymous(
        f"{Path.home()}/clips/a.mp4; {no_models}/liveportrait/w.pth; /srv/{user}/x/y.onnx; "
        f"C:\\Users\\{user}\\file.dll; on {host}; https://www.nvidia.com/drivers",
        no_models,
    )
    for private in (str(Path.home()) + "/", str(no_models), "/srv/", "Users", f" {host};"):
        assert private not in text
    assert "https://www.nvidia.com/drivers" in text
    assert "y.onnx" in text
