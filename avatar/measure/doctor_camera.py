"""``avatar doctor --camera``: which virtual cameras this system can have, and what each needs.

It looks and explains. It loads no module, installs nothing and opens no camera for writing; only
with ``repair`` does it touch a device, and only one that no program can use as it is.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from avatar.core.libraries import install_line, missing_libraries, system_family
from avatar.measure.checks import Check
from avatar.measure.doctor import JOIN_VIDEO
from avatar.stages.sinks import v4l2
from avatar.stages.sinks.devices import OutputDevice, install_hint, list_outputs, module_installed
from avatar.stages.sinks.pipewire_service import (
    PipeWireService,
    look_for_pipewire,
    portal_misses_camera,
    socket_path,
)

_SECURE_BOOT = Path(
    "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
)  # UEFI specification, 3.3: four bytes of attributes, then 1 where it is on
_IMMUTABLE = Path("/run/ostree-booted")
_REPAIR = "avatar doctor --camera --repair"
_EXCLUSIVE = (
    "close what uses it, then: sudo modprobe -r v4l2loopback && "
    'sudo modprobe v4l2loopback exclusive_caps=1 card_label="Avatar"'
)
_AT_EACH_START = (
    "echo v4l2loopback | sudo tee /etc/modules-load.d/v4l2loopback.conf; "
    "echo 'options v4l2loopback exclusive_caps=1 card_label=\"Avatar\"' | "
    "sudo tee /etc/modprobe.d/v4l2loopback.conf"
)
_START_PIPEWIRE = "systemctl --user enable --now pipewire wireplumber"
_LOOK_AGAIN = (
    "while the avatar runs: systemctl --user restart xdg-desktop-portal; then restart the browser"
)
_BROWSERS = (
    "Chrome and Chromium: set chrome://flags/#enable-webrtc-pipewire-camera to Enabled; "
    "Firefox: set media.webrtc.camera.allow-pipewire to true in about:config; restart them"
)


def doctor_camera(repair: bool = False) -> int:
    """Print what there is and what is missing; returns 1 when there is no virtual camera.

    ``repair``: free the v4l2loopback devices that an earlier writer left unusable.
    """
    from avatar.measure.doctor import report

    repaired = repair_stuck(list_outputs()) if repair else []
    return report([*repaired, *camera_checks()])


def camera_checks() -> list[Check]:
    """Return the state of every kind of virtual camera, and what ``--out virtual`` would take."""
    outputs = list_outputs()
    if not sys.platform.startswith("linux"):
        return [*map(_check_driver, outputs), _check_choice(outputs, None)]
    service = look_for_pipewire()
    return [
        *(check_loopback(outputs) or [check_module()]),
        *check_pipewire(service),
        _check_choice(outputs, service),
    ]


def _check_driver(output: OutputDevice) -> Check:
    return Check("Virtual camera", "ok", f"{output.name} is installed")


def check_loopback(outputs: Sequence[OutputDevice]) -> list[Check]:
    """Return a check for each v4l2loopback device; none where there is no device."""
    checks = [_check_device(output) for output in outputs]
    if checks:
        checks.append(
            Check("v4l2loopback", "ok", f"loaded; to have it after a restart: {_AT_EACH_START}")
        )
    return checks


def _check_device(output: OutputDevice) -> Check:
    name, detail = "v4l2loopback", f"{output.device} ({output.name})"
    if output.state == "stuck":
        return Check(
            name, "fail", f"{detail}: an earlier program left it so that none can use it", _REPAIR
        )
    if output.state == "busy":
        holders = ", ".join(output.holders) or "another program"
        return Check(name, "warn", f"{detail}: in use by {holders}", "close that program first")
    if output.state == "no permission":
        return Check(name, "warn", f"{detail}: this user may not open it", JOIN_VIDEO)
    if output.always_reads:
        return Check(
            name, "warn", f"{detail}: loaded without exclusive_caps=1, so Chrome, Teams and Zoom "
            "do not take it for a camera", _EXCLUSIVE,
        )  # fmt: skip
    return Check(name, "ok", f"{detail}: ready")


def check_module() -> Check:
    """Return why there is no v4l2loopback device, and what the system stands in the way with."""
    detail = "not loaded" if module_installed() else "not installed"
    if is_secure_boot():
        detail += (
            "; Secure Boot is on, so the module must be signed with a key that you enrol (Debian "
            "and Ubuntu ask for a password while installing it, and once more at the next start)"
        )
    if _IMMUTABLE.exists():
        detail += "; this system's files are fixed, so the module has to be layered onto it"
    return Check(
        "v4l2loopback", "warn", f"{detail}. Programs that know no PipeWire, such as Zoom, need it",
        install_hint(),
    )  # fmt: skip


def is_secure_boot(variable: Path = _SECURE_BOOT) -> bool:
    """Tell whether the firmware lets only signed modules into the kernel."""
    try:
        return variable.read_bytes()[4:5] == b"\1"
    except OSError:
        return False


def check_pipewire(service: PipeWireService) -> list[Check]:
    """Return what a PipeWire camera has and lacks here, the first thing that is missing only."""
    name = "PipeWire"
    if not service.library:
        line = install_line(missing_libraries("pipewire"), system_family())
        return [Check(name, "warn", "not installed; needs no kernel module", line)]
    if not service.answers:
        return [Check(name, "warn", _silence(), _START_PIPEWIRE)]
    if service.manager is None:
        detail = "it runs, but no session manager that connects programs with cameras"
        return [Check(name, "warn", detail, f"install wireplumber, then: {_START_PIPEWIRE}")]
    checks = [Check(name, "ok", f"runs, with {service.manager}; --out pipewire works")]
    if not service.portal:
        detail = "xdg-desktop-portal is not installed, so browsers cannot ask for the camera"
        remedy = "install xdg-desktop-portal and your desktop's own, such as xdg-desktop-portal-gtk"
        return [*checks, Check(name, "warn", detail, remedy)]
    if portal_misses_camera():
        detail = (
            "xdg-desktop-portal looked for cameras before there was one, and still says that there "
            "is none: Firefox lists none"
        )
        return [*checks, Check(name, "warn", detail, _LOOK_AGAIN)]
    return [*checks, Check(name, "ok", f"in browsers, once: {_BROWSERS}")]


def _silence() -> str:
    detail = f"nothing listens at {socket_path()}"
    if not shutil.which("pipewire"):
        return f"{detail}; install the packages pipewire and wireplumber first"
    if os.geteuid() == 0:
        return f"{detail}; it runs for the user who is logged in, so ask as that one, without sudo"
    return detail


def _check_choice(outputs: Sequence[OutputDevice], service: PipeWireService | None) -> Check:
    """Return what ``--out virtual`` would take, in the order in which it looks."""
    name = "--out virtual"
    usable = [output for output in outputs if output.state in ("free", "stuck", "unknown")]
    if usable:
        return Check(name, "ok", f'takes {usable[0].device}: choose "{usable[0].name}" in the call')
    if service is not None and service.is_usable:
        return Check(name, "ok", 'takes PipeWire: choose "Avatar" in the call')
    if outputs:
        return Check(name, "fail", "finds no camera that is free", "fix the problems above")
    return Check(name, "fail", "finds no virtual camera; --out preview works", install_hint())


def repair_stuck(outputs: Sequence[OutputDevice]) -> list[Check]:
    """Free the devices among ``outputs`` that are stuck, and say for each whether it worked."""
    stuck = [output for output in outputs if output.state == "stuck"]
    if not stuck:
        return [Check("Repair", "ok", "no device is stuck; nothing was touched")]
    for output in stuck:
        v4l2.heal(Path(output.device))
    now = {output.device: output.state for output in list_outputs()}
    return [_repaired(output, now.get(output.device)) for output in stuck]


def _repaired(output: OutputDevice, state: str | None) -> Check:
    if state == "free":
        return Check("Repair", "ok", f"{output.device} can be used again")
    return Check(
        "Repair", "fail", f"{output.device} is still {state or 'gone'}",
        "close every program that has it open, then: "
        "sudo modprobe -r v4l2loopback && sudo modprobe v4l2loopback exclusive_caps=1",
    )  # fmt: skip
