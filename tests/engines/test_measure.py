"""The measuring command says what it did, and what was wrong with the question."""

from __future__ import annotations

from pathlib import Path

import pytest

from engines.measure import main

pytest.importorskip("torch", reason="the originals that are measured")


def test_an_unknown_family_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fom"]) == 1
    assert "no family is called 'fom'; known are fomm, liveportrait" in capsys.readouterr().err


def test_a_folder_without_the_checkpoints_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fomm", "--checkpoints", str(tmp_path)]) == 1
    assert "has no checkpoint of fomm/generator, fomm/kp_detector" in capsys.readouterr().err


@pytest.mark.slow
def test_a_row_for_each_form(capsys: pytest.CaptureFixture[str]) -> None:
    for package in ("onnxscript", "onnxruntime", "openvino"):
        pytest.importorskip(package, reason="one of the forms")
    forms = ["original", "openvino fp32", "openvino int8", "onnxruntime fp32"]
    arguments = [word for form in forms for word in ("--form", form)]
    assert main(["fomm", *arguments, "--repeats", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line[14:].split("  ")[0].strip() for line in lines[2:-1]] == [
        "original (torch)",
        *forms[1:],
    ]
    errors = [float(line.split()[-1]) for line in lines[3:-1]]
    assert errors[0] < 1e-3 and errors[1] < 5e-2 and errors[2] < 1e-3
