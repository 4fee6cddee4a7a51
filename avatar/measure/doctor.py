"""``avatar doctor``: what this machine has, what it lacks, and the line that mends it."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from avatar.core.counting import counted
from avatar.core.errors import AvatarError, MissingDependencyError
from avatar.core.home import Home
from avatar.core.libraries import install_line, missing_libraries, system_family
from avatar.core.terminal import as_typed
from avatar.library.face_model import find_face_model
from avatar.measure.checks import Check
from avatar.measure.doctor_user import check_avatar, check_folders
from avatar.stages.sinks.devices import OutputDevice, install_hint, list_outputs
from avatar.stages.sinks.pipewire_service import look_for_pipewire
from avatar.stages.sound.devices import KINDS, NO_CABLE, is_cable, list_sound
from avatar.stages.sources.devices import list_cameras
from avatar.stages.track.choice import choose_tracker

TARGET_FPS = 30
MEMORY_MB = 600
JOIN_VIDEO = 'sudo usermod -aG video "$USER", then log out and in again'
SUPPORTED_PYTHONS = ((3, 11), (3, 14))
# module, the distributions whose versions are told
LIBRARIES: dict[str, tuple[str, ...]] = {
    "mediapipe": ("mediapipe",),
    "cv2": ("opencv-python", "opencv-contrib-python"),
    "av": ("av",),
    "pyvirtualcam": ("pyvirtualcam",),
    "PIL": ("pillow",),
}
# In a process of its own: a wheel that does not fit this CPU ends the interpreter.
_IMPORT = """
import importlib, sys
from avatar.core.libraries import missing_library_error
try:
    importlib.import_module(sys.argv[1])
except (ImportError, OSError) as error:
    sys.exit(str(missing_library_error(error)))
