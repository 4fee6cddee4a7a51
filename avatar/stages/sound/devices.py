"""Which microphones and speakers there are, and the one that a name means.

On Linux, PortAudio lists only ALSA's devices; what people choose from stands in the sound server
(PipeWire or PulseAudio). Its devices are listed by ``pactl`` and opened through ALSA's device
``pulse``, which libpulse leads to the right one by PULSE_SOURCE and PULSE_SINK.
"""

from __future__ import annotations

import difflib
import json
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from avatar.core.errors import SoundNotFoundError, UsageError
from avatar.core.messages import Message, option_label
from avatar.stages.sound import portaudio

Kind = Literal["mic", "speaker"]
KINDS: tuple[Kind, ...] = ("mic", "speaker")

_PULSE = "pulse"
_WAYS_IN = (_PULSE, "pipewire")
_CABLE_NAMES = ("cable", "blackhole", "loopback", "null", "virtual", "avatar")
NO_CABLE = (
    "For a call, sound needs a cable that leads from --speaker to the call's microphone: "
    "`pactl load-module module-null-sink sink_name=avatar_cable` (Linux), VB-CABLE (Windows), "
    "BlackHole (macOS)."
)


@dataclass(frozen=True)
class SoundDevice:
    """A microphone, a speaker, or both.

    ``index``: PortAudio's, which changes when devices come and go. ``node``: the sound server's
    own name for it, None where PortAudio opens the device itself.
    """

    index: int
    name: str
    inputs: int
    outputs: int
    rate_hz: int
    node: str | None = None

    @property
    def spec(self) -> str:
        """Return what to write after ``--mic`` or ``--speaker``."""
        return self.node or str(self.index)

    def serves(self, kind: Kind) -> bool:
        """Return whether it is of that kind."""
        return (self.inputs if kind == "mic" else self.outputs) > 0


def list_sound() -> list[SoundDevice]:
    """Return all devices, the sound server's first. Raises ``MissingDependencyError``."""
    own = [
        SoundDevice(
            entry["index"], entry["name"], entry["max_input_channels"],
            entry["max_output_channels"], round(entry["default_samplerate"]),
        )
        for entry in portaudio.query()
    ]  # fmt: skip
    pulse = next((device for device in own if device.name == _PULSE), None)
    if pulse is None:
        return own
    nodes = served(pulse.index, _pactl("sources"), _pactl("sinks"))
    # ALSA's ways into the server lead to the default device, as "default" does.
    return nodes + [device for device in own if not nodes or device.name not in _WAYS_IN]


def is_cable(device: SoundDevice) -> bool:
    """Return whether a device seems to lead into other programs instead of to ears."""
    names = f"{device.name} {device.node or ''}".lower()
    return device.outputs > 0 and any(name in names for name in _CABLE_NAMES)


def served(
    index: int, sources: Sequence[dict[str, Any]], sinks: Sequence[dict[str, Any]]
) -> list[SoundDevice]:
    """Return the sound server's devices, of what ``pactl --format=json list`` prints."""
    devices = []
    for entries, is_source in ((sources, True), (sinks, False)):
        for entry in entries:
            channels, rate_hz = _format(entry)
            devices.append(
                SoundDevice(
                    index, entry.get("description") or entry["name"], channels * is_source,
                    channels * (not is_source), rate_hz, entry["name"],
                )
            )  # fmt: skip
    return devices


def _format(entry: dict[str, Any]) -> tuple[int, int]:
    """Return channels and rate of "float32le 2ch 48000Hz"."""
    parts = str(entry.get("sample_specification", "")).split()
    channels = next((p[:-2] for p in parts if p.endswith("ch")), "")
    rate = next((p[:-2] for p in parts if p.endswith("Hz")), "")
    return (
        int(channels) if channels.isdecimal() else 2,
        int(rate) if rate.isdecimal() else 48_000,
    )


def _pactl(what: str) -> list[dict[str, Any]]:
    if shutil.which("pactl") is None:
        return []
    try:
        done = subprocess.run(
            ["pactl", "--format=json", "list", what],
            capture_output=True, text=True, timeout=5, errors="replace",
        )  # fmt: skip
        entries = json.loads(done.stdout) if done.returncode == 0 else []
    except (OSError, subprocess.TimeoutExpired, json.JSONDecodeError):
        return []  # no sound server is running, or its tool is too old for JSON
    return [entry for entry in entries if isinstance(entry, dict) and entry.get("name")]


def choose(devices: Sequence[SoundDevice], spec: str, kind: Kind) -> SoundDevice:
    """Return the device that ``spec`` names: a number, a name, or a part of only one name.

    ``default`` is what the system uses by default. Raises ``SoundNotFoundError`` naming what there
    is, and ``UsageError`` when several names fit.
    """
    fitting = [device for device in devices if device.serves(kind)]
    if spec == "default":
        index = portaudio.default_index(kind)
        found = [d for d in fitting if d.node is None and d.index == index]
        if not found:
            raise _not_found(fitting, spec, kind)
        return found[0]
    found = [d for d in fitting if spec in (d.node, d.name)]
    found = found or [d for d in fitting if d.node is None and spec == str(d.index)]
    part = spec.lower()
    found = found or [
        d for d in fitting if part in d.name.lower() or (d.node and part in d.node.lower())
    ]
    if not found:
        raise _not_found(fitting, spec, kind)
    if len({(d.index, d.node) for d in found}) > 1:
        raise UsageError(
            f"--{kind}: expected a name that fits one device, found {spec!r}, which fits "
            f"{_named(found)}. Write more of the name, or its number."
        )
    return found[0]


def _not_found(devices: Sequence[SoundDevice], spec: str, kind: Kind) -> SoundNotFoundError:
    flag = option_label(kind, f"--{kind}")
    if not devices:
        what = (
            Message("error.aMicrophone", "microphone")
            if kind == "mic"
            else Message("error.aSpeaker", "speaker")
        )
        return SoundNotFoundError(
            Message(
                "error.soundNone",
                "{flag}: expected a {what}, found none on this machine. Plug one in, or start the "
                "sound server (PipeWire, PulseAudio); `avatar devices` shows what there is.",
                flag=flag, what=what,
            )
        )  # fmt: skip
    names = [d.node or d.name for d in devices]
    near = difflib.get_close_matches(spec, names, n=1, cutoff=0.5)
    hint = f" Did you mean {near[0]}?" if near else ""
    cable = f" {NO_CABLE}" if kind == "speaker" and not any(map(is_cable, devices)) else ""
    return SoundNotFoundError(
        Message(
            "error.soundUnknown",
            "{flag}: expected one of {devices}; found {found}.{hint}{cable}",
            flag=flag, devices=_named(devices), found=repr(spec), hint=hint, cable=cable,
        )
    )  # fmt: skip


def _named(devices: Sequence[SoundDevice]) -> str:
    return ", ".join(d.spec if d.spec == d.name else f"{d.spec} ({d.name})" for d in devices)
