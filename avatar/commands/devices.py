"""``avatar devices``: the cameras to watch with, and the outputs to send to."""

from __future__ import annotations

from collections.abc import Sequence

from avatar.sinks.devices import OutputDevice, install_hint, list_outputs
from avatar.sinks.pipewire_service import look_for_pipewire
from avatar.sources.devices import CameraInfo, list_cameras


def devices() -> int:
    """Print the cameras and the virtual cameras of this machine; the exit status is 0."""
    report(list_cameras(), list_outputs(), pipewire=look_for_pipewire().is_usable)
    return 0


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


def _table(title: str, option: str, rows: Sequence[tuple[str, str, str]]) -> object:
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, title_justify="left")
    for heading in (option, "name", "state"):
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))  # a device may call itself anything, [bold] included
    return table


def _state(output: OutputDevice) -> str:
    if output.holders:
        return f"{output.state} ({', '.join(output.holders)})"
    return output.state
