"""What was measured beside what is wanted: for the terminal, for JSON and for a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from avatar.measure.page import Html, bad
from avatar.measure.page import table as html_table

if TYPE_CHECKING:
    from rich.table import Table


@dataclass(frozen=True)
class MeasuredBar:
    """A line of the table.

    ``baseline``: what something simpler reached. ``bar``: the limit; larger is better where
    ``at_least``. ``at_most``: the upper end of what is wanted, where both ends count.
    ``value``: None where nothing could be measured. ``worst``: said beside it, if anything.
    """

    key: str
    name: str
    baseline: str
    bar: float
    value: float | None
    digits: int
    at_least: bool = False
    at_most: float | None = None
    worst: str = ""

    @property
    def met(self) -> bool | None:
        """Return whether the bar is met; None where nothing was measured."""
        if self.value is None:
            return None
        shown = round(self.value, self.digits)
        if self.at_most is not None:
            return self.bar <= shown <= self.at_most
        return shown >= self.bar if self.at_least else shown <= self.bar

    @property
    def bar_text(self) -> str:
        """Return the bar with its direction."""
        if self.at_most is not None:
            return f"{self.bar:g} to {self.at_most:g}"
        if self.bar == 0:
            return "0"
        return f"{'≥' if self.at_least else '≤'} {self.bar:g}"

    @property
    def value_text(self) -> str:
        """Return the measured value as shown."""
        return "not counted" if self.value is None else f"{self.value:.{self.digits}f}"


def terminal_table(title: str, rows: Sequence[MeasuredBar]) -> Table:
    """Return the rows for the terminal."""
    from rich.table import Table

    shown = Table("", "baseline", "bar", "measured", "", "", title=title)
    for row in rows:
        mark, style = _mark(row)
        shown.add_row(
            row.name, row.baseline, row.bar_text, row.value_text, mark, row.worst, style=style
        )
    return shown


def _mark(row: MeasuredBar) -> tuple[str, str | None]:
    if row.met is None:
        return "", "dim"
    return ("✓", None) if row.met else ("✗", "yellow")


def rows_html(rows: Sequence[MeasuredBar]) -> Html:
    """Return the rows as a table of a page; what does not meet its bar is marked."""
    lines = [
        [
            row.name, row.baseline, row.bar_text,
            bad(row.value_text) if row.met is False else row.value_text, row.worst,
        ]
        for row in rows
    ]  # fmt: skip
    return html_table(["", "baseline", "bar", "measured", ""], lines, texts=(0, 4))


def rows_json(rows: Sequence[MeasuredBar]) -> list[dict[str, Any]]:
    """Return the rows for JSON."""
    return [
        {
            "key": row.key, "name": row.name, "baseline": row.baseline, "bar": row.bar_text,
            "value": row.value, "met": row.met, "beside": row.worst,
        }
        for row in rows
    ]  # fmt: skip
