"""``avatar devices``: cameras and microphones, and the outputs to send to."""

from __future__ import annotations

from collections.abc import Sequence

from avatar.core.errors import AvatarError
from avatar.stages.sinks.devices import OutputDevice, install_hint, list_outputs
from avatar.stages.sinks.pipewire_service import look_for_pipewire
from avatar.stages.sound.devices import KINDS, NO_CABLE, SoundDevice, is_cable, list_sound
from avatar.stages.sources.devices import CameraInfo, list_cameras


def devices() -> int:
    """Print the cameras, virtual cameras and sound devices of this machine; the status is 0."""
    report(list_cameras(), list_outputs(), pipewire=look_for_pipewire().is_usable)
    try:
        report_sound(list_sound())
    except AvatarError as error:
        from rich.console import Console

        Console(highlight=False, markup=False).print(f"No sound: {error}", soft_wrap=True)
    return 0


def report_sound(devices: Sequence[SoundDevice]) -> None:
    """Print microphones and speakers; where there is no cable to a call, how to get one."""
    from rich.console import Console

    console = Console(highlight=False, markup=False)
    for kind, title in zip(KINDS, ("Microphones", "Speakers"), strict=True):
        fitting = [device for device in devices if device.serves(kind)]
        if not fitting:
            console.print(f"{title}: none found.")
            continue
        rows = [(device.spec, device.name, f"{device.rate_hz} Hz") for device in fitting]
        console.print(_table(title, f"--{kind}", rows, "usual rate"))
    if devices and not any(map(is_cable, devices)):
        console.print(NO_CABLE, soft_wrap=True)


def report(
    cameras: Sequence[CameraInfo], outputs: Sequence[OutputDevice], *, pipewire: bool = False
) -> None:
    """Print both lists; where one is empty, what to do about it.

    ``pipewire``: a camera in PipeWire can be shown.
    """
    from rich.console import Console

    console = Console(highlight=False, markup=False)
    if cameras:
        rows = [(camera.device, camera.name, camera.problem or "ready") for camera in cameras]
        console.print(_table("Cameras", "--camera", rows))
    else:
        console.print("No camera found. Use --camera demo, or --camera FILE.", soft_wrap=True)
    rows = [(f"virtual:{output.device}", output.name, _state(output)) for output in outputs]
    if pipewire:
        rows.append(("pipewire", "Avatar (PipeWire)", "free"))
    if rows:
        console.print(_table("Virtual cameras", "--out", rows))
    else:
        console.print(f"No virtual camera found. {install_hint()}", soft_wrap=True)
    console.print("Always there: --camera demo; --out preview, file:PATH, none.", soft_wrap=True)


def _table(
    title: str, option: str, rows: Sequence[tuple[str, str, str]], last: str = "state"
) -> object:
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, title_justify="left")
    for heading in (option, "name", last):
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))  # a device may call itself anything, [bold] included
    return table


def _state(output: OutputDevice) -> str:
    if output.holders:
        return f"{output.state} ({', '.join(output.holders)})"
    return output.state
