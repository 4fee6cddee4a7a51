"""Options from a TOML file, the command line, a page or a program: checked, and put together."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from functools import cache
from pathlib import Path
from typing import Any, get_args

from avatar.core.errors import ConfigError, UsageError
from avatar.core.files import read_small
from avatar.core.options import (
    LIVE,
    Options,
    check_bound,
    choices_of,
    declared,
    flag_of,
    options_on,
    takes_several,
    type_of,
)


def read_options(
    path: Path | None, given: Mapping[str, Any], command: str | None = None
) -> tuple[Options, frozenset[str]]:
    """Return the options that hold, and the names of those that were given at all.

    The file at ``path`` changes the defaults, and ``given`` changes the file; values of ``given``
    that are None were not given. ``command``: of the file, what this command does not have is left
    out; without one, nothing is.

    Raises ``ConfigError`` for an unreadable file, an unknown key (naming the nearest known one) or
    a value of the wrong kind, ``UsageError`` for what does not go together.
    """
    written = _read(path, command) if path is not None else {}
    values = written | {
        name: checked(name, value) for name, value in given.items() if value is not None
    }
    try:
        return Options(**values), frozenset(values)
    except UsageError as error:
        raise _from_file(path, written, error) from None


def _from_file(path: Path | None, written: Mapping[str, Any], error: UsageError) -> UsageError:
    """Return ``error`` with the file's name where the file alone says what is wrong."""
    if path is None:
        return error
    try:
        Options(**written)
    except UsageError as same:
        if str(same) == str(error):
            return ConfigError(f"{path}: {error}")
    return error


def load_options(path: Path | None, given: Mapping[str, Any] | None = None) -> Options:
    """Return the defaults, changed by the file at ``path``, changed by ``given``.

    See ``read_options``.
    """
    return read_options(path, given or {})[0]


def checked(name: str, value: Any, table: type = Options) -> Any:
    """Return an option's value in its own type and within its bounds.

    A text stands for a list of one, and a whole number for a text, as a camera's does. Raises
    ``ConfigError`` for an unknown name and for a value of the wrong kind, ``UsageError`` for one
    out of bounds.
    """
    from pydantic import ValidationError

    check_known(name, options_on(None, table))
    kinds = {type_of(name, table), *get_args(type_of(name, table))}
    if takes_several(name, table) and isinstance(value, str):
        value = [value]
    elif str in kinds and type(value) is int and not takes_several(name, table):
        value = str(value)
    try:
        if _is_guess(value, kinds) or _has_nul(value):
            raise TypeError
        kept = _adapter(name, table).validate_python(value)
    except (ValidationError, TypeError):
        # Outputs and cameras may be addresses with a key in them: they are not shown.
        is_secret = name == "out" or "://" in str(value)
        found = type(value).__name__ if is_secret else _words(value)
        raise ConfigError(f"`{name}`: expected {_wanted(name, table)}, found {found}") from None
    check_bound(name, kept, table)
    return kept


def _is_guess(value: Any, kinds: set[Any]) -> bool:
    """Return whether a library would take for a number or a switch what is none: "5", "yes"."""
    if bool in kinds:
        return not isinstance(value, bool)
    return bool({int, float} & kinds) and isinstance(value, (bool, str))


def _has_nul(value: Any) -> bool:
    """Return whether a text ends in its middle for the system, which no path or name may."""
    texts = value if isinstance(value, (list, tuple)) else [value]
    return any("\0" in str(text) for text in texts)


def _wanted(name: str, table: type) -> str:
    """Return in words what an option takes."""
    kind = type_of(name, table)
    kinds = {kind, *get_args(kind)}
    several = takes_several(name, table)
    each = get_args(get_args(kind)[0]) if several else choices_of(name, table)
    choices = [choice for choice in each if choice]
    if choices:
        listed = ", ".join(map(str, choices))
        return f"a list of some of {listed}" if several else f"one of {listed}"
    if bool in kinds:
        return "true or false"
    if {int, float} & kinds:
        return "a whole number" if float not in kinds else "a number"
    return "a text or a list of texts" if several else "a text"


def _words(value: Any) -> str:
    shown = str(value).lower() if isinstance(value, bool) else repr(value)
    return shown if len(shown) <= 80 else f"{shown[:80]}…"


def check_known(name: str, known: Collection[str], what: str = "key") -> None:
    """Raise ``ConfigError`` for a name that is not among the ``known``, naming the nearest."""
    if name in known:
        return
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f" Did you mean `{near[0]}`?" if near else f" Known: {', '.join(known)}."
    raise ConfigError(f"unknown {what} `{name}`.{hint}")


@cache
def _adapter(name: str, table: type) -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(type_of(name, table))


def _read(path: Path, command: str | None) -> dict[str, Any]:
    """Return what the file at ``path`` says for a command, checked."""
    import tomllib

    try:
        # Editors on Windows begin a file with a mark of its encoding.
        values = tomllib.loads(read_small(path).decode("utf-8-sig"))
    except OSError as error:
        raise ConfigError(f"the config file {path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"the config file {path} is not valid TOML: expected UTF-8, found another encoding at "
            f"byte {error.start}. Save it as UTF-8"
        ) from error
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, too
        raise ConfigError(f"the config file {path} is not valid TOML: {error}") from error
    normal = _by_name(path, values)
    try:
        kept = {name: checked(name, value) for name, value in normal.items()}
    except UsageError as error:
        raise ConfigError(f"{path}: {error}") from None
    used = options_on(None if command in LIVE else command)
    return {name: value for name, value in kept.items() if name in used}


def _by_name(path: Path, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a file's values by the options' names; a flag without its dashes is a name, too.

    Raises ``ConfigError`` for an option that is given twice.
    """
    flags = {flag_of(name)[2:].replace("-", "_"): name for name in declared()}
    normal: dict[str, Any] = {}
    for key, value in values.items():
        plain = key.replace("-", "_")
        name = plain if plain in declared() else flags.get(plain, plain)
        if name in normal:
            raise ConfigError(f"{path}: expected each option once, found `{name}` again as `{key}`")
        opposite = plain in flags and plain != name and declared()[name].negative
        normal[name] = not value if opposite and isinstance(value, bool) else value
    return normal
