"""Engines import without their libraries, and reach for no network."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests import ROOT

HEAVY = ("torch", "onnx", "onnxruntime", "openvino", "tensorrt", "tensorrt_rtx", "cuda")
MODULES = sorted(
    f"engines.{path.stem}"
    for path in (ROOT / "engines").glob("*.py")
    # PyTorch modules: imported by export only.
    if path.stem not in ("__init__", "deploy", "deploy_convolutions", "deploy_patches")
)


def run(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_modules_import_without_any_runtime() -> None:
    block = "import sys\n" + "".join(f"sys.modules[{name!r}] = None\n" for name in HEAVY)
    names = ", ".join([*MODULES, "engines.networks", "engines.networks.checkpoint"])
    run(f"{block}import {names}")


def test_importing_them_loads_no_runtime() -> None:
    out = run(
        f"import sys, {', '.join(MODULES)}\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    assert out.strip() == "[]"


def test_what_is_missing_is_named_with_its_remedy() -> None:
    out = run(
        "import sys\n"
        + "".join(f"sys.modules[{name!r}] = None\n" for name in HEAVY)
        + "from avatar.core.errors import MissingDependencyError\n"
        "from engines import graph, networks, nvidia, select\n"
        "from engines.onnxruntime import OnnxRuntimeRunner\n"
        "from engines.openvino import OpenVinoRunner\n"
        "for call in (graph.import_onnx, lambda: networks.create('fomm/generator'),\n"
        "             lambda: OnnxRuntimeRunner(None), lambda: OpenVinoRunner(None),\n"
        "             lambda: nvidia.import_library('tensorrt-rtx')):\n"
        "    try: call()\n"
        "    except MissingDependencyError as error: print(error)\n"
    )
    lines = out.splitlines()
    assert len(lines) == 5 and all("pip install" in line for line in lines)


WATCHED = """
import sys
seen = []
def hook(event, args):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"):
        seen.append((event, args))
sys.addaudithook(hook)
import numpy as np
from tests import ROOT
from tests.engines import graphs
from engines.{module} import {name}
with {name}(graphs.sum_and_product(), threads=1) as runner:
    ones = np.ones((2, 3), np.float32)
    runner.infer({{"a": ones, "b": ones}})
assert not seen, seen
assert sys.modules.get("openvino_telemetry") is None
"""


@pytest.mark.parametrize(
    ("module", "name"),
    [("openvino", "OpenVinoRunner"), ("onnxruntime", "OnnxRuntimeRunner")],
)
def test_a_runtime_opens_no_connection(module: str, name: str) -> None:
    pytest.importorskip("onnx", reason="the graph is made with onnx")
    pytest.importorskip(module, reason="the runtime that is watched")
    run(WATCHED.format(module=module, name=name))
