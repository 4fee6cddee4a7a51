"""Which backend a machine can run, and why: a choice that is always told.

``auto`` takes the fastest that is installed and present: those for a card first, in the order of
``engines.backends.BACKENDS``. What was passed over is said with its reason and remedy; a backend or
a device that was asked for is used or is an error, and never replaced by another.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import get_args

from avatar.core.errors import AvatarError, EngineError
from engines.backends import BACKENDS, Device, of_device

_SIMPLEST = BACKENDS["onnxruntime"]
_DEVICES: tuple[Device, ...] = get_args(Device)
_WORDS: Mapping[Device, str] = {"cuda": "an NVIDIA card", "cpu": "the processor"}


@dataclass(frozen=True)
class Choice:
    """A backend and what it runs on, why it was taken, and why those before it were not."""

    backend: str
    reason: str
    passed_over: Mapping[str, str]
    device: Device

    @property
    def line(self) -> str:
        """What was taken, without what was not."""
        return f"backend {self.backend}: {self.reason}"

    def __str__(self) -> str:
        lines = [self.line]
        lines += [f"  not {name}: {why}" for name, why in self.passed_over.items()]
        return "\n".join(lines)


Probe = Callable[[], str]
"""Gives why a backend can be used, or raises ``AvatarError`` with what is missing."""
Probes = Mapping[tuple[str, Device], Probe]
"""The probe of each backend on each of its devices, in the order in which ``auto`` tries them."""


PROBES: Probes = {
    (name, device): partial(BACKENDS[name].probe, device)
    for device in _DEVICES
    for name in of_device(device)
}


def choose(wanted: str = "auto", device: str = "auto", probes: Probes = PROBES) -> Choice:
    """The backend to use. Print the result: it says what was chosen, and why.

    ``wanted``: ``auto`` or a backend's name; ``device``: ``auto``, ``cuda`` or ``cpu``. Raises
    ``EngineError`` for an unknown name, for a backend that does not run on the device, or when
    none can run; what keeps the only one that was asked for from running is raised as it is.
    """
    asked = _asked(wanted, device, probes)
    passed_over: dict[str, str] = {}
    for name, place in asked:
        try:
            reason = probes[name, place]()
        except AvatarError as error:
            if len(asked) == 1:
                raise
            passed_over[_called(name, place, probes)] = str(error)
            continue
        named = "asked for; " if wanted != "auto" else ""
        return Choice(name, f"{named}{reason}", passed_over, place)
    raise EngineError(_none_runs(asked, passed_over, device))


def _asked(wanted: str, device: str, probes: Probes) -> list[tuple[str, Device]]:
    """What may be taken, in order. Raises ``EngineError`` where that is nothing."""
    if device not in ("auto", *_DEVICES):
        raise EngineError(f"expected --device auto, {' or '.join(_DEVICES)}, found {device!r}")
    if wanted != "auto" and wanted not in _names(probes):
        raise EngineError(f"no backend is called {wanted!r}; known are auto, {_known(probes)}")
    there = [pair for pair in probes if device in ("auto", pair[1])]
    found = [pair for pair in there if wanted in ("auto", pair[0])]
    if not found:
        known = ", ".join(_names(there))
        raise EngineError(
            f"--device {device}: {wanted} does not run on {_on(device)}; those that do are "
            f"{known}. Take one of them, or leave out --device"
        )
    return found


def _on(device: str) -> str:
    return next((words for name, words in _WORDS.items() if name == device), "this machine")


def _called(name: str, place: Device, probes: Probes) -> str:
    """What a backend is called where it is passed over: one of two devices with its device."""
    alone = sum(other == name for other, _ in probes) == 1
    return name if alone else f"{name} on {_WORDS[place]}"


def _none_runs(asked: list[tuple[str, Device]], passed_over: Mapping[str, str], device: str) -> str:
    reasons = "; ".join(f"{name}: {why}" for name, why in passed_over.items())
    said = (
        f"no backend can run on {_on(device)}. Expected one of {', '.join(_names(asked))}; "
        f"{reasons}. "
    )
    if device == "cuda":
        return f"{said}On the processor: --device cpu"
    return (
        f"{said}The simplest remedy is: pip install {_SIMPLEST.name}, or with the rest that models "
        f"need pip install 'webcam-avatar[{_SIMPLEST.extra}]'"
    )


def _names(pairs: Probes | list[tuple[str, Device]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for name, _ in pairs))


def _known(probes: Probes) -> str:
    return ", ".join(_names(probes))