"""


def run_checks(
    home: Home, face_model: Path | None = None, avatar: str | None = None
) -> list[Check]:
    """Look at everything that a run needs; takes a few seconds and opens no connection.

    ``face_model`` is the path given with ``--face-model``. ``avatar``: a photograph, or the name of
    a stored avatar, to look at too. Nothing is downloaded.
    """
    libraries = [check_system_libraries(), *check_libraries(), check_opencv()]
    usable = all(check.state != "fail" for check in libraries)
    return [
        check_python(),
        *libraries,
        check_face_model(home, face_model),
        *check_cameras(),
        *check_outputs(),
        *check_display(),
        check_sound(),
        check_streams(),
        *([check_tracker(), check_engines()] if usable else []),
        *check_permissions(),
        *check_folders(home),
        *check_memory(),
        check_speed(home, face_model) if usable else _unmeasured_speed(),
        *([check_avatar(avatar, home, face_model)] if usable and avatar is not None else []),
    ]


def check_python(version: tuple[int, int] | None = None) -> Check:
    """Check that wheels of every dependency exist for this Python."""
    found = version or (sys.version_info.major, sys.version_info.minor)
    detail = f"{found[0]}.{found[1]} at {sys.executable}"
    if SUPPORTED_PYTHONS[0] <= found <= SUPPORTED_PYTHONS[1]:
        return Check("Python", "ok", detail)
    return Check(
        "Python", "fail", f"{detail}; expected 3.11 to 3.14", "PYTHON=python3.12 scripts/setup"
    )


def check_system_libraries() -> Check:
    """Check the shared libraries that the wheels expect of the system."""
    missing = missing_libraries("core")
    if not missing:
        return Check("System libraries", "ok", "all that tracking and drawing need")
    names = ", ".join(library.soname for library in missing)
    return Check(
        "System libraries", "fail", f"missing: {names}", install_line(missing, system_family())
    )


def check_libraries() -> list[Check]:
    """Import each heavy library in a process of its own."""
    wanted = [name for name in LIBRARIES if name != "mediapipe" or importlib.util.find_spec(name)]
    with ThreadPoolExecutor(max_workers=2) as pool:
        return list(pool.map(_check_library, wanted))


def check_tracker() -> Check:
    """Say what finds and follows faces here."""
    try:
        return Check("Tracker", "ok", choose_tracker().line.removeprefix("tracker "))
    except MissingDependencyError as error:
        return Check("Tracker", "fail", str(error))


def _check_library(module: str) -> Check:
    result = subprocess.run(
        [sys.executable, "-c", _IMPORT, module], capture_output=True, text=True, errors="replace"
    )
    if result.returncode == 0:
        return Check(f"Library {module}", "ok", ", ".join(map(_version, LIBRARIES[module])))
    if result.returncode < 0:
        return Check(
            f"Library {module}",
            "fail",
            f"importing it ended Python with signal {-result.returncode}",
            f"{sys.executable} -m pip install --force-reinstall {' '.join(LIBRARIES[module])}",
        )
    return Check(f"Library {module}", "fail", result.stderr.strip().splitlines()[-1])


def _version(distribution: str) -> str:
    try:
        return f"{distribution} {importlib.metadata.version(distribution)}"
    except importlib.metadata.PackageNotFoundError:
        return f"{distribution} absent"


def check_opencv(installed: dict[str, str] | None = None) -> Check:
    """Check that the OpenCV distributions, which share one folder, do not overwrite each other.

    ``installed`` maps distributions to versions, in place of this environment's own.
    """
    if installed is None:
        installed = {
            distribution.name.lower(): distribution.version
            for distribution in importlib.metadata.distributions()
            if distribution.name.lower().startswith("opencv")
        }
    found = ", ".join(f"{name} {version}" for name, version in sorted(installed.items()))
    headless = sorted(name for name in installed if name.endswith("-headless"))
    both = {"opencv-python", "opencv-contrib-python"}
    if headless or not both <= installed.keys() or len(set(installed.values())) != 1:
        return Check(
            "OpenCV",
            "fail",
            f"expected {' and '.join(sorted(both))} of one version and no -headless variant, "
            f"found {found or 'none'}",
            "delete the folder .venv, then scripts/setup",
        )
    return Check(
        "OpenCV", "ok", f"one version in both distributions, {set(installed.values()).pop()}"
    )


def check_face_model(home: Home, explicit: Path | None = None) -> Check:
    """Check that the face model is on this machine and is the real one."""
    try:
        path = find_face_model(explicit, home, allow_download=False)
    except AvatarError as error:
        return Check("Face model", "fail", str(error))
    return Check("Face model", "ok", f"{path}, SHA-256 as expected")


def check_cameras() -> list[Check]:
    """List the cameras and what keeps each from being used."""
    cameras = list_cameras()
    if not cameras:
        return [
            Check(
                "Camera",
                "warn",
                "none found",
                "plug one in; or use --camera demo or --camera FILE",
            )
        ]
    return [
        Check("Camera", "warn", f"{camera.name} ({camera.device}): {camera.problem}")
        if camera.problem
        else Check("Camera", "ok", f"{camera.name} ({camera.device})")
        for camera in cameras
    ]


def check_outputs() -> list[Check]:
    """List the virtual cameras, or say how this system gets one."""
    outputs = list_outputs()
    checks = [_check_output(output) for output in outputs]
    if look_for_pipewire().is_usable:
        detail = "PipeWire (--out pipewire); `avatar doctor --camera` says which programs see it"
        checks.append(Check("Virtual camera", "ok", detail))
    if checks:
        return checks
    detail = (
        "none found, so --out virtual cannot work; --out preview and --out file:PATH can. "
        "`avatar doctor --camera` lists every way"
    )
    return [Check("Virtual camera", "warn", detail, install_hint())]


def _check_output(output: OutputDevice) -> Check:
    detail = f"{output.name} ({output.device})"
    if output.state == "busy":
        holders = ", ".join(output.holders) or "another program"
        return Check("Virtual camera", "warn", f"{detail}: in use by {holders}", "close it first")
    if output.state == "no permission":
        return Check("Virtual camera", "warn", f"{detail}: this user may not open it", JOIN_VIDEO)
    if output.state == "stuck":
        detail += ": an earlier program left it unusable for others; --out virtual repairs it"
        return Check("Virtual camera", "warn", detail, "avatar doctor --camera --repair")
    return Check("Virtual camera", "ok", detail)


def check_display() -> list[Check]:
    """Check that a preview window can be opened; other systems than Linux always can."""
    if sys.platform != "linux":
        return []
    missing = missing_libraries("preview")
    if not os.environ.get("DISPLAY"):
        return [
            Check(
                "Display",
                "warn",
                "none: DISPLAY is not set, so --out preview cannot open a window",
                "run inside a desktop session (on Wayland with XWayland), "
                "or use --out file:PATH or --out virtual",
            )
        ]
    if missing:
        names = ", ".join(library.soname for library in missing)
        line = install_line(missing, system_family())
        return [Check("Display", "warn", f"--out preview lacks {names}", line)]
    return [Check("Display", "ok", os.environ["DISPLAY"])]


def check_sound() -> Check:
    """Check that a microphone could be used; only ``--mic`` needs one."""
    missing = missing_libraries("sound")
    if missing:
        names = ", ".join(library.soname for library in missing)
        line = install_line(missing, system_family())
        return Check("Sound", "warn", f"--mic lacks {names}; pictures need no sound", line)
    try:
        devices = list_sound()
    except AvatarError as error:
        return Check("Sound", "warn", f"--mic cannot work: {error}")
    mics, speakers = (sum(d.serves(kind) for d in devices) for kind in KINDS)
    if not mics:
        detail = "no microphone found; only --mic needs one"
        remedy = "plug one in, or start the sound server (PipeWire, PulseAudio)"
        return Check("Sound", "warn", detail, remedy)
    detail = (
        f"{counted(mics, 'microphone')}, {counted(speakers, 'speaker')}, listed by `avatar devices`"
    )
    if any(map(is_cable, devices)):
        return Check("Sound", "ok", detail)
    return Check("Sound", "warn", f"{detail}; none leads into a call", NO_CABLE)


def check_streams() -> Check:
    """Check which encoders of H.264 really open here; only streams need one."""
    from avatar.stages.sinks.streaming.encoders import ENCODERS, VideoPlan, why_not

    try:
        plan = VideoPlan((1280, 720), TARGET_FPS, 3000)
        troubles = {name: why_not(name, plan) for name in ENCODERS}
    except ImportError:
        return Check("Streams", "warn", "not looked at: PyAV comes first", "fix the problems above")
    opening = [name for name, trouble in troubles.items() if trouble is None]
    if not opening:
        remedy = f"{sys.executable} -m pip install --force-reinstall av"
        return Check("Streams", "warn", "no H.264 encoder opens, so --out rtmp:… cannot", remedy)
    others = ", ".join(name for name in ENCODERS if name not in opening)
    whip = "" if importlib.util.find_spec("aiortc") else "; --out whip:… lacks aiortc"
    detail = f"encoders that open here: {', '.join(opening)} (not {others}){whip}"
    return Check("Streams", "ok", detail, "scripts/setup webrtc" if whip else "")


def check_engines() -> Check:
    """Check what can run the engines' networks here, whether or not any are installed."""
    from avatar.sessions.engines import ENGINES
    from engines.select import choose

    detail = "; ".join(f"{name} {engine.help}" for name, engine in ENGINES.items())
    try:
        return Check("Engines", "ok", f"{detail}. {choose().line}")
    except AvatarError:
        extras = dict.fromkeys(engine.extra for engine in ENGINES.values() if engine.extra)
        lacking = ", ".join(name for name, engine in ENGINES.items() if engine.extra)
        remedy = f"scripts/setup {' '.join(extras)}"
        return Check("Engines", "warn", f"{detail}. Nothing here can run {lacking}", remedy)


