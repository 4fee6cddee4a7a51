"""Parity is told output by output, cost is counted from shapes, samples are what occurs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from avatar.core.errors import EngineError
from avatar.core.frames import UInt8Image
from engines import samples
from engines.compare import LIMITS, compare, table
from engines.cost import DEVICES, Cost, DeviceSpec, cost
from engines.export import MODELS
from tests.engines import graphs

pytest.importorskip("onnx", reason="the graphs are made with onnx")


def runner(model: Any) -> Any:
    pytest.importorskip("onnxruntime", reason="runs the graphs")
    from engines.onnxruntime import OnnxRuntimeRunner

    return OnnxRuntimeRunner(model, threads=1)


def ones() -> dict[str, Any]:
    return {name: np.ones((2, 3), np.float32) for name in ("a", "b")}


def test_equal_models_have_no_difference() -> None:
    with runner(graphs.sum_and_product()) as one, runner(graphs.sum_and_product()) as other:
        found = compare(one, other, [ones()])
    assert [d.output for d in found] == ["sum", "product"]
    assert all(d.relative == d.largest == d.mean == 0 and d.within(1e-9) for d in found)


def test_a_difference_is_told_for_its_output_only() -> None:
    changed = graphs.sum_and_product()
    changed.graph.node[0].op_type = "Sub"
    with runner(changed) as one, runner(graphs.sum_and_product()) as other:
        found = compare(one, other, [ones(), ones()])
    text = table(found, LIMITS["fp32"])
    assert found[0].relative == 1 and found[0].largest == 2 and found[0].mean == 2
    assert found[1].relative == 0
    lines = text.splitlines()
    assert lines[0].split()[:4] == ["output", "relative", "largest", "mean"]
    assert lines[1].endswith("NO") and lines[2].endswith("yes")


def test_what_is_not_a_number_is_not_within_a_limit() -> None:
    broken = graphs.sum_and_product()
    broken.graph.node[0].op_type = "Pow"
    with runner(broken) as one, runner(graphs.sum_and_product()) as other:
        feeds = ones()
        feeds["a"][:], feeds["b"][:] = -1, 0.5
        found = compare(one, other, [feeds])
    assert not found[0].within(1e9)


def test_models_of_other_kinds_and_no_samples_are_errors() -> None:
    with runner(graphs.sum_and_product()) as one, runner(graphs.picture_filter()) as other:
        with pytest.raises(EngineError, match=r"the models differ: .*sum: float32"):
            compare(one, other, [])
        with pytest.raises(EngineError, match="at least one sample"):
            compare(one, one, [])


def test_cost_of_a_convolution() -> None:
    found = cost(graphs.warped_picture())
    first, second = 16 * 16 * 8 * 27, 16 * 16 * 4 * 72
    assert found.operations == 2 * (first + second)
    assert found.weights == 8 * 27 + 4 * 72 + 4
    assert found.activations == 256 * (3 + 8) + 256 * (8 + 4)


def test_the_floor_is_the_slower_of_arithmetic_and_memory() -> None:
    device = DeviceSpec("slate", operations_per_s=1e9, bytes_per_s=1e9)
    assert device.floor_ms(Cost(10**9, 0, 0)) == pytest.approx(1000)
    assert device.floor_ms(Cost(0, 10**9, 0)) == pytest.approx(2000)
    assert [d.name for d in DEVICES] == ["RTX 3060", "RTX 4070", "RTX 4090"]


@pytest.mark.parametrize("name", list(MODELS))
def test_random_samples_fit_every_model(name: str) -> None:
    MODELS[name].spec.check_inputs(samples.random_feeds(name))


def test_equal_seeds_give_equal_pictures() -> None:
    one, other = samples.random_pictures(2, seed=3), samples.random_pictures(2, seed=3)
    assert all((a == b).all() for a, b in zip(one, other, strict=True))
    assert (one[0] != one[1]).any() and one[0].dtype == np.uint8


def test_seeded_networks_are_the_same_everywhere() -> None:
    torch = pytest.importorskip("torch", reason="the networks are defined in PyTorch")
    from engines.networks.seeded import seeded

    name = "liveportrait/stitching_retargeting_module/lip"
    one, other, third = (seeded(name, seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(one[key], other[key]) for key in one)
    assert not torch.equal(one["mlp.0.weight"], third["mlp.0.weight"])


def test_real_samples_follow_from_pictures() -> None:
    pytest.importorskip("torch", reason="the models before a frame run in PyTorch")
    from engines.networks.seeded import seeded

    name = "fomm/frame"
    networks = {n: seeded(n) for n in samples.networks_for(name)}
    source, *driving = samples.random_pictures(3)
    found = samples.real_feeds(name, networks, source, driving)
    assert len(found) == 2
    for feeds in found:
        MODELS[name].spec.check_inputs(feeds)
    assert (found[0]["features"] == found[1]["features"]).all()
    assert (found[0]["driving_value"] != found[1]["driving_value"]).any()


def test_backends_are_near_the_reference_on_random_and_real_inputs(
    portrait: UInt8Image,
) -> None:
    pytest.importorskip("torch", reason="the reference")
    pytest.importorskip("onnxscript", reason="exports the model")
    image = pytest.importorskip("PIL.Image", reason="makes the photograph smaller")
    from engines.export import export
    from engines.networks.seeded import seeded
    from engines.torch import reference

    name = "fomm/kp_detector"
    networks = {name: seeded(name)}
    pictures = [
        np.asarray(image.fromarray(side).resize((256, 256)))
        for side in (portrait, portrait[:, ::-1])
    ]
    feeds = [{"picture": picture} for picture in (*pictures, *samples.random_pictures(1))]
    with runner(export(name, networks)) as found, reference(name, networks) as expected:
        differences = compare(found, expected, feeds)
    assert all(d.within(1e-4) for d in differences), table(differences, 1e-4)
