"""Tables on a terminal of any width, with every figure whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table


def print_table(table: Table, console: Console) -> None:
    """Print ``table``; where its figures do not fit side by side, its rows become columns."""
    for shown in _fitting(table, console):
        console.print(shown)


def _fitting(table: Table, console: Console) -> list[Table]:
    for column in table.columns:
        column.overflow = "fold"  # rather than "0.1…"
    if _needs(table, console) <= console.width or table.row_count == 0:
        return [table]
    lines = [[column.header, *column.cells] for column in table.columns]
    shown, first = [], 0
    while first < table.row_count:
        count = table.row_count - first
        while count > 1 and _needs(_turned(table, lines, first, count), console) > console.width:
            count -= 1
        shown.append(_turned(table, lines, first, count))
        first += count
    return shown


def _needs(table: Table, console: Console) -> int:
    """Return the least width at which no word is broken."""
    from rich.measure import Measurement

    return Measurement.get(console, console.options.update(max_width=10_000), table).minimum


def _turned(table: Table, lines: list[list[Any]], first: int, count: int) -> Table:
    """Return rows ``first`` to ``first + count`` as columns beside the headings."""
    from rich.table import Table

    turned = Table(title=table.title if first == 0 else None, show_header=False)
    for _ in range(count + 1):
        turned.add_column(overflow="fold")
    for heading, *cells in lines:
        turned.add_row(heading, *cells[first : first + count])
    return turned
