"""What this process costs: its age, memory and CPU time."""

from __future__ import annotations

import time

_MIB = 2**20


def age_s() -> float:
    """Return seconds since the process was started, interpreter start-up included."""
    import psutil

    return time.time() - float(psutil.Process().create_time())


def memory_mb() -> float:
    """Return the resident memory in MiB."""
    import psutil

    return float(psutil.Process().memory_info().rss) / _MIB


def cpu_s() -> float:
    """Return the CPU seconds of all threads so far, user and system."""
    return time.process_time()


def machine() -> dict[str, str]:
    """Return the machine and the versions that a measurement belongs to."""
    import platform

    import psutil

    names = ("mediapipe", "opencv-python", "numpy", "av")
    return {
        "cpu": _cpu_name(),
        "cores": f"{psutil.cpu_count() or 0}",
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        **{name: _version(name) for name in names},
    }


def _version(distribution: str) -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(distribution)
    except PackageNotFoundError:
        return "absent"


def _cpu_name() -> str:
    import platform
    from pathlib import Path

    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or "unknown"
    found = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return found[0] if found else platform.processor() or "unknown"
