"""The documented tables of options, written by what declares them.

``python -m avatar.core.options_table FILE...`` rewrites what stands between the marks
``<!-- options:begin -->`` and ``<!-- options:end -->`` (every option), and between those of
``main-options`` (the few that most people need).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from avatar.core.errors import UsageError
from avatar.core.option import Option
from avatar.core.options import choices_of, declared, default_of, flag_of, type_of


def options_table() -> str:
    """Return every option as a Markdown table."""
    head = "| option | default | what it does | available in | engines |\n|---|---|---|---|---|\n"
    return head + "".join(
        f"| {_flag(name, option)} | {_default(name)} | {_cell(option.sentence)} "
        f"| {', '.join(option.on)} | {', '.join(option.engines) or 'all'} |\n"
        for name, option in declared().items()
    )


def main_options_table() -> str:
    """Return the options that most people need as a Markdown table."""
    return "| option | default | what it does |\n|---|---|---|\n" + "".join(
        f"| {_flag(name, option)} | {_default(name)} | {_cell(option.text)} |\n"
        for name, option in declared().items()
        if option.main
    )


def _flag(name: str, option: Option) -> str:
    off = f", `--no-{flag_of(name)[2:]}`" if type_of(name) is bool and not option.flag else ""
    value = option.metavar or "|".join(choices_of(name))
    return _cell(f"`{flag_of(name)}{' ' if value else ''}{value}`{off}")


def _default(name: str) -> str:
    default = default_of(name)
    if isinstance(default, bool):
        return "on" if default else "off"
    if default in (None, "", ()):
        return ""
    return f"`{', '.join(default) if isinstance(default, tuple) else default}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


_TABLES = {"options": options_table, "main-options": main_options_table}


def with_tables(text: str) -> str:
    """Return ``text`` with the tables of today between its marks.

    Raises ``UsageError`` for a mark that is not ended.
    """
    for name, table in _TABLES.items():
        begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
        before, *marked = text.split(begin)
        if any(end not in part for part in marked):
            raise UsageError(f"expected {end} after {begin}, found none")
        text = before + "".join(
            f"{begin}\n{table()}{end}{part.partition(end)[2]}" for part in marked
        )
    return text


def main(paths: Sequence[str]) -> int:
    """Rewrite the tables in files; return the exit status."""
    for path in map(Path, paths):
        text = path.read_text("utf-8")
        if (new := with_tables(text)) != text:
            path.write_text(new, "utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
