"""The process that works aside: started by ``Aside``, it does one task and ends.

One line of JSON comes in: ``{"task", "home", "names", …}``; the end of the input stops the task.
Lines of JSON go out: ``{"progress"}`` or ``{"preview"}`` meanwhile, and at the end ``{"done"}`` or
``{"error"}``. Other people's music is decoded here and not beside the live call.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from avatar.core.errors import AvatarError
from avatar.core.home import Home
from avatar.core.machine import ignore_interrupts, kept_stdout
from avatar.core.messages import as_shown, for_json, words_of
from avatar.core.terminal import say

Tell = Callable[[dict[str, Any]], None]
_NICE = 15
_BELOW_NORMAL = 0x4000
_TELL_EVERY_S = 0.1
_PEAKS = 400


def main() -> int:
    """Do what is asked for; the exit status is 1 where that failed."""
    ignore_interrupts()
    _go_last()
    # Libraries print to standard output what is no line of ours.
    out = kept_stdout()
    order = json.loads(sys.stdin.readline())

    def tell(values: dict[str, Any]) -> None:
        with contextlib.suppress(OSError):
            out.write(json.dumps(values) + "\n")
            out.flush()

    stop = threading.Event()
    threading.Thread(target=_listen, args=(stop,), name="orders", daemon=True).start()
    try:
        tell({"done": TASKS[order["task"]](order, tell, stop)})
    except AvatarError as error:
        tell({"error": for_json(as_shown(words_of(error), order["names"]))})
        return 1
    except Exception as error:
        tell({"error": f"{type(error).__name__}: {error}"})
        return 1
    return 0


def _listen(stop: threading.Event) -> None:
    sys.stdin.read()
    stop.set()


def _go_last() -> None:
    """Let every other program run first: somebody may be in a call."""
    if hasattr(os, "nice"):
        with contextlib.suppress(OSError):
            os.nice(_NICE)
    elif sys.platform == "win32":
        import ctypes

        kernel = ctypes.windll.kernel32
        kernel.SetPriorityClass(kernel.GetCurrentProcess(), _BELOW_NORMAL)


def _home(order: dict[str, Any]) -> Home:
    return Home(**{name: value and Path(value) for name, value in order["home"].items()})


def _request(order: dict[str, Any]) -> Any:
    from avatar.core.config_file import checked
    from avatar.sessions.clip_request import ClipRequest

    given = order["request"]
    return ClipRequest(**{name: checked(name, given[name], ClipRequest) for name in given})


def _clip(order: dict[str, Any], tell: Tell, stop: threading.Event) -> dict[str, Any]:
    """Write a clip; one that was stopped is deleted."""
    from avatar.sessions.clip import write_clip

    told_s = 0.0

    def progress(done: int, total: int) -> None:
        nonlocal told_s
        if done == total or time.monotonic() - told_s > _TELL_EVERY_S:
            told_s = time.monotonic()
            tell({"progress": [done, total]})

    made = write_clip(_request(order), _home(order), say, stop=stop, progress=progress)
    if not made.is_whole:
        made.path.unlink(missing_ok=True)
    return {"whole": made.is_whole}


def _beats(order: dict[str, Any], tell: Tell, stop: threading.Event) -> dict[str, Any]:
    """Return a song as it is drawn."""
    from avatar.sessions.choreographies import ChoreographyStore
    from avatar.sessions.clip_song import song_picture

    request = _request(order)
    choreography = ChoreographyStore(_home(order)).load(request.template)
    song = song_picture(request, choreography, _PEAKS)
    return {
        "peaks": [round(float(peak), 3) for peak in song.peaks],
        "beats": [round(float(beat), 3) for beat in song.beats_s],
        "bars": [round(float(bar), 3) for bar in song.bars_s],
        "bpm": round(song.bpm, 1),
        "heard_s": song.heard_s,
        "clip_s": song.clip_s,
    }


def _previews(order: dict[str, Any], tell: Tell, stop: threading.Event) -> dict[str, Any]:
    """Make the previews of templates, one after the other."""
    from avatar.sessions.template_preview import make_preview

    home = _home(order)
    for name in order["templates"]:
        if stop.is_set():
            break
        make_preview(name, home)
        tell({"preview": name})
    return {}


TASKS: dict[str, Callable[[dict[str, Any], Tell, threading.Event], dict[str, Any]]] = {
    "clip": _clip,
    "beats": _beats,
    "previews": _previews,
}

if __name__ == "__main__":
    sys.exit(main())
