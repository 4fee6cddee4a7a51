"""A trained generator gives the same pictures whatever runs it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the reference is PyTorch")
pytest.importorskip("onnxscript", reason="PyTorch's exporter is written with it")

from avatar.core.errors import EngineError  # noqa: E402
from engines import precision, trained  # noqa: E402
from engines.graph import model_spec  # noqa: E402
from engines.networks.portrait_gan import PortraitGan  # noqa: E402
from engines.patches import SIZES, Patch, inputs_of, outputs_of, spec_of  # noqa: E402
from engines.runner import Runner  # noqa: E402
from engines.training import checkpoint  # noqa: E402
from tests.engines.training.toys import PATCH  # noqa: E402

CORRECTED, MASK = outputs_of(PATCH)


@pytest.fixture(scope="module")
def network() -> PortraitGan:
    """Weights from a seed, the last layer's as large as trained ones."""
    torch.manual_seed(3)
    network = PortraitGan([PATCH]).eval().requires_grad_(False)
    network.nets[PATCH.name].out.weight.mul_(20)
    return network


@pytest.fixture(scope="module")
def graph(network: PortraitGan) -> Any:
    return trained.graph(network)


def feeds(seed: int) -> dict[str, Any]:
    random = np.random.default_rng(seed)
    picture, reference, maps = inputs_of(PATCH)
    shapes = {spec.name: spec.shape for spec in spec_of([PATCH]).inputs}
    smooth, other = (
        random.integers(40, 200, (PATCH.count, 1, 1, 3)) + random.integers(-20, 20, shapes[picture])
        for _ in range(2)
    )
    drawn = random.integers(0, 2, shapes[maps]) * 255
    given = {picture: smooth, reference: other, maps: drawn}
    return {name: value.astype(np.uint8) for name, value in given.items()}


def reference(network: PortraitGan, given: dict[str, Any]) -> Any:
    """Return what the network as it was trained makes of it, in levels, int (n, side, side, 3)."""
    shown = [torch.from_numpy(value).permute(0, 3, 1, 2).float() / 255 for value in given.values()]
    with torch.no_grad():
        corrected, _ = network(PATCH.name, *shown)
    levels = (corrected * 255).round().clamp(0, 255).permute(0, 2, 3, 1)
    return levels.int().numpy()


def open_runner(backend: str, model: Any) -> Runner:
    pytest.importorskip(backend, reason="the backend under test")
    if backend == "openvino":
        from engines.openvino import OpenVinoRunner

        return OpenVinoRunner(model)
    from engines.onnxruntime import OnnxRuntimeRunner

    return OnnxRuntimeRunner(model)


def test_the_graph_has_the_inputs_and_outputs_that_are_promised(graph: Any) -> None:
    assert model_spec(graph) == spec_of([PATCH])


@pytest.mark.parametrize("backend", ["openvino", "onnxruntime"])
def test_every_backend_draws_what_pytorch_draws(
    backend: str, network: PortraitGan, graph: Any
) -> None:
    with open_runner(backend, graph) as runner:
        for seed in range(3):
            given = feeds(seed)
            found = runner.infer(given)[CORRECTED].astype(int)
            assert np.abs(found - reference(network, given)).max() <= 1


@pytest.mark.parametrize("backend", ["openvino", "onnxruntime"])
def test_eight_bits_stay_near(backend: str, network: PortraitGan, graph: Any) -> None:
    eight = trained.eight_bit(graph, [feeds(seed) for seed in range(8)])
    assert precision.is_quantised(eight)
    with open_runner(backend, eight) as runner:
        given = feeds(99)
        found = runner.infer(given)[CORRECTED].astype(int)
        assert np.abs(found - reference(network, given)).mean() < 3


@pytest.fixture(scope="module", params=["regions", "head"])
def shipped(request: pytest.FixtureRequest) -> tuple[Any, Any, list[dict[str, Any]]]:
    """A size as it is used: its graph, the same in 8 bits, and inputs as bytes."""
    torch.manual_seed(5)
    network = PortraitGan(SIZES[request.param]).eval().requires_grad_(False)
    for net in network.nets.values():
        net.out.weight.mul_(10)
    made = trained.graph(network)
    given = [smooth_feeds(made, seed) for seed in range(4)]
    return made, trained.eight_bit(made, given[:3]), given


