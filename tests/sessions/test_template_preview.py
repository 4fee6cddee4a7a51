"""Previews of templates: a sheet and a film, labelled, made once, again when the file changed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import av
import pytest
from PIL import Image
from typer.testing import CliRunner

from avatar.app.cli import app
from avatar.core.errors import UsageError
from avatar.core.home import Home
from avatar.sessions.template_preview import make_preview, preview_of

SHORT = """
schema_version = 1
title = "Short"
about = "Two beats"
beats = 2

[[voice]]
yaw = [[0, 10, "hit"], [1, -10]]
"""


@pytest.fixture
def own(home: Home, tmp_path: Path) -> Home:
    """A user with a template of two beats, and no previews yet."""
    (home.data / "templates").mkdir(parents=True)
    (home.data / "templates" / "short.toml").write_text(SHORT, "utf-8")
    return replace(home, cache=tmp_path / "cache")


def test_a_preview_is_a_sheet_and_a_film_that_say_what_they_are(own: Home) -> None:
    assert not preview_of("short", own).is_made
    made = make_preview("short", own)
    assert made.is_made and made.sheet.parent == own.cache / "templates"
    with Image.open(made.sheet) as sheet:
        assert sheet.size == (4 * 240, 2 * 240) and "AIGC" in sheet.info
    with av.open(str(made.film)) as film:
        assert "AIGC" in film.metadata
        assert sum(1 for _ in film.decode(video=0)) == 32  # two beats at 112 a minute


def test_it_is_made_once_and_again_for_another_file(own: Home) -> None:
    first = make_preview("short", own)
    at = first.film.stat().st_mtime_ns
    assert make_preview("short", own).film.stat().st_mtime_ns == at
    path = own.data / "templates" / "short.toml"
    path.write_text(SHORT.replace("10,", "20,"), "utf-8")
    assert not preview_of("short", own).is_made


def test_the_command_says_where_it_is(own: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Home, "of_user", lambda: own)
    out = own.data / "shown"
    done = CliRunner().invoke(app, ["templates", "preview", "short", "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert done.output.split() == [str(out / "short.png"), str(out / "short.mp4")]
    assert all(Path(line).is_file() for line in done.output.split())


def test_an_unknown_one_names_the_nearest(own: Home) -> None:
    with pytest.raises(UsageError, match="`short`"):
        make_preview("shrt", own)
