"""Reading the options of a session from a file."""

from __future__ import annotations

import difflib
import tomllib
from pathlib import Path
from typing import Any, Literal

from avatar.core.options import WEIGHTED_REGIONS as WEIGHTED_REGIONS
from avatar.core.options import Options, declared
from avatar.core.options import parse_size as parse_size
from avatar.core.options import parse_weights as parse_weights
from avatar.errors import ConfigError, UsageError

LiveConfig = Options
NeuralOptions = Options


def parse_face(text: str) -> int | Literal["all"]:
    """Return which face ``--face`` asks for: a number from 1, the largest, or all of them.

    Raises ``UsageError``.
    """
    if text.lower() == "all":
        return "all"
    if not (text.isdecimal() and int(text) >= 1):
        raise UsageError(f"--face: expected a number from 1 (the largest), or all, found {text!r}")
    return int(text)


DEFAULTS = LiveConfig()


def load_config(path: Path | None, given: dict[str, Any]) -> LiveConfig:
    """Return the defaults, changed by the TOML file at ``path``, changed by ``given``.

    ``given``: options from the command line; those that are None were not given.
    Raises ``ConfigError`` for an unreadable file, an unknown key (naming the nearest known one)
    or a value of the wrong kind.
    """
    values = _read(path) if path is not None else {}
    values |= {name: value for name, value in given.items() if value is not None}
    return _validated(values, path)


def _read(path: Path) -> dict[str, Any]:
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"the config file {path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"the config file {path} is not valid TOML: {error}") from error
    known = list(declared())
    normal = {key.replace("-", "_"): value for key, value in values.items()}
    for key in normal:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
            hint = f" Did you mean `{near[0]}`?" if near else f" Known: {', '.join(known)}."
            raise ConfigError(f"{path}: unknown key `{key}`.{hint}")
    for key in ("avatar", "out", "regions", "weight", "hotkey"):
        if isinstance(normal.get(key), str):
            normal[key] = [normal[key]]
    return normal


def _validated(values: dict[str, Any], path: Path | None) -> LiveConfig:
    from pydantic import TypeAdapter, ValidationError

    try:
        return TypeAdapter(LiveConfig).validate_python(values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"])) or "value"
        where = f"{path}: " if path is not None else ""
        value = first.get("input")
        # An output may be an address with a key in it: neither it nor the library's error is shown.
        found = type(value).__name__ if key.startswith("out") else repr(value)
        raise ConfigError(f"{where}`{key}`: {first['msg']}; found {found}") from None
