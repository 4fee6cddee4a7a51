"""Profiles: where they are kept, and ``avatar profiles``: list, compare, remove."""

from __future__ import annotations

import difflib
import tempfile
from pathlib import Path
from typing import Any

from avatar.core.errors import SinkError, UsageError
from avatar.core.files import private_folder, read_record, write_record
from avatar.core.home import Home
from avatar.core.messages import Message
from avatar.core.person import Person
from avatar.core.tables import print_table
from avatar.core.terminal import say
from avatar.library.avatars import check_name
from calibrate import Profile

SUFFIX = ".json"

_A_PROFILE = Message("error.aProfile", "a profile")


class ProfileStore:
    """The profiles of one user: ``ROOT/NAME.json``, each whole or not there."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def names(self) -> list[str]:
        """Return the names of all profiles, sorted."""
        if not self.root.is_dir():
            return []
        found = (path.stem for path in self.root.glob(f"*{SUFFIX}"))
        return sorted((name for name in found if not name.startswith(".")), key=str.casefold)

    def path(self, name: str) -> Path:
        """Return where the profile called ``name`` is or would be. Raises ``UsageError``."""
        return self.root / f"{check_name(name, _A_PROFILE)}{SUFFIX}"

    def load(self, name: str) -> Profile:
        """Return a profile. Raises ``UsageError`` that says what to do."""
        remedy = f"Make the profile {name} again: avatar calibrate --name {name}"
        profile = read_record(self.path(name), Profile, UsageError, remedy)
        if profile is None:
            raise self._unknown(name)
        return profile

    def save(self, name: str, profile: Profile) -> Path:
        """Keep a profile, in place of one of the same name; return its path.

        Raises ``UsageError`` for the name and ``SinkError`` when the disk fails.
        """
        path = self.path(name)
        try:
            private_folder(path.parent)
            write_record(path, profile)
        except OSError as error:
            raise SinkError(f"{path} cannot be written: {error.strerror or error}") from error
        return path

    def check_writable(self, name: str) -> None:
        """Raise what ``save`` would for the name and the folder; before somebody's minute."""
        path = self.path(name)
        try:
            private_folder(path.parent)
            with tempfile.TemporaryFile(dir=path.parent):
                pass
        except OSError as error:
            raise SinkError(
                f"{path} cannot be written: {error.strerror or error}. Make {path.parent} a folder "
                "that you may write in"
            ) from error

    def remove(self, name: str) -> Path:
        """Delete a profile, also one that cannot be read; return where it was."""
        path = self.path(name)
        try:
            path.unlink()
        except FileNotFoundError:
            raise self._unknown(name) from None
        except OSError as error:
            raise SinkError(f"{path} cannot be removed: {error.strerror or error}") from error
        return path

    def _unknown(self, name: str) -> UsageError:
        names = self.names()
        near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
        listed = ", ".join(near or names)
        hint = (
            Message("error.profilesNear", "Near it: {names}.", names=listed)
            if near
            else Message("error.profilesThere", "There are: {names}.", names=listed)
        )
        if not names:
            hint = Message("error.profilesNone", "There is none yet.")
        return UsageError(
            Message(
                "error.profileUnknown",
                "expected a stored profile, found none called {found}. {hint} `avatar calibrate "
                "--name {name}` makes it.",
                found=repr(name), hint=hint, name=name,
            )
        )  # fmt: skip


def default_profiles() -> ProfileStore:
    """Return the profiles of the user who runs the program; for programs that use this one."""
    return ProfileStore(Home.of_user().profiles)


def stored_person(name: str | None, store: ProfileStore) -> Person | None:
    """Return what retargeting takes of a stored profile; None for None. Raises ``UsageError``."""
    return None if name is None else store.load(name).person()


def list_profiles(store: ProfileStore) -> int:
    """Print the stored profiles as a table, or how to make one; return the exit status."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    names = store.names()
    if not names:
        say(f"no profiles in {store.root} yet: avatar calibrate [--name NAME]")
        return 0
    table = Table("name", "made", "steps seen", "field of view")
    faults = []
    for name in names:
        try:
            profile = store.load(name)
        except UsageError as error:
            faults.append(str(error))
            table.add_row(Text(name), Text("not readable", "bold red"))
            continue
        table.add_row(
            Text(name),
            f"{profile.made.astimezone():%Y-%m-%d %H:%M}",
            str(len(profile.steps)),
            "–" if profile.field_of_view_deg is None else f"{profile.field_of_view_deg:.0f}°",
        )
    print_table(table, Console(highlight=False))
    for fault in faults:
        say(fault)
    return 0


def compare(first: str, second: str, store: ProfileStore) -> int:
    """Print two profiles side by side, the most different figures first."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    one, other = figures(store.load(first)), figures(store.load(second))
    table = Table("", escape(first), escape(second), "difference")
    order = sorted(one, key=lambda key: -abs(one[key] - other.get(key, one[key])))
    for key in order:
        if key in other:
            table.add_row(
                key, f"{one[key]:.3f}", f"{other[key]:.3f}", f"{other[key] - one[key]:+.3f}"
            )
    print_table(table, Console(highlight=False))
    return 0


def figures(profile: Profile) -> dict[str, float]:
    """Return a profile's single numbers by name: all but the resting face's landmarks."""
    values: dict[str, float] = {}
    for name, known in profile.scores.items():
        if known.measured:
            values[f"{name} at its full"] = known.full
    parts: dict[str, Any] = {
        "left eye": profile.left_eye,
        "right eye": profile.right_eye,
        "lips": profile.lips,
        "mouth": profile.mouth,
        "brows": profile.brows,
    }
    for part, numbers in parts.items():
        for key, value in numbers.model_dump().items():
            if value is not None and not isinstance(value, bool):
                values[f"{part} {key.replace('_', ' ')}"] = value
    for name, value in profile.noise.items():
        values[f"noise {name}"] = value
    if profile.field_of_view_deg is not None:
        values["field of view, 100°"] = profile.field_of_view_deg / 100
    return values


def remove(name: str, store: ProfileStore) -> int:
    """Delete a profile and say so; return the exit status."""
    path = store.remove(name)
    say(f"removed the profile {name} ({path})")
    return 0
