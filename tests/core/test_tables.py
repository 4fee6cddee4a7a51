from __future__ import annotations

import io

import pytest
from rich.console import Console
from rich.table import Table

from avatar.core.tables import print_table
from avatar.measure.motion.report import COLUMNS


@pytest.mark.parametrize("width", [40, 80, 120, 200])
def test_every_figure_is_whole_at_any_width(width: int) -> None:
    table = Table("track", "variant", *COLUMNS, title="Motion")
    figures = [[f"{r}{k}.12{r}{k} ({r}.{k}7)" for k in range(len(COLUMNS))] for r in range(7)]
    for k, row in enumerate(figures):
        table.add_row(f"clip-{k}", "filter + prediction", *row)
    out = io.StringIO()
    print_table(table, Console(width=width, file=out))
    text = out.getvalue()
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= width
    words = text.split()
    for row in figures:
        for figure in row:
            assert all(part in words for part in figure.split())
    assert text.count("Motion") == 1
