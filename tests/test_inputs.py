from __future__ import annotations

from pathlib import Path

import pytest

from avatar.stages.generate.picture_file import has_heif
from tests.inputs_table import PAGE, ROWS, Input, outcome, with_table


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.have)
def test_what_people_have_becomes_what_the_page_says(tmp_path: Path, row: Input) -> None:
    if row.needs_heif and not has_heif():
        pytest.skip("pi-heif is not installed here")
    assert outcome(row, tmp_path) == row.happens


def test_the_page_has_the_table_of_today() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert with_table(text) == text, "python -m tests.inputs_table"
