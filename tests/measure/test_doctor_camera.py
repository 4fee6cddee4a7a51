from __future__ import annotations

import sys
from pathlib import Path

import pytest

from avatar.app.devices import report as report_devices
from avatar.measure import doctor, doctor_camera
from avatar.measure.checks import Check
from avatar.measure.doctor import check_outputs
from avatar.measure.doctor_camera import (
    camera_checks,
    check_loopback,
    check_module,
    check_pipewire,
    is_secure_boot,
    repair_stuck,
)
from avatar.stages.sinks import v4l2
from avatar.stages.sinks.devices import OutputDevice
from avatar.stages.sinks.pipewire_service import PipeWireService

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="explains Linux")

FREE = OutputDevice("/dev/video9", "Avatar", "free")
STUCK = OutputDevice("/dev/video9", "Avatar", "stuck")
NOTHING = PipeWireService(False, False, None, False)
EVERYTHING = PipeWireService(True, True, "wireplumber", True)


def machine(
    monkeypatch: pytest.MonkeyPatch, outputs: list[OutputDevice], service: PipeWireService
) -> None:
    for module in (doctor, doctor_camera):
        monkeypatch.setattr(module, "list_outputs", lambda: outputs)
        monkeypatch.setattr(module, "look_for_pipewire", lambda: service)
    monkeypatch.setattr(doctor_camera, "module_installed", lambda: False)


@pytest.fixture(autouse=True)
def portal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not this machine's: a portal that sees what there is."""
    monkeypatch.setattr(doctor_camera, "portal_misses_camera", lambda: False)


@pytest.mark.parametrize(
    ("output", "state", "words"),
    [
        (FREE, "ok", ["/dev/video9 (Avatar)", "ready"]),
        (STUCK, "fail", ["none can use it", "--repair"]),
        (OutputDevice("/dev/video9", "A", "busy", ("obs (12)",)), "warn", ["in use by obs (12)"]),
        (OutputDevice("/dev/video9", "A", "no permission"), "warn", ["usermod -aG video"]),
        (OutputDevice("/dev/video9", "A", "free", (), True), "warn", ["exclusive_caps=1", "Zoom"]),
    ],
    ids=["free", "stuck", "busy", "no permission", "always reads"],
)
def test_a_loopback_device(output: OutputDevice, state: str, words: list[str]) -> None:
    check, at_each_start = check_loopback([output])
    assert check.state == state
    for word in words:
        assert word in f"{check.detail} {check.remedy}"
    assert "/etc/modules-load.d" in at_each_start.detail
    assert check_loopback([]) == []


@pytest.mark.parametrize(
    ("service", "words"),
    [
        (NOTHING, ["pipewire wireplumber"]),
        (PipeWireService(True, False, None, True), ["nothing listens", "systemctl --user"]),
        (PipeWireService(True, True, None, True), ["session manager", "wireplumber"]),
        (PipeWireService(True, True, "wireplumber", False), ["xdg-desktop-portal"]),
        (EVERYTHING, ["enable-webrtc-pipewire-camera", "media.webrtc.camera.allow-pipewire"]),
    ],
    ids=["absent", "silent", "unmanaged", "no portal", "all"],
)
def test_pipewire(
    service: PipeWireService, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor_camera, "missing_libraries", lambda part: libraries_of(part))
    checks = check_pipewire(service)
    told = " ".join(f"{check.detail} {check.remedy}" for check in checks)
    for word in words:
        assert word in told
    assert (checks[0].state == "ok") == service.is_usable
    assert checks[-1].state == ("ok" if service == EVERYTHING else "warn")


def test_a_portal_that_looked_too_early_is_told_with_the_line_that_helps(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(doctor_camera, "portal_misses_camera", lambda: True)
    check = check_pipewire(EVERYTHING)[-1]
    assert check.state == "warn"
    assert "Firefox lists none" in check.detail
    assert "systemctl --user restart xdg-desktop-portal" in check.remedy


def libraries_of(part: str) -> list[object]:
    from avatar.core.libraries import SYSTEM_LIBRARIES

    return [library for library in SYSTEM_LIBRARIES if library.part == part]


@pytest.mark.parametrize(
    ("content", "on"), [(b"\6\0\0\0\1", True), (b"\6\0\0\0\0", False), (b"", False), (None, False)]
)
def test_secure_boot_is_read_from_the_firmware(
    content: bytes | None, on: bool, tmp_path: Path
) -> None:
    variable = tmp_path / "SecureBoot"
    if content is not None:
        variable.write_bytes(content)
    assert is_secure_boot(variable) is on


def test_an_absent_module_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_camera, "module_installed", lambda: False)
    monkeypatch.setattr(doctor_camera, "is_secure_boot", lambda: True)
    check = check_module()
    assert check.state == "warn"
    assert "Secure Boot" in check.detail
    assert "exclusive_caps=1" in check.remedy


def test_the_choice_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def choice(outputs: list[OutputDevice], service: PipeWireService) -> Check:
        machine(monkeypatch, outputs, service)
        return camera_checks()[-1]

    assert "takes /dev/video9" in choice([FREE], EVERYTHING).detail
    assert "takes PipeWire" in choice([], EVERYTHING).detail
    busy = OutputDevice("/dev/video9", "Avatar", "busy")
    assert "takes PipeWire" in choice([busy], EVERYTHING).detail
    assert choice([busy], NOTHING).state == "fail"
    nothing = choice([], NOTHING)
    assert (nothing.state, nothing.name) == ("fail", "--out virtual")
    assert "v4l2loopback" in nothing.remedy


def test_nothing_is_healed_unless_it_is_stuck(monkeypatch: pytest.MonkeyPatch) -> None:
    healed: list[Path] = []
    monkeypatch.setattr(v4l2, "heal", healed.append)
    machine(monkeypatch, [FREE], NOTHING)
    (check,) = repair_stuck([FREE, OutputDevice("/dev/video8", "B", "busy")])
    assert "nothing was touched" in check.detail
    assert healed == []
    (check,) = repair_stuck([STUCK])
    assert healed == [Path("/dev/video9")]
    assert (check.state, check.detail) == ("ok", "/dev/video9 can be used again")


def test_a_repair_that_fails_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(v4l2, "heal", lambda device: None)
    machine(monkeypatch, [STUCK], NOTHING)
    (check,) = repair_stuck([STUCK])
    assert check.state == "fail"
    assert "still stuck" in check.detail and "modprobe -r" in check.remedy


def test_the_exit_status_and_that_looking_repairs_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(v4l2, "heal", lambda device: pytest.fail("healed without being asked"))
    machine(monkeypatch, [STUCK], EVERYTHING)
    assert doctor_camera.doctor_camera() == 1
    machine(monkeypatch, [FREE], EVERYTHING)
    assert doctor_camera.doctor_camera(repair=True) == 0
    assert "nothing was touched" in capsys.readouterr().out


def test_the_general_check_and_the_list_know_pipewire(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    machine(monkeypatch, [STUCK], EVERYTHING)
    stuck, pipewire = check_outputs()
    assert "--repair" in stuck.remedy
    assert pipewire.state == "ok" and "PipeWire" in pipewire.detail
    report_devices([], [], pipewire=True)
    assert "pipewire" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments", [["--repair"], ["--gpu", "--camera"]], ids=["repair alone", "two checks"]
)
def test_options_that_do_not_go_together(arguments: list[str]) -> None:
    from typer.testing import CliRunner

    from avatar.app.cli import app
    from avatar.core.errors import UsageError

    result = CliRunner().invoke(app, ["doctor", *arguments])
    assert isinstance(result.exception, UsageError)
