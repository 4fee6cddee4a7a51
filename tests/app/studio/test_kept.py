"""What was chosen on the page is there again after a restart, until it is reset."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from avatar.app.studio.kept import ChoicesRecord
from avatar.app.studio.runtime import Studio
from avatar.core.errors import UsageError
from avatar.core.files import write_record
from avatar.core.home import Home
from avatar.core.options import Options
from avatar.stages.generate.photo import builtin_photo
from avatar.stages.sinks.page import Audience


@contextmanager
def started(home: Home, *given: str, **options: Any) -> Iterator[tuple[Studio, list[str]]]:
    said: list[str] = []
    config = Options(**({"camera": "demo", "size": "320x240"} | options))
    studio = Studio(config, Audience(), home=home, log=said.append, given=frozenset(given))
    yield studio, said
    studio.close()


def option(studio: Studio, name: str) -> Any:
    return next(one["value"] for one in studio.snapshot()["options"] if one["name"] == name)


def wanted(studio: Studio) -> list[str]:
    return [one["id"] for one in studio.snapshot()["outputs"] if one["state"] == "waiting"]


def choose(home: Home, tmp_path: Path) -> None:
    photo = tmp_path / "Grace.jpg"
    photo.write_bytes(builtin_photo().read_bytes())
    with started(home) as (studio, _):
        studio.add_avatar(photo, "Grace")
        studio.act("avatar", {"avatar": "Grace"})
        studio.act("options", {"strength": 0.5, "weight.mouth": 1.5})
        studio.act("options", {"max_turn": 20})
        studio.act("key", {"key": "m"})
        studio.act("camera", {"camera": "page"})
        for output in ("file", "virtual"):
            studio.act("output", {"id": output, "on": True})
        studio.act("output", {"id": "virtual", "on": False})
        studio.act("output", {"id": "stream", "on": True, "address": "rtmp://h/app/S3CR3T"})


def test_choices_survive_a_restart(home: Home, tmp_path: Path) -> None:
    choose(home, tmp_path)
    with started(home) as (studio, said):
        assert studio.snapshot()["avatar"] == "Grace"
        assert option(studio, "strength") == 0.5 and option(studio, "weight.mouth") == 1.5
        assert option(studio, "max_turn") == 20 and option(studio, "mirror") is True
        assert studio.snapshot()["camera"] == "page"
        assert wanted(studio) == ["file"]
        assert said == [] and studio.snapshot()["chosen"] is True
    (kept,) = home.studio.glob("*.json")
    assert "S3CR3T" not in kept.read_text() and kept.stat().st_mode & 0o777 == 0o600


def test_reset_has_everything_as_it_was_started(home: Home, tmp_path: Path) -> None:
    choose(home, tmp_path)
    with started(home) as (studio, _):
        studio.act("camera", {"camera": "demo"})
        studio.act("start", {})
        with pytest.raises(UsageError, match="Stop"):
            studio.act("reset", {})
        studio.act("stop", {})
        studio.act("reset", {})
        assert studio.snapshot()["chosen"] is False
        assert (studio.snapshot()["avatar"], option(studio, "strength")) == ("builtin", 1.0)
        assert wanted(studio) == []
    with started(home) as (studio, _):
        assert option(studio, "mirror") is False and studio.snapshot()["camera"] == "demo"


def test_what_the_command_line_says_is_stronger_and_the_choice_stays_kept(
    home: Home, tmp_path: Path
) -> None:
    choose(home, tmp_path)
    given = {"strength": 2.0, "avatar": ("builtin",), "camera": "demo"}
    with started(home, *given, **given) as (studio, _):
        assert option(studio, "strength") == 2.0 and option(studio, "max_turn") == 20
        assert studio.snapshot()["avatar"] == "builtin" and studio.snapshot()["camera"] == "demo"
        studio.act("options", {"lock_head": True})
    with started(home) as (studio, _):
        assert option(studio, "strength") == 0.5 and option(studio, "lock_head") is True


def test_what_is_no_longer_there_is_said_and_the_rest_holds(home: Home) -> None:
    home.studio.mkdir(parents=True)
    options = {"strength": 0.5, "profile": "nobody", "smoothing": "magic", "no_option": 1}
    record = ChoicesRecord(avatar="Grace", options=options, outputs=["file", "stream", "moon"])  # type: ignore[arg-type]
    write_record(home.studio / "choices.json", record)
    with started(home) as (studio, said):
        assert option(studio, "strength") == 0.5 and studio.snapshot()["avatar"] == "builtin"
        assert wanted(studio) == ["file"]
    assert sorted(line.split(",")[0] for line in said[1:]) == ["no_option", "profile", "smoothing"]
    assert "Grace" in said[0]


def test_a_broken_file_is_one_line_and_the_studio_starts(home: Home) -> None:
    home.studio.mkdir(parents=True)
    (home.studio / "choices.json").write_text("{")
    with started(home) as (studio, said):
        assert option(studio, "strength") == 1.0
        studio.act("options", {"strength": 0.5})
    assert len(said) == 1 and "choices.json is broken" in said[0]
    with started(home) as (studio, _):
        assert option(studio, "strength") == 0.5


def test_choices_that_cannot_be_kept_hold_until_the_end(home: Home) -> None:
    home.studio.parent.mkdir(parents=True)
    home.studio.write_text("a file where a folder has to be")
    with started(home) as (studio, said):
        studio.act("options", {"strength": 0.5})
        assert option(studio, "strength") == 0.5
    assert "cannot be kept" in said[-1]


def test_the_command_says_which_options_were_given(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from typer.testing import CliRunner

    from avatar.app.cli import app

    told: list[frozenset[str]] = []
    monkeypatch.setattr("avatar.app.studio.studio", lambda *_, given, **__: told.append(given) or 0)
    file = tmp_path / "options.toml"
    file.write_text("strength = 0.5\n")
    arguments = ["studio", "--camera", "demo", "--config", str(file), "--port", "0"]
    assert CliRunner().invoke(app, arguments).exit_code == 0
    assert told == [frozenset({"camera", "strength"})]
