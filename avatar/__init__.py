"""A real-time webcam avatar driver: a photograph speaks, smiles and looks around in your place.

The public names load when they are first used, so that importing the package stays cheap:

- ``Driver``: every frame in order, deterministic; for programs and tests.
- ``open_live``: the threaded loop from a camera to its sinks.
- ``make_clip``: photographs that move to a song, as a film to share.
- ``make_still``: a photograph with another expression.
- ``Home``: whose avatars, profiles and caches those two use; ``Home.under(folder)`` for another's.
- ``Machine``: what several of them in one process share.
- ``AvatarError``: the root of everything this package raises on purpose.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from avatar.core.errors import AvatarError

if TYPE_CHECKING:
    from avatar.core.home import Home as Home
    from avatar.core.machine import Machine as Machine
    from avatar.sessions.driver import Driver as Driver
    from avatar.sessions.live import open_live as open_live
    from avatar.sessions.sharing import make_clip as make_clip
    from avatar.sessions.sharing import make_still as make_still

__all__ = [
    "Driver",
    "open_live",
    "make_clip",
    "make_still",
    "Home",
    "Machine",
    "AvatarError",
    "__version__",
]
__version__ = "0.2.0"

_LAZY = {
    "Driver": "avatar.sessions.driver",
    "open_live": "avatar.sessions.live",
    "make_clip": "avatar.sessions.sharing",
    "make_still": "avatar.sessions.sharing",
    "Home": "avatar.core.home",
    "Machine": "avatar.core.machine",
}

# Modules of earlier versions, which were there once the package was.
_FORMER = ("errors", "frames")


def __getattr__(name: str) -> object:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    if name in _FORMER:
        return import_module(f"avatar.{name}")
    raise AttributeError(f"module 'avatar' has no attribute {name!r}")
