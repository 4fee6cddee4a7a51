"""The program starts fast: nothing heavy is imported before it is used."""

from __future__ import annotations

import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import ROOT

HEAVY = {
    "cv2", "mediapipe", "av", "pyvirtualcam", "PIL", "scipy", "matplotlib", "sounddevice",
    "torch", "tensorrt", "tensorrt_rtx", "onnxruntime", "openvino", "cuda", "huggingface_hub",
    "pynput",
    "aiortc", "starlette", "uvicorn", "websockets", "cryptography",
}  # fmt: skip


# What is a torch.nn.Module needs torch to be defined at all; these are imported by the functions
# that make networks: every other module imports without them.
DEFINITIONS = {
    "engines.deploy",
    *(
        f"engines.networks.{family}.{form}"
        for family in ("fomm", "liveportrait")
        for form in ("published", "deployed")
    ),
    "engines.deploy_convolutions",
    "engines.deploy_patches", "engines.networks.half", "engines.networks.portrait_gan",
    "engines.training.loop",
    "engines.training.losses", "engines.training.devices", "engines.training.group",
    "engines.training.loopback", "engines.training.augment", "engines.training.muon",
    "engines.training.parts",
}  # fmt: skip


def modules() -> Iterator[str]:
    """Every module of the project, found without importing any."""
    for package in ("avatar", "engines", "calibrate"):
        folders = [str(ROOT / package)]
        yield package
        while folders:
            folder = folders.pop()
            for found in pkgutil.iter_modules([folder]):
                path = Path(folder) / found.name
                if found.ispkg:
                    folders.append(str(path))
                if found.name != "__main__":  # importing it is running it
                    yield ".".join(path.relative_to(ROOT).parts)


def imported_by(code: str, *arguments: str) -> set[str]:
    """Run ``code`` in a fresh interpreter and return the top-level modules it had imported."""
    tell = (
        "import atexit, sys\n"
        "atexit.register(lambda: sys.stderr.write('\\nIMPORTED ' + ' '.join("
        "{name.partition('.')[0] for name in sys.modules})))\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", tell + code, *arguments], capture_output=True, text=True, cwd=ROOT
    )
    assert result.returncode == 0, result.stderr
    return set(result.stderr.rpartition("IMPORTED ")[2].split())


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"], ["run", "--help"], ["doctor", "--help"], ["avatars", "add", "--help"],
        ["models", "pull", "--help"], ["studio", "--help"],
    ],
)  # fmt: skip
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    run = "import sys; from avatar.app.cli import main; sys.argv[0] = 'avatar'; sys.exit(main())"
    imported = imported_by(run, *arguments)
    assert "avatar" in imported
    assert imported & (HEAVY | {"numpy"}) == set()


def test_every_module_imports_without_heavy_libraries() -> None:
    names = sorted(set(modules()) - DEFINITIONS)
    assert "avatar.stages.track.landmarker" in names
    imports = "import importlib, sys\nfor name in sys.argv[1:]: importlib.import_module(name)"
    assert imported_by(imports, *names) & HEAVY == set()


def test_the_package_itself_needs_not_even_numpy() -> None:
    assert "numpy" not in imported_by(
        "import avatar, avatar.core.libraries, avatar.library.face_model"
    )
