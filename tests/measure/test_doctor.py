"""The doctor names what is wrong, and its exit status says whether something must be mended."""

from __future__ import annotations

import importlib.util
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from avatar.app.devices import report as report_devices
from avatar.core.errors import MissingDependencyError
from avatar.core.home import Home
from avatar.measure import doctor as module
from avatar.measure.checks import Check
from avatar.measure.doctor import (
    check_display,
    check_engines,
    check_face_model,
    check_libraries,
    check_memory,
    check_opencv,
    check_outputs,
    check_permissions,
    check_python,
    report,
    run_checks,
)
from avatar.measure.doctor_user import check_avatar, check_folders
from avatar.measure.speed import Speed
from avatar.stages.sinks.devices import OutputDevice
from avatar.stages.sinks.pipewire_service import PipeWireService
from avatar.stages.sources.devices import CameraInfo

NO_PIPEWIRE = PipeWireService(False, False, None, False)


def test_this_machine_passes_what_its_environment_brings(home: Home) -> None:
    checks = run_checks(home)
    brought = [
        check
        for check in checks
        if check.name in {"Python", "System libraries", "OpenCV", "Face model"}
        or check.name.startswith("Library ")
    ]
    # MediaPipe is looked at where it is.
    assert len(brought) == 8 + (importlib.util.find_spec("mediapipe") is not None)
    assert [check for check in brought if check.state != "ok"] == []
    assert "fps" in next(check.detail for check in checks if check.name == "Speed")


@pytest.mark.parametrize(
    ("version", "state"),
    [((3, 10), "fail"), ((3, 11), "ok"), ((3, 14), "ok"), ((3, 15), "fail")],
)
def test_python_versions(version: tuple[int, int], state: str) -> None:
    assert check_python(version).state == state


BOTH = {"opencv-python": "5.0.0.93", "opencv-contrib-python": "5.0.0.93"}


@pytest.mark.parametrize(
    ("installed", "state"),
    [
        (BOTH, "ok"),
        (BOTH | {"opencv-python": "4.13.0"}, "fail"),
        (BOTH | {"opencv-python-headless": "5.0.0.93"}, "fail"),
        ({"opencv-python": "5.0.0.93"}, "fail"),
        ({}, "fail"),
    ],
)
def test_opencv_distributions(installed: dict[str, str], state: str) -> None:
    check = check_opencv(installed)
    assert check.state == state
    assert bool(check.remedy) == (state == "fail")


def test_a_library_that_does_not_import_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LIBRARIES", {"avatar_absent": ("avatar-absent",)})
    (check,) = check_libraries()
    assert check.state == "fail"
    assert "avatar_absent" in check.detail and "Traceback" not in check.detail


def test_a_library_that_ends_python_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "avatar_crash.py").write_text("import os; os.abort()")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(module, "LIBRARIES", {"avatar_crash": ("avatar-crash",)})
    (check,) = check_libraries()
    assert check.state == "fail" and "signal 6" in check.detail


def test_a_wrong_face_model_is_told(tmp_path: Path, home: Home) -> None:
    check = check_face_model(home, tmp_path / "absent.task")
    assert check.state == "fail" and "absent.task" in check.detail


def test_display(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.sys, "platform", "linux")
    monkeypatch.delenv("DISPLAY", raising=False)
    (check,) = check_display()
    assert check.state == "warn" and "--out file" in check.remedy


def test_permissions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    device = tmp_path / "video0"
    device.touch()
    assert check_permissions([]) == []
    assert check_permissions([device])[0].state == "ok"
    monkeypatch.setattr(os, "access", lambda *_: False)
    (check,) = check_permissions([device])
    assert check.state == "fail" and "video0" in check.detail and "usermod" in check.remedy


@pytest.mark.parametrize(("free_kb", "state"), [(8_000_000, "ok"), (300_000, "warn")])
def test_memory(free_kb: int, state: str, tmp_path: Path) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text(f"MemTotal:  9000000 kB\nMemAvailable:   {free_kb} kB\n")
    assert check_memory(meminfo)[0].state == state
    assert check_memory(tmp_path / "absent") == []


