"""Where choreographies are: those that come with the program, and the user's own."""

from __future__ import annotations

import difflib
from pathlib import Path

import avatar.stages.motion
from avatar.core.errors import UsageError
from avatar.core.files import expanded, kind_of, read_small, write_whole
from avatar.core.home import Home
from avatar.library.avatars import check_name
from avatar.stages.motion.choreography import SUFFIX, Choreography, load_choreography

_A_TEMPLATE = "a template"


class ChoreographyStore:
    """The choreographies of one user: the program's, and ``templates`` in the user's data."""

    def __init__(self, home: Home) -> None:
        self.own = home.data / "templates"
        self.built_in = Path(avatar.stages.motion.__file__).parent / "choreographies"

    def names(self) -> list[str]:
        """Return all names, sorted; one of the user's hides the program's of that name."""
        return sorted(self._paths(), key=str.casefold)

    def _paths(self) -> dict[str, Path]:
        paths = {path.stem: path for path in self.built_in.glob(f"*{SUFFIX}")}
        if self.own.is_dir():
            paths |= {path.stem: path for path in self.own.glob(f"*{SUFFIX}")}
        return {name: path for name, path in paths.items() if not name.startswith(".")}

    def is_own(self, name: str) -> bool:
        """Return whether a choreography is the user's."""
        return self._paths().get(name, self.built_in).parent == self.own

    def path(self, name: str) -> Path:
        """Return the file of a choreography: a name, or a path. Raises ``UsageError``."""
        paths = self._paths()
        if name in paths:
            return paths[name]
        path = expanded(name)
        if kind_of(path) == "file":
            return path
        near = difflib.get_close_matches(name.casefold(), paths, 1)
        hint = f"Did you mean `{near[0]}`?" if near else f"Known: {', '.join(self.names())}."
        raise UsageError(f"expected a template or its file, found none called {name!r}. {hint}")

    def load(self, name: str) -> Choreography:
        """Return a choreography by its name or path. Raises ``UsageError``."""
        return load_choreography(self.path(name))

    def text(self, name: str) -> str:
        """Return the file of a choreography that can be read. Raises ``UsageError``."""
        path = self.path(name)
        load_choreography(path)
        return path.read_text("utf-8-sig")

    def add(self, path: Path, name: str | None, *, replace: bool) -> str:
        """Keep a copy of a choreography that can be read; return its name.

        Raises ``UsageError`` and ``OSError``.
        """
        path = expanded(path)
        load_choreography(path)
        name = check_name(name or path.stem, _A_TEMPLATE)
        target = self.own / f"{name}{SUFFIX}"
        if target.exists() and not replace:
            raise UsageError(
                f"there is a template {name} already. Choose another --name, or --force"
            )
        self.own.mkdir(parents=True, exist_ok=True)
        write_whole(target, read_small(path))
        return name

    def remove(self, name: str) -> Path:
        """Delete a choreography of the user's. Raises ``UsageError`` and ``OSError``."""
        target = self.own / f"{check_name(name, _A_TEMPLATE)}{SUFFIX}"
        if not target.exists():
            built_in = (self.built_in / target.name).exists()
            why = "comes with the program and stays" if built_in else "is not there"
            raise UsageError(f"the template {name} {why}")
        target.unlink()
        return target
