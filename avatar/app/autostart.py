"""``avatar autostart``: `avatar run --config FILE` started with the desktop session.

Two ways, of which one is installed: a unit of the user's systemd, which starts the program again
when it fails and keeps its messages in the journal; or a file in the desktop's autostart folder
(XDG Autostart 0.5), for sessions without systemd. Both are written so that the folder of the config
file is the working folder: a photograph named in it is looked for beside it.

A first line with the hash of the rest tells a file as it was written here from one that somebody
changed; such a one is neither replaced nor deleted unless that is asked for.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from avatar.core.config_file import load_options
from avatar.core.errors import UsageError
from avatar.core.files import PUBLIC, expanded, write_whole
from avatar.core.home import Home
from avatar.core.terminal import say

By = Literal["systemd", "desktop"]
UNIT = "webcam-avatar.service"
_TARGET = "graphical-session.target"
_MARK = re.compile(r"# Written by `avatar autostart`; sha256 of what follows: ([0-9a-f]{64})\n")


@dataclass(frozen=True)
class Places:
    """Where the files stand; ``root`` is the user's XDG configuration folder."""

    root: Path

    @property
    def files(self) -> dict[By, Path]:
        """Return the file of each way."""
        return {
            "systemd": self.root / "systemd" / "user" / UNIT,
            "desktop": self.root / "autostart" / "webcam-avatar.desktop",
        }

    @property
    def link(self) -> Path:
        """Return what makes the session start the unit; ``systemctl --user enable`` makes it."""
        return self.root / "systemd" / "user" / f"{_TARGET}.wants" / UNIT


def install(config: Path, by: By | None, home: Home, *, force: bool = False) -> int:
    """Write the file that starts ``avatar run --config CONFIG`` with the session.

    ``by``: None takes systemd where a user's manager answers. ``force``: a changed file may be
    replaced. Raises ``UsageError`` and ``ConfigError``.
    """
    places = _places(home)
    config = expanded(config).absolute()
    load_options(config, {})
    chosen: By = by or ("systemd" if manager_answers() else "desktop")
    text = unit(config) if chosen == "systemd" else desktop_entry(config)
    # One way only: started twice, the second would find the camera busy.
    for way, path in places.files.items():
        _refuse_changed(path, force, "replaced" if way == chosen else "removed")
    for way, path in places.files.items():
        if way != chosen:
            _remove(places, way, path)
    path = places.files[chosen]
    _write(path, text)
    if chosen == "systemd":
        _link(places)
        _systemctl("daemon-reload")
    say(f"{path}: starts `avatar run --config {config}` with your next session ({chosen})")
    say("from then on the camera is on while you are logged in; `avatar autostart remove` ends it")
    if chosen == "systemd":
        say(f"now: systemctl --user start {UNIT}; its messages: journalctl --user -u {UNIT}")
    return 0


def status(home: Home) -> int:
    """Say what is installed, whether it was changed, and whether it runs; 1 when nothing is."""
    places = _places(home)
    found = {way: path for way, path in places.files.items() if path.exists()}
    for way, path in found.items():
        changed = "" if is_ours(path) else "; changed since it was written"
        say(f"{path} ({way}){changed}")
    if "systemd" in found:
        if not places.link.is_symlink():
            say(f"not enabled: systemctl --user enable {UNIT}")
        state = _systemctl("is-active", UNIT)
        say(f"systemd says: {state or 'its user manager does not answer here'}")
    if not found:
        say("nothing starts with the session: avatar autostart install --config FILE.toml")
    return 0 if found else 1


def remove(home: Home, *, force: bool = False) -> int:
    """Stop what was started and delete what was written; ``force``: changed files too."""
    places = _places(home)
    found = {way: path for way, path in places.files.items() if path.exists()}
    for path in found.values():
        _refuse_changed(path, force, "removed")
    for way, path in found.items():
        _remove(places, way, path)
        say(f"removed {path}")
    _unlink(places)
    if not found:
        say("nothing was there to remove")
    return 0


def unit(config: Path) -> str:
    """Return the systemd unit (systemd.service(5), systemd.unit(5)) that runs ``config``."""
    program, *arguments = _command(config)
    start = " ".join([_unit_word(program, program=True), *map(_unit_word, arguments)])
    return _marked(f"""[Unit]
Description=Webcam avatar
PartOf={_TARGET}
After={_TARGET} pipewire.service
StartLimitIntervalSec=300
StartLimitBurst=5

[Service]
ExecStart={start}
WorkingDirectory={str(config.parent).replace("%", "%%")}
Restart=on-failure
RestartSec=5
# What was asked for cannot be done: another try would not change it.
RestartPreventExitStatus=2
NoNewPrivileges=yes

[Install]
WantedBy={_TARGET}
""")


