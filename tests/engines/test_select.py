"""The choice of a backend is told, and never made silently."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from avatar.core.errors import EngineError, MissingDependencyError
from engines.backends import BACKENDS, GRAPH_BACKENDS, GraphBackend, of_device
from engines.select import PROBES as REAL
from engines.select import Probes, choose
from tests.engines import graphs


def works(what: str) -> Callable[[], str]:
    return lambda: what


def lacks(what: str) -> Callable[[], str]:
    def probe() -> str:
        raise MissingDependencyError(what)

    return probe


PROBES: Probes = {
    ("fast", "cuda"): lacks("no card"),
    ("both", "cuda"): lacks("no driver"),
    ("steady", "cpu"): works("is installed"),
    ("slow", "cpu"): works("always"),
    ("both", "cpu"): works("on the processor"),
}


def test_auto_takes_the_first_that_works_and_says_what_it_passed_over() -> None:
    choice = choose(probes=PROBES)
    assert (choice.backend, choice.device) == ("steady", "cpu")
    assert str(choice).splitlines() == [
        "backend steady: is installed",
        "  not fast: no card",
        "  not both on an NVIDIA card: no driver",
    ]


def test_a_backend_asked_for_is_used_or_is_an_error() -> None:
    assert choose("slow", probes=PROBES).backend == "slow"
    with pytest.raises(MissingDependencyError, match="no card"):
        choose("fast", probes=PROBES)


def test_an_unknown_backend_is_an_error_that_lists_the_known() -> None:
    with pytest.raises(EngineError, match="known are auto, fast, both, steady, slow"):
        choose("quick", probes=PROBES)


def test_none_at_all_is_an_error_with_every_reason() -> None:
    with pytest.raises(EngineError, match=r"fast: no card; slow: no room.*pip install"):
        choose(probes={("fast", "cuda"): lacks("no card"), ("slow", "cpu"): lacks("no room")})


def test_this_machine_gets_a_choice_with_reasons(tmp_path: Path) -> None:
    pytest.importorskip("onnx", reason="the graph is made with onnx")
    pytest.importorskip("onnxruntime", reason="one backend at least")
    choice = choose()
    before = list(REAL)[: list(REAL).index((choice.backend, choice.device))]
    assert [name.split()[0] for name in choice.passed_over] == [name for name, _ in before]
    assert all(choice.passed_over.values()) and choice.reason
    model = graphs.sum_and_product()
    backend = BACKENDS[choice.backend]
    if not isinstance(backend, GraphBackend):
        pytest.skip(f"{choice.backend} takes no graphs")
    with backend.open("tiny", model, cache=tmp_path, threads=1) as runner:
        ones = np.ones((2, 3), np.float32)
        assert (runner.infer({"a": ones, "b": ones})["sum"] == 2).all()


def test_a_device_asked_for_is_used_or_is_an_error() -> None:
    assert choose(device="cpu", probes=PROBES).backend == "steady"
    assert choose("both", "cpu", PROBES).reason == "asked for; on the processor"
    with pytest.raises(
        EngineError, match=r"on an NVIDIA card\. Expected one of fast, both; fast: no"
    ):
        choose(device="cuda", probes=PROBES)
    with pytest.raises(MissingDependencyError, match="no driver"):
        choose("both", "cuda", PROBES)
    with pytest.raises(
        EngineError, match=r"--device cuda: slow does not run on an.* are fast, both"
    ):
        choose("slow", "cuda", PROBES)
    with pytest.raises(EngineError, match="expected --device auto, cuda or cpu, found 'gpu'"):
        choose(device="gpu", probes=PROBES)


def test_one_asked_for_by_name_takes_its_faster_device_and_says_why_not() -> None:
    choice = choose("both", probes=PROBES)
    assert choice.device == "cpu"
    assert choice.passed_over == {"both on an NVIDIA card": "no driver"}
    ready: Probes = {**PROBES, ("both", "cuda"): works("sm90")}
    assert choose("both", probes=ready).device == "cuda"


def test_a_card_that_tensorrt_refuses_is_pytorchs(monkeypatch: pytest.MonkeyPatch) -> None:
    """An H100: TensorRT-RTX runs on no card of data centres."""
    from engines import nvidia

    h100 = nvidia.Gpu("NVIDIA H100", (9, 0), 13000)
    monkeypatch.setattr("engines.nvidia.import_library", lambda _name: None)
    monkeypatch.setattr("engines.nvidia.find_gpu", lambda: h100)
    probes: Probes = {
        ("tensorrt-rtx", "cuda"): REAL["tensorrt-rtx", "cuda"],
        ("tensorrt", "cuda"): lacks("not installed"),
        ("torch", "cuda"): works("PyTorch 2.13.0 on NVIDIA H100 (sm90)"),
        ("openvino", "cpu"): works("the fastest on a CPU"),
    }
    assert list(REAL)[:3] == list(probes)[:3], "in this order"
    choice = choose(probes=probes)
    assert (choice.backend, choice.device) == ("torch", "cuda")
    said = str(choice).splitlines()
    assert said[0] == "backend torch: PyTorch 2.13.0 on NVIDIA H100 (sm90)"
    assert "TensorRT-RTX does not run on NVIDIA H100 (sm90)" in said[1]


def test_pytorch_is_the_last_on_a_processor() -> None:
    assert of_device("cuda") == ("tensorrt-rtx", "tensorrt", "torch")
    assert of_device("cpu") == ("openvino", "onnxruntime", "torch")
    assert BACKENDS["torch"].precisions_on("cuda")[0] == "fp16"
    assert BACKENDS["torch"].precisions_on("cpu")[0] == "fp32"


def test_volumes_are_sampled_as_the_backend_can() -> None:
    assert GRAPH_BACKENDS["onnxruntime"].volume_form() == "native"
    assert GRAPH_BACKENDS["openvino"].volume_form() == "tile4c"
    assert GRAPH_BACKENDS["openvino"].volume_form(exact=True) == "rows"
