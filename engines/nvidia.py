"""NVIDIA's libraries and cards: what is installed and present here, and what runs on what.

Every check says what is missing and what to do; nothing here builds or runs an engine.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from avatar.core.errors import EngineError, MissingDependencyError

LIBRARIES = {"tensorrt-rtx": "tensorrt_rtx", "tensorrt": "tensorrt"}
"""Backends and the packages they import."""

RTX_CAPABILITIES = ((7, 5), (8, 0), (8, 6), (8, 9), (12, 0), (12, 1))
_TENSORRT_OLDEST = (7, 5)
_MINIMUM_DRIVER_CUDA = 13000  # what the wheels are built for; driver 580 is the first with it
_MINIMUM_VERSION = {"tensorrt-rtx": (1, 2), "tensorrt": (10, 0)}
_VOLUME_SAMPLING = (11, 2)  # the first TensorRT whose GridSample takes five axes
_DRIVERS = "https://www.nvidia.com/drivers"


def import_library(backend: str) -> Any:
    """The library of a backend; ``MissingDependencyError`` without it, or when it is too old."""
    try:
        library = import_module(LIBRARIES[backend])
    except (ImportError, OSError, RuntimeError) as error:
        raise MissingDependencyError(
            f"the {backend} backend needs {backend}: pip install {backend} 'cuda-core[cu13]'. "
            f"Found: {error}"
        ) from error
    if _version(library) < _MINIMUM_VERSION[backend]:
        wanted = ".".join(map(str, _MINIMUM_VERSION[backend]))
        raise MissingDependencyError(
            f"{backend} {library.__version__} is too old, expected {wanted} or later: "
            f"pip install --upgrade {backend}"
        )
    return library


def _version(library: Any) -> tuple[int, int]:
    major, minor = str(library.__version__).split(".")[:2]
    return int(major), int(minor)


def samples_volumes(backend: str) -> bool:
    """Whether the installed library has GridSample of five axes."""
    library = import_library(backend)
    return backend == "tensorrt-rtx" or _version(library) >= _VOLUME_SAMPLING


def has_driver() -> bool:
    """Return whether NVIDIA's driver seems to be installed; nothing of it is loaded."""
    if sys.platform == "win32":
        return (Path(os.environ.get("SYSTEMROOT", "C:/Windows")) / "System32/nvcuda.dll").exists()
    # Linux, and Linux within Windows.
    return any(Path(p).exists() for p in ("/dev/nvidiactl", "/usr/lib/wsl/lib/libcuda.so.1"))


@dataclass(frozen=True)
class Gpu:
    """A card and its driver. ``driver_cuda`` is as CUDA says it: 13000 for 13.0."""

    name: str
    capability: tuple[int, int]
    driver_cuda: int

    @property
    def architecture(self) -> str:
        """As in ``sm89``."""
        return f"sm{self.capability[0]}{self.capability[1]}"


def find_gpu(index: int = 0) -> Gpu:
    """The card number ``index`` of this machine.

    Raises ``EngineError`` that says which is missing: the driver, a new enough driver, or a card.
    """
    driver = _cuda_driver()
    try:
        status, version = driver.cuDriverGetVersion()
        _check_driver(int(version))
        _succeed(driver, driver.cuInit(0)[0])
        status, count = driver.cuDeviceGetCount()
        _succeed(driver, status)
    except RuntimeError as error:
        raise no_driver(error) from error
    if index >= count:
        raise EngineError(
            f"expected an NVIDIA card number {index}; the driver finds {count}. Choose another "
            "backend with --backend, or check the card with nvidia-smi"
        )
    from cuda.core import Device

    device = Device(index)
    capability = device.compute_capability
    return Gpu(device.name, (capability.major, capability.minor), int(version))


def _cuda_driver() -> Any:
    try:
        return import_module("cuda.bindings.driver")
    except ImportError as error:
        raise MissingDependencyError(
            "running on an NVIDIA card needs cuda-core: pip install 'cuda-core[cu13]'"
        ) from error


def _succeed(driver: Any, status: Any) -> None:
    if status == driver.CUresult.CUDA_SUCCESS:
        return
    if status == driver.CUresult.CUDA_ERROR_NO_DEVICE:
        raise EngineError(
            "the NVIDIA driver is installed but finds no card. Check nvidia-smi; in a container "
            "or virtual machine, pass the card through (docker run --gpus all)"
        )
    raise EngineError(
        f"the NVIDIA driver failed to start ({status.name}). Restart the machine; if it stays, "
        f"install the driver again: {_DRIVERS}"
    )


def no_driver(cause: Exception) -> EngineError:
    """What to say when the driver's library is not there."""
    return EngineError(
        "no NVIDIA driver was found on this machine. Expected driver 580 or later for an RTX card: "
        f"install it from {_DRIVERS}. Without an NVIDIA card choose --backend openvino or "
        f"onnxruntime ({cause})"
    )


def _check_driver(version: int) -> None:
    if version < _MINIMUM_DRIVER_CUDA:
        raise EngineError(
            f"the NVIDIA driver is too old: it speaks CUDA {version // 1000}."
            f"{version % 1000 // 10}, expected {_MINIMUM_DRIVER_CUDA // 1000}.0 or later, which is "
            f"driver 580 or later: {_DRIVERS}"
        )


def check_gpu(gpu: Gpu, backend: str, precision: str) -> None:
    """Raise ``EngineError`` unless ``backend`` runs engines of ``precision`` on this card."""
    _check_driver(gpu.driver_cuda)
    if backend == "tensorrt-rtx" and gpu.capability not in RTX_CAPABILITIES:
        if gpu.capability < _TENSORRT_OLDEST:
            raise _too_old(gpu)
        raise EngineError(
            f"TensorRT-RTX does not run on {gpu.name} ({gpu.architecture}); expected "
            f"{', '.join(f'sm{a}{b}' for a, b in RTX_CAPABILITIES)}. Choose --backend "
            "tensorrt, torch for published networks, or openvino on the processor"
        )
    if gpu.capability < _TENSORRT_OLDEST:
        raise _too_old(gpu)
    if backend == "tensorrt-rtx" and gpu.capability == (7, 5) and precision == "fp32":
        raise EngineError(
            f"TensorRT-RTX has no float32 matrix product on {gpu.name} (sm75); choose "
            "--precision fp16"
        )


def _too_old(gpu: Gpu) -> EngineError:
    return EngineError(
        f"{gpu.name} ({gpu.architecture}) is too old for TensorRT; expected sm75 or later, which "
        "is an RTX 20 or GTX 16 card. Choose --backend openvino or onnxruntime on the processor"
    )