@pytest.mark.parametrize(
    ("output", "says"),
    [
        (OutputDevice("/dev/video9", "Avatar", "busy", ("obs (12)",)), "in use by obs (12)"),
        (OutputDevice("/dev/video9", "Avatar", "no permission"), "may not open"),
        (OutputDevice("/dev/video9", "Avatar", "free"), "/dev/video9"),
    ],
)
def test_outputs(output: OutputDevice, says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "list_outputs", lambda: [output])
    monkeypatch.setattr(module, "look_for_pipewire", lambda: NO_PIPEWIRE)
    (check,) = check_outputs()
    assert says in check.detail
    assert (check.state == "ok") == (output.state == "free")


def test_no_output_says_how_to_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "list_outputs", list)
    monkeypatch.setattr(module, "look_for_pipewire", lambda: NO_PIPEWIRE)
    (check,) = check_outputs()
    assert check.state == "warn" and check.remedy


def test_the_rate_is_bound_by_the_slowest_thread_and_by_all_cores() -> None:
    assert Speed(20, 5, 5, cpu_ms=30, cores=2).fps == 50
    assert Speed(20, 5, 5, cpu_ms=80, cores=2).fps == 25
    assert Speed(10, 15, 10, cpu_ms=35, cores=8).fps == 40


def test_the_exit_status_and_the_lines(capsys: pytest.CaptureFixture[str]) -> None:
    long = "sudo apt-get install -y " + " ".join(f"package{i}" for i in range(20))
    assert report([Check("A", "ok", "fine"), Check("B", "warn", "well", "do")]) == 0
    assert report([Check("C", "fail", "[red]no[/red]", long)]) == 1
    told = capsys.readouterr().out
    assert f"-> {long}\n" in told, "a line to copy is not broken"
    assert "[red]no[/red]" in told
    assert "1 passed, 1 warning, 0 failed" in told


def test_devices_are_listed_or_the_way_to_one(capsys: pytest.CaptureFixture[str]) -> None:
    report_devices([], [])
    assert "--camera demo" in capsys.readouterr().out
    report_devices(
        [CameraInfo("/dev/video0", "[bold]Cam", None), CameraInfo("/dev/video1", "Two", "busy")],
        [OutputDevice("/dev/video9", "Avatar", "busy", ("obs (12)",))],
    )
    told = capsys.readouterr().out
    for word in ("/dev/video0", "[bold]Cam", "ready", "busy", "virtual:/dev/video9", "obs (12)"):
        assert word in told


def test_engines_are_told_with_what_would_run_their_networks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def absent(_backend: str) -> None:
        raise MissingDependencyError("not installed")

    found = check_engines()
    assert "portrait needs nothing" in found.detail and "fomm runs" in found.detail
    monkeypatch.setattr("engines.backends.find_spec", lambda _name: None)
    monkeypatch.setattr("engines.nvidia.import_library", absent)
    found = check_engines()
    assert (found.state, found.remedy) == ("warn", "scripts/setup openvino")
    assert found.detail.endswith("Nothing here can run neural, liveportrait, fomm")


def test_folders_that_cannot_be_written_are_told_and_nothing_is_made(
    home: Home, tmp_path: Path
) -> None:
    home = replace(home, cache=tmp_path / "cache" / "deep")
    data, cache = check_folders(home)
    assert (data.state, cache.state) == ("ok", "ok")
    assert str(home.cache) in cache.detail and "MB free" in cache.detail
    assert not (tmp_path / "cache").exists()
    (tmp_path / "cache").write_text("a file where a folder should be")
    _, cache = check_folders(home)
    assert cache.state == "fail"
    assert str(tmp_path / "cache") in cache.remedy


def test_a_full_disk_is_told(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil._ntuple_diskusage(10**9, 10**9, 4_000_000)  # type: ignore[attr-defined]
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    assert [(check.state, check.remedy) for check in check_folders(home)] == [
        ("warn", "free some space")
    ] * 2


def test_a_photograph_is_looked_at(home: Home, tmp_path: Path) -> None:
    good = check_avatar("builtin", home)
    assert good.state == "ok"
    assert "512×600" in good.detail and "pixels high" in good.detail
    bad = check_avatar(str(tmp_path / "absent.jpg"), home)
    assert bad.state == "fail"
    assert "absent.jpg" in bad.detail
