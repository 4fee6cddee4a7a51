"""What is made of installed networks is made once, again when it must be, and is the same."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from avatar.app import models as command
from avatar.core.errors import EngineError, MissingDependencyError
from avatar.core.home import Home
from avatar.library.models import builds, store
from engines.backends import BACKENDS
from engines.select import Choice
from tests.library.models.conftest import RETARGETING_FILE

torch = pytest.importorskip("torch", reason="networks are exported by PyTorch")
pytest.importorskip("onnx", reason="models are exported to ONNX")
pytest.importorskip("onnxscript", reason="PyTorch's exporter is written with it")

LIP = "liveportrait/stitching_retargeting_module/lip"


def target(backend: str, precision: Any = "fp32") -> builds.Target:
    return builds.Target(Choice(backend, "for a test", {}, "cpu"), precision)


@pytest.fixture
def folder(checkpoints: Path, models: Path) -> Path:
    command.import_files([checkpoints / RETARGETING_FILE], root=models, accept_licence=True)
    return models / "liveportrait"


def onnx_files(folder: Path) -> list[Path]:
    return sorted(store.build_folder(folder).glob("*.onnx"))


@pytest.mark.parametrize("backend", ["openvino", "onnxruntime"])
def test_a_model_is_exported_once_and_runs(folder: Path, backend: str) -> None:
    pytest.importorskip(backend, reason=f"runs on {backend}")
    from engines.networks.checkpoint import load

    said: list[str] = []
    feeds = {"input": np.linspace(-1, 1, 65, dtype=np.float32)[None]}
    found = []
    for _ in range(2):
        with builds.open_model(LIP, folder, target(backend), say=said.append) as runner:
            found.append(runner.infer(feeds)["output"])
    assert said == [f"exporting {LIP} (fp32)"]
    wanted = load(LIP, folder / RETARGETING_FILE)(torch.from_numpy(feeds["input"])).numpy()
    for output in found:
        np.testing.assert_allclose(output, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_pytorch_takes_the_networks_and_nothing_is_exported(folder: Path, precision: str) -> None:
    from engines.networks.checkpoint import load

    said: list[str] = []
    feeds = {"input": np.linspace(-1, 1, 65, dtype=np.float32)[None]}
    with builds.open_model(LIP, folder, target("torch", precision), say=said.append) as runner:
        found = runner.infer(feeds)["output"]
    assert not said and not onnx_files(folder)
    wanted = load(LIP, folder / RETARGETING_FILE)(torch.from_numpy(feeds["input"])).numpy()
    np.testing.assert_allclose(found, wanted, rtol=2e-2, atol=2e-3)


def test_other_weights_are_another_export(folder: Path, tmp_path: Path, models: Path) -> None:
    from engines.networks.seeded import seeded

    first = builds.exported(LIP, folder, target("onnxruntime"))
    assert builds.exported(LIP, folder, target("onnxruntime")) == first
    state = {k: v + 1 for k, v in seeded(LIP).state_dict().items()}
    torch.save({"retarget_mouth": state}, tmp_path / "mouth.pth")
    command.import_files([tmp_path / "mouth.pth"], root=models, accept_licence=True)
    second = builds.exported(LIP, folder, target("onnxruntime"))
    assert onnx_files(folder) == [second] != [first]


def test_other_code_is_another_export(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = builds.exported(LIP, folder, target("onnxruntime"))
    monkeypatch.setattr(builds, "_code", lambda: "of another version")
    second = builds.exported(LIP, folder, target("onnxruntime"))
    assert onnx_files(folder) == [second] != [first]


def test_an_export_that_fails_leaves_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch, models: Path
) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(EngineError, match=r"No space left on device.*AVATAR_MODELS"):
        builds.exported(LIP, folder, target("onnxruntime"))
    assert [
        p for p in store.build_folder(models / "liveportrait").iterdir() if p.suffix != ".lock"
    ] == []


def test_an_engine_is_built_ahead_of_time(folder: Path) -> None:
    pytest.importorskip("tensorrt_rtx", reason="engines are built by TensorRT-RTX")
    wanted = builds.choose_target("tensorrt-rtx", ahead=True)
    assert wanted.precision == "fp16"
    made = builds.exported(LIP, folder, wanted)
    said: list[str] = []
    engines = [BACKENDS["tensorrt-rtx"].compiled(LIP, made, say=said.append) for _ in range(2)]
    assert engines[0] == engines[1]
    assert len(said) == 1


@pytest.mark.parametrize(
    ("backend", "precision", "message"),
    [
        ("onnxruntime", "int8", r"expected --precision auto, fp32 with onnxruntime, found 'int8'"),
        ("openvino", "fp16", r"expected --precision auto, fp32 or int8 with openvino"),
        ("openvino", "half", r"found 'half'"),
        ("openvinno", "auto", r"no backend is called 'openvinno'"),
    ],
)
def test_what_does_not_exist_is_answered_with_what_does(
    backend: str, precision: str, message: str
) -> None:
    for package in ("openvino", "onnxruntime"):
        pytest.importorskip(package, reason=f"chooses {package}")
    with pytest.raises(EngineError, match=message):
        builds.choose_target(backend, precision)


def test_only_tensorrt_rtx_builds_for_cards_elsewhere() -> None:
    with pytest.raises(EngineError, match="expected --backend tensorrt-rtx with --ahead"):
        builds.choose_target("openvino", ahead=True)


def test_int8_is_for_what_runs_once_a_frame() -> None:
    wanted = target("openvino", "int8")
    assert wanted.precision_of("liveportrait/frame") == "int8"
    assert wanted.precision_of("liveportrait/appearance_feature_extractor") == "fp32"
    assert wanted.precision_of("fomm/source") == "fp32"


def test_int8_is_not_made_while_a_call_waits(folder: Path, models: Path) -> None:
    with pytest.raises(EngineError, match=r"avatar models build liveportrait --precision int8"):
        builds.exported("liveportrait/motion_extractor", folder, target("openvino", "int8"))


def test_the_command_needs_a_complete_set(folder: Path, models: Path, home: Home) -> None:
    with pytest.raises(EngineError, match=r"are incomplete: .*avatar models pull liveportrait"):
        command.build("liveportrait", home=replace(home, models=models))


def test_calibration_pictures_are_of_a_face(face_model: Path, home: Home) -> None:
    from avatar.app.model_calibration import calibration_pictures
    from avatar.stages.track.choice import detect_faces

    pictures = calibration_pictures(home)
    assert len(pictures) == 7
    for picture in pictures:
        assert picture.shape == (256, 256, 3)
        assert picture.dtype == np.uint8
        assert len(detect_faces(picture, face_model, settle=False)) == 1


def test_without_pytorch_the_remedy_is_told(
    folder: Path, monkeypatch: pytest.MonkeyPatch, models: Path
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingDependencyError, match="scripts/setup models"):
        command.verify(models)
