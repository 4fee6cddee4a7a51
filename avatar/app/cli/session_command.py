"""Typer commands made from tables of options: a command names only what is its own."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import is_dataclass
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from avatar.core.options import (
    LIVE,
    PANELS,
    Options,
    choices_of,
    declared,
    default_of,
    flag_of,
    options_on,
    takes_several,
    type_of,
)

Body = Callable[..., int]
Command = Callable[..., None]
Read = Callable[[dict[str, Any], dict[str, Any]], tuple[Any, frozenset[str]]]
"""Makes the options, and the names of those given, of what the command line gave."""
_CONFIG = "Read options from a TOML file; the command line takes precedence."
_OTHERS = " Of its options, those that this command does not share with `avatar run` are left out."


def session_command(body: Body) -> Command:
    """Return the command of ``body``'s name: the options declared for it, then its own parameters.

    ``body``: called with the ``Options`` that hold, then its own parameters by name; returns the
    exit status. An own parameter that is called like an option of the command gives that option
    other words; its value is the one that was given, also by the file, and its default otherwise.
    One that is a table of options stands for all that the table declares. One that is called
    ``given`` is no option: it is told the names of the options that were given, also by the file.
    """
    name = body.__name__

    def read(given: dict[str, Any], own: dict[str, Any]) -> tuple[Options, frozenset[str]]:
        from avatar.core.config_file import read_options

        return read_options(own.pop("config"), given, name)

    text = _CONFIG + ("" if name in LIVE else _OTHERS)
    config = typer.Option("--config", metavar="FILE.toml", help=text)
    return _command(body, Options, read, _parameter("config", Annotated[Path | None, config], None))


def table_command(table: type) -> Callable[[Body], Command]:
    """Return what makes the command of all options of ``table``, as ``session_command`` does.

    Its body is called with an instance of the table; there is no config file.
    """

    def read(given: dict[str, Any], own: dict[str, Any]) -> tuple[Any, frozenset[str]]:
        return _made(table, given), frozenset(given)

    return lambda body: _command(body, table, read)


def _made(table: type, given: dict[str, Any]) -> Any:
    from avatar.core.config_file import checked

    return table(**{name: checked(name, value, table) for name, value in given.items()})


def shared(name: str, table: type = Options) -> Any:
    """Return what typer needs for an option of ``table``."""
    option, default = declared(table)[name], default_of(name, table)
    text = option.text
    if default not in (None, "", ()) and not isinstance(default, bool):
        text += f" {_default_words(default)}"
    return typer.Option(
        _flags(name, table), metavar=option.metavar, help=text,
        rich_help_panel=PANELS.get(option.panel),
    )  # fmt: skip


def _default_words(default: object) -> str:
    """Return a default in words; options left out stay None, so that a config file can set them."""
    shown = ", ".join(default) if isinstance(default, tuple) else default
    return f"(default: {shown})"


def _flags(name: str, table: type) -> str:
    flag = declared(table)[name].flag or flag_of(name, table)
    both = type_of(name, table) is bool and not declared(table)[name].flag
    return f"{flag}/--no-{flag[2:]}" if both else flag


def _taken(name: str, table: type) -> Any:
    """Return the type that typer reads an option with, None where it is not given."""
    if takes_several(name, table):
        return list[str] | None
    kind = type_of(name, table)
    if "" in choices_of(name, table):  # the default, which nobody types
        kind = str
    return kind | None


def _parameter(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation
    )


def _command(body: Body, table: type, read: Read, *extra: inspect.Parameter) -> Command:
    """Return a function with the signature that typer reads."""
    own = _own_parameters(body)
    is_told_given = own.pop("given", None) is not None
    names = options_on(body.__name__, table)
    replaced = {name: own.pop(name) for name in names if name in own}
    tables = {name: own.pop(name).annotation for name in list(own) if _is_table(own[name])}

    def command(**values: Any) -> None:
        for name, own_table in tables.items():
            values[name] = _made(own_table, _given(values, options_on(None, own_table)))
        options, chosen = read(_given(values, names), values)
        for name, parameter in replaced.items():
            values[name] = getattr(options, name) if name in chosen else parameter.default
        if is_told_given:
            values["given"] = chosen
        raise typer.Exit(body(options, **values))

    options = [
        replaced[name].replace(default=None) if name in replaced else _option(name, table)
        for name in names
    ]
    options += [_option(name, one) for one in tables.values() for name in declared(one)]
    required = [p for p in own.values() if p.default is inspect.Parameter.empty]
    others = [p for p in own.values() if p not in required]
    signature = inspect.Signature([*required, *options, *others, *extra])
    command.__signature__ = signature  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in signature.parameters.values()}
    command.__name__, command.__doc__ = body.__name__, body.__doc__
    return command


def _option(name: str, table: type) -> inspect.Parameter:
    return _parameter(name, Annotated[_taken(name, table), shared(name, table)], None)


def _is_table(own: inspect.Parameter) -> bool:
    return is_dataclass(own.annotation)


def _given(values: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    """Take those ``names`` out of ``values``; return the ones that were given."""
    taken = {name: values.pop(name) for name in names}
    return {name: value for name, value in taken.items() if value not in (None, [])}


def _own_parameters(body: Body) -> dict[str, inspect.Parameter]:
    """Return what ``body`` takes beside the options, by name."""
    hints = get_type_hints(body, include_extras=True)
    _, *own = inspect.signature(body).parameters.values()
    return {p.name: _parameter(p.name, hints[p.name], p.default) for p in own}