def desktop_entry(config: Path) -> str:
    """Return the autostart entry (Desktop Entry Specification 1.5) that runs ``config``."""
    start = " ".join(map(_exec_word, _command(config)))
    folder = str(config.parent).replace("\\", "\\\\")
    return _marked(f"""[Desktop Entry]
Type=Application
Version=1.0
Name=Webcam avatar
Comment=A photograph in your place in video calls
Exec={start}
Path={folder}
Terminal=false
StartupNotify=false
""")


def is_ours(path: Path) -> bool:
    """Return whether the file is as it was written here."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return False
    mark = _MARK.match(text)
    return mark is not None and mark[1] == _hash(text[mark.end() :])


def manager_answers() -> bool:
    """Return whether systemd runs a manager for this user that can be asked."""
    return _systemctl("is-system-running") not in ("", "offline")


def _places(home: Home) -> Places:
    if not sys.platform.startswith("linux"):
        raise UsageError(
            "avatar autostart writes for Linux desktops. On Windows put a shortcut to `avatar run "
            "--config FILE.toml` into the folder that Win+R shell:startup opens; on macOS add it "
            "in System Settings > General > Login Items."
        )
    return Places(home.config)


def _command(config: Path) -> list[str]:
    words = [sys.executable, "-m", "avatar", "run", "--config", str(config)]
    for word in (*words, str(config.parent)):
        if any(ord(char) < 32 or ord(char) == 127 for char in word) or word.endswith("\\"):
            raise UsageError(
                f"avatar autostart: expected a path without line breaks and other control "
                f"characters, and not ending in \\; found {word!r}. Move it to another place."
            )
    return words


def _unit_word(word: str, *, program: bool = False) -> str:
    """Return a word of ExecStart=, quoted; the program itself knows no variables, so no ``$$``."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped if program else escaped.replace("$", "$$")}"'


def _exec_word(word: str) -> str:
    """Return a word of Exec=: quoted, then escaped again as every string of the file is."""
    quoted = re.sub(r'(["`$\\])', r"\\\1", word).replace("%", "%%")
    return f'"{quoted}"'.replace("\\", "\\\\")


def _marked(text: str) -> str:
    return f"# Written by `avatar autostart`; sha256 of what follows: {_hash(text)}\n{text}"


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _refuse_changed(path: Path, force: bool, fate: str) -> None:
    if (path.exists() or path.is_symlink()) and not force and not is_ours(path):
        raise UsageError(
            f"{path} was changed since it was written, or was not written here, and is not {fate}. "
            "Keep it, or give --force."
        )


def _write(path: Path, text: str) -> None:
    """Write a file whole or not at all. Raises ``UsageError``."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, text, mode=PUBLIC)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror or error}") from error


def _link(places: Places) -> None:
    target = places.files["systemd"]
    places.link.parent.mkdir(parents=True, exist_ok=True)
    if not places.link.is_symlink():
        places.link.symlink_to(target)


def _unlink(places: Places) -> None:
    places.link.unlink(missing_ok=True)
    _drop_empty(places, places.link.parent)


def _remove(places: Places, way: By, path: Path) -> None:
    """Delete one way's file, what belongs to it, and folders that are empty then."""
    if not path.exists() and not path.is_symlink():
        return
    if way == "systemd":
        _systemctl("stop", UNIT)
        _unlink(places)
    path.unlink()
    _drop_empty(places, path.parent)
    if way == "systemd":
        _systemctl("daemon-reload")


def _drop_empty(places: Places, folder: Path) -> None:
    while folder != places.root and places.root in folder.parents:
        try:
            folder.rmdir()
        except OSError:
            return
        folder = folder.parent


def _systemctl(*words: str) -> str:
    """Ask the user's systemd; return the first line it answers, nothing where it does not."""
    program = shutil.which("systemctl")
    if program is None:
        return ""
    with suppress(subprocess.TimeoutExpired):
        done = subprocess.run(
            [program, "--user", *words], capture_output=True, text=True, check=False,
            env=os.environ | {"LC_ALL": "C"}, timeout=30,
        )  # fmt: skip
        return done.stdout.strip().partition("\n")[0]
    return ""
