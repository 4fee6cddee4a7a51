"""Keys that work while another window has the focus: a call's, a game's.

The keyboard is listened to through pynput, which has one way for X11, Windows and macOS. On X11 it
is shown every key in order to recognise a combination; here a key is compared with the wanted
combinations and forgotten: nothing is kept, written or sent.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

from avatar.core.errors import MissingDependencyError, UsageError
from avatar.sessions.acting import EXPRESSION_KEYS, HOLD_KEY, PLAY_KEY

# What can be done from afar, and the key of the preview that does the same.
ACTIONS: dict[str, str] = {
    **{f"avatar-{number}": str(number) for number in range(1, 10)},
    "next": "n",
    "previous": "p",
    "reference": "x",
    "search": "r",
    "mirror": "m",
    "person": "o",
    "label": "l",
    "closer": "+",
    "farther": "-",
    "stop": "q",
    **EXPRESSION_KEYS,
    "hold": HOLD_KEY,
    "play": PLAY_KEY,
}
# Only what is pressed in the middle of a call; many desktops have taken ctrl+alt with L, T, Delete
# and the arrows.
DEFAULT_KEYS: dict[str, str] = {
    **{f"avatar-{number}": f"ctrl+alt+{number}" for number in range(1, 10)},
    "next": "ctrl+alt+n",
    "previous": "ctrl+alt+p",
    "reference": "ctrl+alt+x",
    "search": "ctrl+alt+r",
    "mirror": "ctrl+alt+m",
    "person": "ctrl+alt+o",
    "stop": "ctrl+alt+q",
    **{name: f"ctrl+alt+{key}" for name, key in EXPRESSION_KEYS.items()},
    "hold": f"ctrl+alt+{HOLD_KEY}",
    "play": f"ctrl+alt+{PLAY_KEY}",
}
# As people write them, and as pynput does.
_MODIFIERS = {"ctrl": "<ctrl>", "alt": "<alt>", "shift": "<shift>", "super": "<cmd>"}
_SPELLINGS = {"control": "ctrl", "win": "super", "cmd": "super", "option": "alt"}
_NAMED = {
    *(f"f{number}" for number in range(1, 21)),
    "pause", "insert", "home", "end", "page_up", "page_down", "space", "menu", "scroll_lock",
}  # fmt: skip
_ALONE = {*(f"f{number}" for number in range(1, 21)), "pause", "scroll_lock"}


def key_map(changes: Sequence[str] = ()) -> dict[str, str]:
    """Return which combination does what: the defaults, changed by ``ACTION=KEYS``.

    ``KEYS`` is ``ctrl+alt+x``, ``f9``, …, or nothing for an action that is to have no key.
    Raises ``UsageError`` for unknown actions and keys, and for one combination with two meanings.
    """
    wanted = dict(DEFAULT_KEYS)
    for change in changes:
        action, equals, keys = change.partition("=")
        if action not in ACTIONS or not equals:
            raise UsageError(
                f"--hotkey: expected ACTION=KEYS such as reference=ctrl+alt+x, with one of "
                f"{', '.join(ACTIONS)}; found {change!r}"
            )
        if keys:
            wanted[action] = normal(keys)
        else:
            wanted.pop(action, None)
    taken: dict[str, str] = {}
    for action, keys in wanted.items():
        if keys in taken:
            raise UsageError(
                f"--hotkey: {keys} is assigned to two actions, {taken[keys]} and {action}"
            )
        taken[keys] = action
    return wanted


def normal(keys: str) -> str:
    """Return ``keys`` with its modifiers in one spelling and order; raises ``UsageError``."""
    text = keys.strip().lower()
    parts = [*text[:-2].split("+"), "+"] if text.endswith("++") else text.split("+")
    parts = [_SPELLINGS.get(part.strip(), part.strip()) for part in parts]
    *modifiers, key = parts
    known = all(part in _MODIFIERS for part in modifiers) and len(set(modifiers)) == len(modifiers)
    if not known or not (key in _NAMED or (len(key) == 1 and key.isprintable() and key != " ")):
        raise UsageError(
            f"--hotkey: expected keys such as ctrl+alt+x or f9 (modifiers {', '.join(_MODIFIERS)}; "
            f"then one character or one of {', '.join(sorted(_NAMED))}); found {keys!r}"
        )
    if key not in _ALONE and not set(modifiers) - {"shift"}:
        raise UsageError(
            f"--hotkey: {keys!r} is an ordinary typing key; put ctrl, alt or super before it, or "
            "take f1 to f20"
        )
    return "+".join([*(part for part in _MODIFIERS if part in modifiers), key])


class Hotkeys:
    """Listens while entered, and calls ``press`` with the preview's key of what was asked for.

    ``keys``: as ``key_map`` returns them. ``press`` is called from a thread of its own. ``say`` is
    told what is listened for. The constructor raises ``UsageError`` where no keys can be heard, and
    ``MissingDependencyError`` without pynput.
    """

    def __init__(
        self, keys: Mapping[str, str], press: Callable[[str], None], say: Callable[[str], None]
    ) -> None:
        check_session(os.environ, say)
        self._keyboard = _keyboard()
        self._keys, self._press, self._say = keys, press, say
        self._listener: Any = None

    def __enter__(self) -> Self:
        listener = self._keyboard.GlobalHotKeys(
            {pynput_keys(keys): self._action(action) for action, keys in self._keys.items()}
        )
        listener.daemon = True
        listener.start()
        if not _ready(listener):
            raise UsageError(
                "--hotkeys: the system does not let this program listen for keys. On X11 the "
                "server's RECORD extension is needed, on macOS your permission in System Settings "
                "> Privacy & Security > Input Monitoring. Leave --hotkeys out to go on without."
            )
        self._listener = listener
        self._say(described(self._keys))
        return self

    def __exit__(self, *_: object) -> None:
        listener, self._listener = self._listener, None
        # A key may be what ended the session: its thread cannot wait for itself.
        if listener is not None:
            listener.stop()
            if threading.current_thread() is not listener:
                listener.join(2)

    def _action(self, action: str) -> Callable[[], None]:
        return lambda: self._press(ACTIONS[action])


def described(keys: Mapping[str, str]) -> str:
    """Return the line that tells which keys do what, and that no other is kept."""
    numbers = [f"avatar-{number}" for number in range(1, 10)]
    shown = [f"{keys[action]} {action}" for action in ACTIONS if action in keys]
    if all(keys.get(action) == DEFAULT_KEYS[action] for action in numbers):
        others = [f"{keys[action]} {action}" for action in ACTIONS
                  if action in keys and action not in numbers]  # fmt: skip
        shown = ["ctrl+alt+1 to 9 avatar", *others]
    return f"hotkeys: {', '.join(shown)}. Other keys are neither kept nor sent"


def check_session(environment: Mapping[str, str], say: Callable[[str], None]) -> None:
    """Raise ``UsageError`` where no program can listen for keys; say where it hears only some."""
    if not sys.platform.startswith("linux"):
        return
    wayland = bool(environment.get("WAYLAND_DISPLAY"))
    if not environment.get("DISPLAY"):
        found = "a Wayland session without XWayland" if wayland else "no DISPLAY, so no screen"
        raise UsageError(
            f"--hotkeys: expected an X11 session, found {found}. Keys work in the preview "
            "window (--out preview); or log in to an X11 session, or leave --hotkeys out."
        )
    if wayland:
        say(
            "hotkeys: this is a Wayland session, which shows a program no keys pressed in others: "
            "they work only while an X11 (XWayland) window has the focus, the preview among them. "
            "In an X11 session they work everywhere"
        )


def pynput_keys(keys: str) -> str:
    """Return a combination in pynput's spelling, ``<ctrl>+<alt>+x``."""
    text, plus = (keys[:-2], "+") if keys.endswith("++") else (keys, "")
    parts = [_MODIFIERS.get(part, f"<{part}>" if part in _NAMED else part)
             for part in text.split("+")]  # fmt: skip
    return "+".join([*parts, plus] if plus else parts)


def _keyboard() -> Any:
    try:
        from pynput import keyboard
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            f"--hotkeys needs {error.name}: scripts/setup hotkeys, or pip install "
            "'webcam-avatar[hotkeys]' in this environment. On Linux a part of it is compiled: sudo "
            "apt install gcc python3-dev linux-libc-dev"
        ) from error
    except ImportError as error:  # pynput's word for a display that does not answer
        raise UsageError(
            f"--hotkeys: the X11 display DISPLAY={os.environ.get('DISPLAY')} does not answer or "
            "does not let this user in. Leave --hotkeys out, or start the program from that "
            "session."
        ) from error
    return keyboard


def _ready(listener: Any) -> bool:
    """Wait until ``listener`` hears keys; False when its thread ended before that."""
    ready = threading.Thread(target=listener.wait, daemon=True)
    ready.start()
    while ready.is_alive() and listener.is_alive():
        ready.join(0.05)
    return not ready.is_alive()
