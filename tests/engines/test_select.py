"""The choice of a backend is told, and never made silently."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from avatar.core.errors import EngineError, MissingDependencyError
from engines.backends import BACKENDS
from engines.select import choose
from tests.engines import graphs


def works(what: str) -> Callable[[], str]:
    return lambda: what


def lacks(what: str) -> Callable[[], str]:
    def probe() -> str:
        raise MissingDependencyError(what)

    return probe


PROBES = {"fast": lacks("no card"), "steady": works("is installed"), "slow": works("always")}


def test_auto_takes_the_first_that_works_and_says_what_it_passed_over() -> None:
    choice = choose("auto", PROBES)
    assert choice.backend == "steady"
    assert str(choice) == "backend steady: is installed\n  not fast: no card"


def test_a_backend_asked_for_is_used_or_is_an_error() -> None:
    assert choose("slow", PROBES).backend == "slow"
    with pytest.raises(MissingDependencyError, match="no card"):
        choose("fast", PROBES)


def test_an_unknown_backend_is_an_error_that_lists_the_known() -> None:
    with pytest.raises(EngineError, match="known are auto, fast, steady, slow"):
        choose("quick", PROBES)


def test_none_at_all_is_an_error_with_every_reason() -> None:
    with pytest.raises(EngineError, match=r"fast: no card; slow: no room.*pip install"):
        choose("auto", {"fast": lacks("no card"), "slow": lacks("no room")})


def test_this_machine_gets_a_choice_with_reasons(tmp_path: Path) -> None:
    pytest.importorskip("onnx", reason="the graph is made with onnx")
    pytest.importorskip("onnxruntime", reason="one backend at least")
    choice = choose()
    before = tuple(BACKENDS)[: list(BACKENDS).index(choice.backend)]
    assert tuple(choice.passed_over) == before
    assert all(choice.passed_over.values()) and choice.reason
    model = graphs.sum_and_product()
    backend = BACKENDS[choice.backend]
    with backend.open("tiny", model, cache=tmp_path, threads=1) as runner:
        ones = np.ones((2, 3), np.float32)
        assert (runner.infer({"a": ones, "b": ones})["sum"] == 2).all()


def test_volumes_are_sampled_as_the_backend_can() -> None:
    assert BACKENDS["onnxruntime"].volume_form() == "native"
    assert BACKENDS["openvino"].volume_form() == "tile4c"
    assert BACKENDS["openvino"].volume_form(exact=True) == "rows"
