"""The command that times trained generators."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="the networks are made with PyTorch")
pytest.importorskip("onnxscript", reason="PyTorch's exporter is written with it")
pytest.importorskip("openvino", reason="it times OpenVINO")

from avatar.measure.trained import speed


def test_it_times_every_engine_and_says_how_much_more_each_takes(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert speed.main(["regions", "--frames", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:4]] == ["portrait", "regions", "regions"]
    assert len(lines[1].split()) == 2  # no network
    assert [len(line.split()) for line in lines[2:4]] == [5, 5]


def test_an_unknown_size_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert speed.main(["toes"]) != 0
    assert "expected one of the sizes" in capsys.readouterr().err
