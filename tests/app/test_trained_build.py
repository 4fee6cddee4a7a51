"""``avatar avatars build``: a trained generator compiled ahead, and found when it is used."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the generator is made with PyTorch")
pytest.importorskip("onnxscript", reason="PyTorch's exporter is written with it")

from avatar.app.trained_build import build  # noqa: E402
from avatar.core.errors import EngineError  # noqa: E402
from avatar.core.frames import Face, UInt8Image  # noqa: E402
from avatar.core.home import Home  # noqa: E402
from avatar.core.machine import Machine  # noqa: E402
from avatar.core.options import Options  # noqa: E402
from avatar.library.avatars import AvatarStore  # noqa: E402
from avatar.library.generators.card import Card, neural_folder  # noqa: E402
from avatar.library.generators.exported import find_exported  # noqa: E402
from avatar.library.models.builds import Target  # noqa: E402
from avatar.sessions.engines import trained as run  # noqa: E402
from engines import precision, trained  # noqa: E402
from engines.backends import BACKENDS  # noqa: E402
from engines.graph import model_spec  # noqa: E402
from engines.networks.portrait_gan import PortraitGan  # noqa: E402
from engines.patches import patches_of, spec_of  # noqa: E402
from engines.select import Choice  # noqa: E402

RTX_BACKEND = BACKENDS["tensorrt-rtx"]
RTX = Target(Choice("tensorrt-rtx", "asked for", {}, "cuda"), "fp16")


@pytest.fixture(scope="module")
def graphs() -> dict[str, bytes]:
    """The size ``regions`` with weights from a seed, in the precisions that are kept."""
    torch.manual_seed(0)
    graph = trained.graph(PortraitGan(patches_of("regions")).eval().requires_grad_(False))
    half = precision.to_fp16(graph)
    return {"fp32": graph.SerializeToString(), "fp16": half.SerializeToString()}


@pytest.fixture
def store(
    tmp_path: Path,
    home: Home,
    portrait: UInt8Image,
    portrait_face: Face,
    graphs: dict[str, bytes],
) -> AvatarStore:
    """A store with an avatar whose generator was exported."""
    from PIL import Image

    photo = tmp_path / "photo.png"
    Image.fromarray(portrait).save(photo)
    store = AvatarStore(home.avatars)
    stored = store.add("drawn", photo, portrait_face)
    folder = neural_folder(stored.folder)
    folder.mkdir()
    for name, data in graphs.items():
        (folder / f"{name}.onnx").write_bytes(data)
    write_card(folder, stored.sha256)
    return store


def write_card(folder: Path, photo_sha256: str) -> None:
    no_hash = "0" * 64
    card = Card(
        schema_version=1, size="regions", rights="self", photo_sha256=photo_sha256,
        weights_sha256=no_hash, data_sha256=no_hash, base_sha256=None, recordings=[],
        trained_share=1.0, train_pairs=1, held_out_pairs=1, steps=1, seconds=1.0, device="cpu",
        held_out_error=0.1, untrained_error=0.2, int8_error=None, seed=0, made=datetime.now(UTC),
        program_version="0", torch_version="0",
    )  # fmt: skip
    (folder / "card.json").write_text(card.model_dump_json())


def test_what_is_built_ahead_is_what_a_run_finds(
    store: AvatarStore, capsys: pytest.CaptureFixture[str], home: Home
) -> None:
    pytest.importorskip("tensorrt_rtx", reason="the backend under test")
    assert build("drawn", home, backend="tensorrt-rtx", ahead=True) == 0
    said = capsys.readouterr().err
    assert "generator of drawn for tensorrt-rtx in fp16" in said and "not run" in said
    stored = store.load("drawn")
    made = find_exported(stored.folder, "drawn", stored.sha256, RTX)
    lines: list[str] = []
    engine = RTX_BACKEND.compiled("generator", made.path, say=lines.append)
    assert lines == [] and len(engine) > 10_000  # read, not built again
    assert len(list(neural_folder(stored.folder).glob("*.engine"))) == 1


def test_another_graph_replaces_the_engine_and_says_why(
    store: AvatarStore, graphs: dict[str, bytes]
) -> None:
    pytest.importorskip("tensorrt_rtx", reason="the backend under test")
    stored = store.load("drawn")
    path = neural_folder(stored.folder) / "fp16.onnx"
    lines: list[str] = []
    RTX_BACKEND.compiled("generator", path, say=lines.append)
    torch.manual_seed(1)
    other = trained.graph(PortraitGan(patches_of("regions")).eval().requires_grad_(False))
    path.write_bytes(precision.to_fp16(other).SerializeToString())
    RTX_BACKEND.compiled("generator", path, say=lines.append)
    assert "there is none yet" in lines[0] and "is stale (its graph is" in lines[1]
    assert len(list(path.parent.glob("*.engine"))) == 1


@pytest.mark.parametrize("size", ["regions", "head"])
def test_tensorrt_reads_the_names_and_shapes_that_are_promised(size: str) -> None:
    trt = pytest.importorskip("tensorrt_rtx", reason="the backend under test")
    patches = patches_of(size)
    graph = trained.graph(PortraitGan(patches).eval().requires_grad_(False))
    half = precision.to_fp16(graph)
    logger = trt.Logger(trt.Logger.ERROR)
    network = trt.Builder(logger).create_network(0)
    parser = trt.OnnxParser(network, logger)
    assert parser.parse(half.SerializeToString())
    read = {
        tensor.name: (tuple(tensor.shape), np.dtype(trt.nptype(tensor.dtype)))
        for tensor in (
            *(network.get_input(i) for i in range(network.num_inputs)),
            *(network.get_output(i) for i in range(network.num_outputs)),
        )
    }
    spec = spec_of(patches)
    assert read == {v.name: (v.shape, v.dtype) for v in (*spec.inputs, *spec.outputs)}
    assert model_spec(half) == spec


@pytest.mark.parametrize("backend", ["openvino", "onnxruntime"])
def test_for_a_processor_it_runs_once(
    store: AvatarStore, backend: str, capsys: pytest.CaptureFixture[str], home: Home
) -> None:
    pytest.importorskip(backend, reason="the backend under test")
    assert build("drawn", home, backend=backend, precision="fp32") == 0
    assert f"for {backend} in fp32" in capsys.readouterr().err


def test_a_graph_of_another_version_is_not_built(store: AvatarStore, home: Home) -> None:
    pytest.importorskip("tensorrt_rtx", reason="the backend under test")
    import onnx

    folder = neural_folder(store.load("drawn").folder)
    graph = onnx.load(str(folder / "fp16.onnx"))
    del graph.graph.output[-1]
    onnx.save(graph, str(folder / "fp16.onnx"))
    with pytest.raises(EngineError, match="another version"):
        build("drawn", home, backend="tensorrt-rtx", ahead=True)
    assert not list(folder.glob("*.engine"))


def test_only_tensorrt_rtx_builds_for_a_card_that_is_not_here(
    store: AvatarStore, home: Home
) -> None:
    with pytest.raises(EngineError, match="tensorrt-rtx with --ahead"):
        build("drawn", home, backend="openvino", ahead=True)


def test_an_avatar_that_was_not_trained_is_refused(store: AvatarStore, home: Home) -> None:
    pytest.importorskip("tensorrt_rtx", reason="the backend under test")
    (neural_folder(store.load("drawn").folder) / "card.json").unlink()
    with pytest.raises(EngineError, match="needs a generator that was trained"):
        build("drawn", home, backend="tensorrt-rtx", ahead=True)


def test_without_a_card_a_run_on_tensorrt_is_an_error(store: AvatarStore, home: Home) -> None:
    pytest.importorskip("tensorrt_rtx", reason="the backend under test")
    from engines.nvidia import find_gpu

    try:
        find_gpu()
    except EngineError:
        with pytest.raises(EngineError, match="--backend openvino"):
            build("drawn", home, backend="tensorrt-rtx")
    else:
        pytest.skip("this machine has a card")


@pytest.mark.parametrize("driver", [True, False])
def test_only_beside_a_card_it_is_told_why_it_is_not_used(
    driver: bool, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a laptop without one nothing is missing."""
    choice = Choice("openvino", "the fastest on a CPU", {"tensorrt-rtx": "not installed"}, "cpu")
    monkeypatch.setattr(run, "has_driver", lambda: driver)
    monkeypatch.setattr(run, "choose_generator_target", lambda *_: Target(choice, "int8"))
    said: list[str] = []
    run.TrainedEngine().open(Options(mouth="teeth"), said.append, home, Machine())
    assert said[0].startswith("backend openvino: the fastest")
    assert ("not tensorrt-rtx: not installed" in said[0]) == driver


def test_pytorch_takes_no_graphs_and_it_is_said(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A card that TensorRT refuses: PyTorch could run published networks there, but not this."""
    pytest.importorskip("openvino", reason="what is left on a processor")
    options = Options(engine="neural", mouth="teeth")
    with pytest.raises(EngineError, match=r"--backend torch runs published networks, .*openvino"):
        run.TrainedEngine().open(replace(options, backend="torch"), print, home, Machine())
    monkeypatch.setattr(run, "has_driver", lambda: True)
    said: list[str] = []
    run.TrainedEngine().open(options, said.append, home, Machine())
    assert said[0].startswith("backend openvino: ")
    assert "not torch on an NVIDIA card: runs published networks" in said[0]
    with pytest.raises(EngineError, match=r"--device cuda: openvino does not run on an NVIDIA"):
        asked = replace(options, backend="openvino", device="cuda")
        run.TrainedEngine().open(asked, print, home, Machine())