def smooth_feeds(model: Any, seed: int) -> dict[str, Any]:
    """Return pictures without noise, whose means 8 bits can hold, and maps of two halves."""
    random = np.random.default_rng(seed)
    found = {}
    for spec in model_spec(model).inputs:
        rows = np.linspace(*random.uniform(0, 255, 2), spec.shape[1])[None, :, None, None]
        picture = np.broadcast_to(rows, spec.shape)
        half = np.broadcast_to((rows > np.median(rows)) * 255, spec.shape)
        found[spec.name] = (half if spec.name.endswith("maps") else picture).astype(np.uint8)
    return found


def test_the_sizes_that_are_used_are_the_same_on_every_backend(
    shipped: tuple[Any, Any, list[dict[str, Any]]],
) -> None:
    """One runtime against the other, in 32 bits and in 8."""
    exact, eight, given = shipped
    assert precision.is_quantised(eight)
    for model, most in ((exact, 0.01), (eight, 0.5)):
        with open_runner("openvino", model) as one, open_runner("onnxruntime", model) as other:
            a, b = one.infer(given[-1]), other.infer(given[-1])
        for name, value in a.items():
            apart = np.abs(value.astype(int) - b[name].astype(int))
            assert apart.mean() <= most, (name, most)
    with open_runner("openvino", exact) as full, open_runner("openvino", eight) as small:
        a, b = full.infer(given[-1]), small.infer(given[-1])
    assert all(np.abs(a[n].astype(int) - b[n].astype(int)).mean() < 3 for n in a)


def test_half_precision_computes_the_same_picture(network: PortraitGan, graph: Any) -> None:
    with open_runner("onnxruntime", precision.to_fp16(graph)) as runner:
        given = feeds(5)
        found = runner.infer(given)[CORRECTED].astype(int)
        assert np.abs(found - reference(network, given)).mean() < 0.5


def test_tensorrt_rtx_builds_it_without_a_card(graph: Any, tmp_path: Path) -> None:
    pytest.importorskip("tensorrt_rtx", reason="the backend under test")
    from engines.build import build
    from engines.tensorrt import TensorRtBuilder

    engine = build("toy", precision.to_fp16(graph), TensorRtBuilder("tensorrt-rtx"), tmp_path)
    assert engine.built and len(engine.data) > 1000


@pytest.mark.parametrize("fold", [2, 4])
def test_the_fast_form_is_the_trained_network(fold: int) -> None:
    """However coarse its squares are."""
    from engines.deploy_patches import Deployed

    patch = Patch("p", 2, 64, fold, ("valid", "inside"), (0.0, 1.0), (8, 12, 16), 64, 32)
    torch.manual_seed(1)
    network = PortraitGan([patch]).eval().requires_grad_(False)
    network.nets["p"].out.weight.mul_(20)
    pictures = [torch.randint(0, 256, (2, 64, 64, 3), dtype=torch.uint8) for _ in range(2)]
    maps = torch.randint(0, 2, (2, patch.cells, patch.cells, 2), dtype=torch.uint8) * 255
    given = [*pictures, maps]
    with torch.no_grad():
        found = Deployed(network)(*given)
        wanted = network("p", *(value.permute(0, 3, 1, 2).float() / 255 for value in given))
    for ours, theirs in zip(found, wanted, strict=True):
        levels = (theirs * 255).round().clamp(0, 255).permute(0, 2, 3, 1).squeeze(3)
        assert (ours.float() - levels).abs().max() <= 1


def test_weights_come_back_from_their_file(network: PortraitGan, tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    checkpoint.write(path, dict(network.state_dict()), {})
    again = trained.load(path, [PATCH])
    given = feeds(1)
    assert np.array_equal(reference(again, given), reference(network, given))


def test_weights_of_another_size_are_refused(network: PortraitGan, tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    checkpoint.write(path, dict(network.state_dict()), {})
    with pytest.raises(EngineError, match="this size and version"):
        trained.load(path, SIZES["regions"])


@pytest.mark.parametrize(("size", "most"), [("regions", 0.25), ("head", 1.0)])
def test_sizes_stay_within_their_operations(size: str, most: float) -> None:
    """Multiplications of all convolutions, in thousands of millions."""
    network = PortraitGan(SIZES[size]).eval()
    products = 0

    def count(module: Any, given: Any, found: Any) -> None:
        nonlocal products
        products += found.numel() * module.weight[0].numel()

    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.register_forward_hook(count)
    with torch.no_grad():
        for patch in SIZES[size]:
            network(
                patch.name,
                torch.zeros(patch.count, 3, patch.side_px, patch.side_px),
                torch.zeros(patch.count, 3, patch.side_px, patch.side_px),
                torch.zeros(patch.count, len(patch.maps), patch.cells, patch.cells),
            )
    assert 0 < products <= most * 1e9
