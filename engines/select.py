"""Which backend a machine can run, and why: a choice that is always told.

``auto`` takes the fastest that is installed and present, in the order of
``engines.backends.BACKENDS``. What was passed over is said with its reason and remedy; a backend
that was asked for by name is used or is an error, and never replaced by another.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from avatar.core.errors import AvatarError, EngineError
from engines.backends import BACKENDS

_SIMPLEST = BACKENDS["onnxruntime"]


@dataclass(frozen=True)
class Choice:
    """A backend, why it was taken, and why those before it were not."""

    backend: str
    reason: str
    passed_over: Mapping[str, str]

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


PROBES: Mapping[str, Probe] = {name: backend.probe for name, backend in BACKENDS.items()}


def choose(wanted: str = "auto", probes: Mapping[str, Probe] = PROBES) -> Choice:
    """The backend to use. Print the result: it says what was chosen, and why.

    Raises ``EngineError`` for an unknown name or when ``auto`` finds none, and whatever keeps a
    backend that was asked for by name from running.
    """
    if wanted != "auto":
        if wanted not in probes:
            raise EngineError(f"no backend is called {wanted!r}; known are auto, {_known(probes)}")
        return Choice(wanted, f"asked for; {probes[wanted]()}", {})
    passed_over: dict[str, str] = {}
    for name, probe in probes.items():
        try:
            return Choice(name, probe(), passed_over)
        except AvatarError as error:
            passed_over[name] = str(error)
    reasons = "; ".join(f"{name}: {why}" for name, why in passed_over.items())
    raise EngineError(
        f"no backend can run here. Expected one of {_known(probes)}; {reasons}. "
        f"The simplest remedy is: pip install {_SIMPLEST.name}, or with the rest that models need "
        f"pip install 'webcam-avatar[{_SIMPLEST.extra}]'"
    )


def _known(probes: Mapping[str, Probe]) -> str:
    return ", ".join(probes)
