"""Checkpoint files load as published; anything else is refused, named, and never executed."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest

from avatar.core.errors import EngineError
from engines.networks import create
from engines.networks.checkpoint import load, read, recognise

torch = pytest.importorskip("torch", reason="checkpoints are read by PyTorch")

LIP = "liveportrait/stitching_retargeting_module/lip"
STITCHING = "liveportrait/stitching_retargeting_module/stitching"
EYE = "liveportrait/stitching_retargeting_module/eye"


def state(name: str = LIP) -> dict[str, Any]:
    return dict(create(name).state_dict())


def prefixed(weights: dict[str, Any]) -> dict[str, Any]:
    return {f"module.{key}": value for key, value in weights.items()}


def retargeting() -> dict[str, Any]:
    return {
        "retarget_shoulder": prefixed(state(STITCHING)),
        "retarget_mouth": prefixed(state(LIP)),
        "retarget_eye": prefixed(state(EYE)),
    }


def same(network: Any, weights: dict[str, Any]) -> bool:
    found = network.state_dict()
    return found.keys() == weights.keys() and all(
        torch.equal(found[key], weights[key]) for key in weights
    )


@pytest.mark.parametrize("ending", [".pth", ".pth.tar"])
@pytest.mark.parametrize("prefix", [False, True])
def test_plain_state_dicts_load(tmp_path: Path, ending: str, prefix: bool) -> None:
    weights, path = state(), tmp_path / f"lip{ending}"
    torch.save(prefixed(weights) if prefix else weights, path)
    network = load(LIP, path)
    assert same(network, weights)
    assert not network.training
    assert not any(p.requires_grad for p in network.parameters())


def test_the_older_file_format_loads(tmp_path: Path) -> None:
    weights, path = state(), tmp_path / "lip.pth.tar"
    torch.save(weights, path, _use_new_zipfile_serialization=False)
    assert same(load(LIP, path), weights)


@pytest.mark.parametrize("prefix", [False, True])
def test_safetensors_load(tmp_path: Path, prefix: bool) -> None:
    safetensors = pytest.importorskip("safetensors.torch", reason="reads .safetensors files")
    weights, path = state(), tmp_path / "lip.safetensors"
    safetensors.save_file(prefixed(weights) if prefix else weights, path)
    assert same(load(LIP, path), weights)


def test_half_precision_weights_become_float32(tmp_path: Path) -> None:
    path = tmp_path / "lip.pth"
    torch.save({key: value.half() for key, value in state().items()}, path)
    assert all(p.dtype == torch.float32 for p in load(LIP, path).parameters())


def test_one_file_of_several_networks(tmp_path: Path) -> None:
    content, path = retargeting(), tmp_path / "stitching_retargeting_module.pth"
    torch.save(content, path)
    for name, section in ((STITCHING, "shoulder"), (LIP, "mouth"), (EYE, "eye")):
        weights = content[f"retarget_{section}"]
        assert same(load(name, path), {k.removeprefix("module."): v for k, v in weights.items()})
    assert set(recognise(read(path))) == {STITCHING, LIP, EYE}


def test_several_networks_in_one_safetensors_file(tmp_path: Path) -> None:
    safetensors = pytest.importorskip("safetensors.torch", reason="reads .safetensors files")
    flat = {f"{s}.{k}": v for s, part in retargeting().items() for k, v in part.items()}
    path = tmp_path / "stitching_retargeting_module.safetensors"
    safetensors.save_file(flat, path)
    assert set(recognise(read(path))) == {STITCHING, LIP, EYE}


def test_training_states_beside_the_weights_are_skipped(tmp_path: Path) -> None:
    weights, path = state("fomm/kp_detector"), tmp_path / "vox-adv-cpk.pth.tar"
    parameter = torch.nn.Parameter(torch.zeros(3))
    optimizer = torch.optim.Adam([parameter])
    torch.save({"kp_detector": weights, "optimizer": optimizer.state_dict(), "epoch": 150}, path)
    assert same(load("fomm/kp_detector", path), weights)
    assert recognise(read(path)) == ("fomm/kp_detector",)


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    weights, path = state(), tmp_path / "lip.pth"
    del weights["mlp.4.bias"]
    torch.save(weights, path)
    with pytest.raises(EngineError, match=r"lip\.pth does not fit .*missing: mlp\.4\.bias"):
        load(LIP, path)


def test_a_surplus_key_is_named(tmp_path: Path) -> None:
    path = tmp_path / "lip.pth"
    torch.save({**state(), "mlp.8.weight": torch.zeros(1)}, path)
    with pytest.raises(EngineError, match=r"not expected: mlp\.8\.weight"):
        load(LIP, path)


def test_a_wrong_shape_is_named_with_both_shapes(tmp_path: Path) -> None:
    path = tmp_path / "lip.pth"
    torch.save({**state(), "mlp.0.bias": torch.zeros(127)}, path)
    with pytest.raises(EngineError, match=r"mlp\.0\.bias has shape \(127,\), expected \(128,\)"):
        load(LIP, path)


def test_a_value_that_is_no_tensor_is_named(tmp_path: Path) -> None:
    path = tmp_path / "lip.pth"
    torch.save({**state(), "mlp.0.bias": [0.0] * 128}, path)
    with pytest.raises(EngineError, match=r"missing: mlp\.0\.bias"):
        load(LIP, path)


def test_another_network_s_file_is_recognised(tmp_path: Path) -> None:
    path = tmp_path / "eye.pth"
    torch.save(state(EYE), path)
    with pytest.raises(EngineError, match=f"It is the file of {EYE}"):
        load(LIP, path)


@pytest.mark.parametrize("ending", [".pth", ".safetensors"])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_a_truncated_file_is_refused(tmp_path: Path, ending: str, share: float) -> None:
    path = tmp_path / f"lip{ending}"
    if ending == ".pth":
        torch.save(state(), path)
    else:
        pytest.importorskip("safetensors", reason="reads .safetensors files")
        from safetensors.torch import save_file

        save_file(state(), path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(EngineError, match=f"lip{ending}"):
        load(LIP, path)


class Bomb:
    """Writes a file when it is unpickled without care."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> Any:
        return (Path.write_text, (self.trace, "ran"))


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_with_code_is_refused_and_not_run(tmp_path: Path, zipped: bool) -> None:
    path, trace = tmp_path / "lip.pth", tmp_path / "trace"
    content = {**state(), "mlp.0.bias": Bomb(trace)}
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(EngineError, match=r"lip\.pth holds something other than weights"):
        load(LIP, path)
    assert not trace.exists()


def test_a_bare_pickle_with_code_is_refused_and_not_run(tmp_path: Path) -> None:
    path, trace = tmp_path / "lip.pth", tmp_path / "trace"
    path.write_bytes(pickle.dumps(Bomb(trace)))
    with pytest.raises(EngineError, match=r"lip\.pth"):
        load(LIP, path)
    assert not trace.exists()


def test_a_file_without_a_mapping_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "lip.pth"
    torch.save(torch.zeros(3), path)
    with pytest.raises(EngineError, match="holds a Tensor; expected a mapping"):
        load(LIP, path)


def test_an_absent_file_and_a_strange_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="no checkpoint at"):
        load(LIP, tmp_path / "none.pth")
    strange = tmp_path / "weights.txt"
    strange.write_text("no")
    with pytest.raises(EngineError, match="not a checkpoint by its name"):
        load(LIP, strange)