def check_permissions(devices: Sequence[Path] | None = None) -> list[Check]:
    """Check that this user may open the video devices (Linux); none: nothing to check."""
    if devices is None:
        devices = sorted(Path("/dev").glob("video*"))
    closed = [str(device) for device in devices if not os.access(device, os.R_OK | os.W_OK)]
    if closed:
        return [
            Check(
                "Permissions",
                "fail",
                f"this user may not open {', '.join(closed)}",
                JOIN_VIDEO,
            )
        ]
    return [Check("Permissions", "ok", "all video devices may be opened")] if devices else []


def check_memory(meminfo: Path = Path("/proc/meminfo")) -> list[Check]:
    """Check that a run fits into the memory that is free (Linux's MemAvailable)."""
    if not meminfo.exists():
        return []
    fields = dict(line.split(":", 1) for line in meminfo.read_text().splitlines() if ":" in line)
    available_mb = int(fields["MemAvailable"].split()[0]) // 1024
    if available_mb >= MEMORY_MB:
        return [Check("Memory", "ok", f"{available_mb} MB free, a run takes up to {MEMORY_MB}")]
    detail = f"{available_mb} MB free, expected {MEMORY_MB} or more"
    return [Check("Memory", "warn", detail, "close other programs")]


def check_speed(home: Home, face_model: Path | None = None) -> Check:
    """Time the costs of a frame and say what rate they allow."""
    from avatar.measure.speed import measure_speed

    try:
        model = find_face_model(face_model, home, allow_download=False)
        speed = measure_speed(model, home)
    except AvatarError as error:
        return Check("Speed", "fail", str(error))
    detail = (
        f"about {speed.fps:.0f} fps to expect with nothing else running, {TARGET_FPS} wanted "
        f"(tracking {speed.track_ms:.1f} ms, drawing {speed.draw_ms:.1f}, converting "
        f"{speed.convert_ms:.1f}; {speed.cpu_ms:.1f} ms of CPU on {speed.cores} cores)"
    )
    if speed.fps >= TARGET_FPS:
        return Check("Speed", "ok", detail)
    remedy = "close other programs, plug in the charger, or ask for less: --size 640x360 --fps 15"
    return Check("Speed", "warn", detail, remedy)


def _unmeasured_speed() -> Check:
    remedy = "fix the problems above"
    return Check("Speed", "warn", "not measured: the libraries come first", remedy)


def report(checks: Sequence[Check]) -> int:
    """Print the checks and return the exit status: 1 when one of them failed."""
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    styles = {"ok": "green", "warn": "yellow", "fail": "bold red"}
    for check in checks:
        line = Text(f"{check.state:<5}", styles[check.state])
        line.append(f"{check.name}: {as_typed(check.detail)}", "default")
        console.print(line, soft_wrap=True)  # lines to copy must not be broken
        if check.remedy:
            console.print(Text(f"      -> {as_typed(check.remedy)}", "bold"), soft_wrap=True)
    failed = sum(check.state == "fail" for check in checks)
    warned = sum(check.state == "warn" for check in checks)
    warnings = f"{warned} warning{'' if warned == 1 else 's'}"
    console.print(f"{len(checks) - failed - warned} passed, {warnings}, {failed} failed")
    return 1 if failed else 0


def doctor(home: Home, face_model: Path | None = None, avatar: str | None = None) -> int:
    """Check this machine, print the result, and return the exit status."""
    return report(run_checks(home, face_model, avatar))
