"""Exported models give what the published networks give, picture in and picture out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from avatar.core.errors import EngineError
from engines import resample
from engines.export import MODELS, export
from engines.graph import Array, digest, model_spec
from tests import parity
from tests.engines.conftest import relative_error
from tests.parity.weights import make_image

torch = pytest.importorskip("torch", reason="models are exported from PyTorch")
pytest.importorskip("onnxscript", reason="PyTorch's exporter is written with it")
pytest.importorskip("onnxruntime", reason="runs what was exported")

LIP = "liveportrait/stitching_retargeting_module/lip"
QUICK = (LIP, "fomm/kp_detector")
SLOW = tuple(name for name in MODELS if name not in QUICK)


def feeds(name: str) -> dict[str, Array]:
    """Inputs as they occur: pictures, keypoints near each other, volumes of unit size."""
    rng = np.random.default_rng(7)
    made: dict[str, Array] = {}
    for spec in MODELS[name].spec.inputs:
        shape = tuple(n or 1 for n in spec.shape)
        if spec.name == "picture":
            image = make_image(3)[0].transpose(1, 2, 0)
            made[spec.name] = np.rint(image * 255).astype(np.uint8)
        elif "jacobian" in spec.name:
            made[spec.name] = np.eye(2) + 0.1 * rng.standard_normal(shape)
        elif spec.name.startswith(("kp", "source", "driving")):
            made[spec.name] = 0.3 * rng.standard_normal(shape)
        elif spec.name == "small":
            made[spec.name] = rng.random(shape)
        else:
            made[spec.name] = rng.standard_normal(shape)
    return {k: v if v.dtype == np.uint8 else v.astype(np.float32) for k, v in made.items()}


def assert_same(name: str, seeded: Any, model: Any) -> None:
    from engines.onnxruntime import OnnxRuntimeRunner
    from engines.torch import reference

    networks = {n: seeded(n) for n in MODELS[name].networks}
    inputs = feeds(name)
    with reference(name, networks) as runner:
        expected = runner.infer(inputs)
    with OnnxRuntimeRunner(model, threads=1) as runner:
        assert runner.spec == MODELS[name].spec
        found = runner.infer(inputs)
    for output, value in expected.items():
        # A picture's level may round the other way.
        limit = 2e-3 if output == "picture" else 1e-4
        assert relative_error(found[output], value) < limit, output
        if output == "picture":
            assert np.abs(found[output].astype(int) - value.astype(int)).max() <= 1


@pytest.mark.parametrize("name", QUICK)
def test_quick_models(name: str, seeded: Any) -> None:
    networks = {n: seeded(n) for n in MODELS[name].networks}
    model = export(name, networks)
    assert model_spec(model) == MODELS[name].spec
    assert_same(name, seeded, model)


@pytest.mark.slow
@pytest.mark.parametrize("name", SLOW)
def test_every_other_model(name: str, seeded: Any) -> None:
    networks = {n: seeded(n) for n in MODELS[name].networks}
    model = export(name, networks)
    assert resample.count(model) == (1 if name == "liveportrait/frame" else 0)
    assert_same(name, seeded, model)


@pytest.fixture(scope="module")
def lip(seeded: Any) -> Any:
    return export(LIP, {LIP: seeded(LIP)})


def test_equal_weights_give_equal_graphs(lip: Any, seeded: Any) -> None:
    assert digest(export(LIP, {LIP: seeded(LIP)})) == digest(lip)


def test_other_weights_give_another_graph(lip: Any) -> None:
    other = {LIP: parity.network(LIP, seed=2)}
    assert digest(export(LIP, other)) != digest(lip)


def test_nothing_of_this_machine_is_in_the_graph(lip: Any) -> None:
    text = lip.SerializeToString()
    assert b"/engines/" not in text and b"site-packages" not in text


def test_an_unknown_model_and_a_missing_network_are_named() -> None:
    with pytest.raises(EngineError, match=r"known are: .*liveportrait/frame"):
        export("liveportrait/fame", {})
    with pytest.raises(EngineError, match="is made from liveportrait/warping_module"):
        export("liveportrait/frame", {})


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["fp16", "int8"])
def test_narrow_forms_of_a_frame_stay_below_their_bound(kind: str) -> None:
    pytest.importorskip("openvino", reason="the runtime that int8 is for")
    from engines import precision, samples
    from engines.compare import LIMITS, compare, table
    from engines.networks.seeded import seeded
    from engines.openvino import OpenVinoRunner
    from engines.torch import reference

    name = "fomm/frame"
    networks = {n: seeded(n) for n in samples.networks_for(name)}
    *ranges, last = samples.real_feeds(name, networks, *_source_and_driving())
    model = export(name, networks)
    if kind == "fp16":
        model = precision.to_fp16(model)
    else:
        model = precision.to_int8(model, ranges, only=MODELS[name].eight_bit(model), weight_bits=7)
    with OpenVinoRunner(model) as runner, reference(name, networks) as expected:
        differences = compare(runner, expected, [last])
    assert all(d.within(LIMITS[kind]) for d in differences), table(differences, LIMITS[kind])


def _source_and_driving() -> tuple[Array, list[Array]]:
    from engines.samples import random_pictures

    source, *driving = random_pictures(4)
    return source, driving
