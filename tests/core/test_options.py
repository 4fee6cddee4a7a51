"""Options declared once: the same names, bounds and words at every door."""

from __future__ import annotations

import importlib
import inspect
import json
import pydoc
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from typer.main import get_command

from avatar.app.cli import app
from avatar.app.cli.machine import BenchRequest
from avatar.app.studio.options import changed, describe
from avatar.core.config_file import checked, load_options, read_options
from avatar.core.errors import ConfigError, UsageError
from avatar.core.option import DRIVER, Change
from avatar.core.option_values import parse_size
from avatar.core.options import (
    ENGINE_NAMES,
    Options,
    changeable,
    declared,
    default_of,
    flag_of,
    options_on,
    schema,
)
from avatar.core.options_table import main, with_tables
from avatar.sessions.driver import Driver
from avatar.sessions.live import open_live
from avatar.sessions.retargeting import make_retargeter
from avatar.stages.motion.driving import Driving
from tests import ROOT


def test_without_anything_the_defaults_hold() -> None:
    assert load_options(None) == Options()


def test_the_command_line_wins_over_the_file_and_the_file_over_the_defaults(tmp_path: Path) -> None:
    path = tmp_path / "avatar.toml"
    path.write_text('avatar = "mona.jpg"\nfps = 25\nlabel-text = "KI"\nout = ["preview", "none"]\n')
    config = load_options(path, {"fps": 24.0, "motion": None})
    assert config == Options(
        avatar=("mona.jpg",), fps=24.0, label_text="KI", out=("preview", "none")
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('avatr = "x.jpg"', "unknown key `avatr`. Did you mean `avatar`?"),
        ("zzzz = 1", "unknown key `zzzz`. Known: avatar, camera"),
        ('fps = "fast"', "`fps`"),
        ('motion = "sideways"', "`motion`"),
        ("fps = 30 30", "not valid TOML"),
    ],
)
def test_a_wrong_file_is_an_error_that_names_the_place(
    tmp_path: Path, text: str, words: str
) -> None:
    path = tmp_path / "avatar.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_options(path, {})
    assert words in str(caught.value)
    assert str(path) in str(caught.value)


def test_an_absent_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_options(tmp_path / "absent.toml", {})


def test_sizes() -> None:
    assert parse_size("1280x720") == (1280, 720)
    assert parse_size("640X480") == (640, 480)
    for wrong in ("1280", "x720", "1281x720", "10x10", "9000x720", "a×b", "-2x4"):
        with pytest.raises(UsageError, match="--size"):
            parse_size(wrong)


@pytest.mark.parametrize(
    "given", [{"fps": 0.0}, {"fps": 1000.0}, {"seconds": 0.0}, {"avatar": []}, {"out": []}]
)
def test_impossible_values_are_refused(given: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        load_options(None, given)


# --- one table, many doors

SESSIONS = {
    "run": (), "studio": (), "bench": (), "animate": ("--driving", "a.mp4", "--out", "b.mp4"),
}  # fmt: skip
OWN = {"animate": {"out", "seconds"}, "bench": {"camera", "out", "seconds", "force"}}
"""What is called like an option in a command, and is another thing there."""


def commands() -> dict[str, Any]:
    return dict(get_command(app).commands)  # type: ignore[attr-defined]


def beyond(name: str) -> list[float]:
    """Return a value below and one above the bounds of an option."""
    bounds = declared()[name].bounds
    assert bounds is not None
    return [bounds[0] - 1, bounds[1] + 1]


BOUNDED = [
    (name, value) for name, option in declared().items() if option.bounds for value in beyond(name)
]


def doors(name: str, value: float, folder: Path) -> Iterator[tuple[str, Callable[[], object]]]:
    """Yield every way in which an option can be given, and how it is given there."""
    for command, needed in SESSIONS.items():
        if name in options_on(command):
            words = [command, *needed, f"{flag_of(name)}={value:g}"]
            yield command, lambda words=words: app(words, standalone_mode=False)  # type: ignore[misc]
    file = folder / "avatar.toml"
    file.write_text(f"{name.replace('_', '-')} = {value:g}\n", encoding="utf-8")
    yield "a config file", lambda: load_options(file)
    yield "open_live", lambda: open_live(**{name: value})
    if name in options_on(DRIVER):
        yield "Driver", lambda: Driver("builtin", **{name: value})
    if declared()[name].page:
        yield "the page", lambda: changed(Options(), {name: value})


@pytest.mark.parametrize(("name", "value"), BOUNDED)
def test_bounds_are_the_same_at_every_door(name: str, value: float, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as known:
        Options(**{name: value})  # type: ignore[arg-type]
    assert str(known.value).startswith(f"{flag_of(name)}: expected ")
    used = []
    for door, give in doors(name, value, tmp_path):
        with pytest.raises(UsageError) as caught:
            give()
        assert str(known.value) in str(caught.value), door
        used.append(door)
    assert {"run", "a config file", "open_live"} <= set(used)


@pytest.mark.parametrize("name", [name for name, option in declared().items() if option.bounds])
def test_the_bounds_themselves_are_allowed(name: str) -> None:
    option = declared()[name]
    assert option.bounds is not None
    low, high, step = option.bounds
    for value in (low, high):
        assert getattr(load_options(None, {name: value}), name) == value
    assert 0 < step <= high - low
    if option.page:
        (shown,) = (one for one in describe(Options(), [], {}) if one["name"] == name)
        assert (shown["min"], shown["max"], shown["step"]) == (low, high, step)


@pytest.mark.parametrize("name", declared())
def test_every_option_is_declared_whole(name: str) -> None:
    option = declared()[name]
    assert option.help.endswith(".")
    assert set(option.on) <= {*SESSIONS, DRIVER}
    assert "run" in option.on, "a session on the command line has every option"
    assert set(option.engines) <= set(ENGINE_NAMES)
    json.dumps(schema(name), allow_nan=False)
    assert checked(name, default_of(name)) == default_of(name)


@pytest.mark.parametrize("command", SESSIONS)
def test_a_command_has_the_flags_that_the_table_says(command: str) -> None:
    parameters = {p.name: p for p in commands()[command].params}
    ours = set(parameters) & set(declared()) - OWN.get(command, set())
    assert ours == set(options_on(command))
    for name in ours - {"motion"}:
        flags = [*parameters[name].opts, *parameters[name].secondary_opts]
        assert flag_of(name) in flags


def test_what_changes_while_running_is_in_one_set_each() -> None:
    kinds = get_args(Change)
    sets = [changeable(kind) for kind in kinds]
    assert sum(map(len, sets)) == len(declared()) == len(frozenset().union(*sets))
    assert {"avatar", "engine", "background"} <= changeable("picture")
    assert changeable("label") == {"label_text", "label_corner"}


@pytest.mark.parametrize("path", ["docs/options.md", "README.md"])
def test_the_documented_tables_are_those_of_the_program(path: str) -> None:
    text = (ROOT / path).read_text("utf-8")
    if ":begin -->" not in text:
        pytest.skip(f"{path} has no marks for a table yet")
    assert with_tables(text) == text, f"python -m avatar.core.options_table {path}"


def test_tables_are_put_between_their_marks_and_nothing_else_changes(tmp_path: Path) -> None:
    path = tmp_path / "a.md"
    path.write_text(
        "a\n<!-- main-options:begin -->\nformer\n<!-- main-options:end -->\nz\n", "utf-8"
    )
    assert main([str(path)]) == 0
    text = path.read_text("utf-8")
    assert text.startswith("a\n<!-- main-options:begin -->\n| option |") and text.endswith("\nz\n")
    assert "former" not in text and "--avatar PHOTO\\|NAME" in text
    with pytest.raises(UsageError, match="expected <!-- options:end -->"):
        with_tables("<!-- options:begin -->")


# --- what programs see


def test_signatures_show_the_options_with_types_and_defaults() -> None:
    parameters = inspect.signature(Driver).parameters
    assert list(parameters)[:6] == ["avatar", "engine", "motion", "frame", "smoothing", "size_px"]
    assert parameters["strength"].default == 1.0 and parameters["strength"].annotation is float
    assert "camera" not in parameters
    assert set(declared()) < set(inspect.signature(open_live).parameters)
    assert "max_turn: float | None = None" in pydoc.plain(pydoc.render_doc(Driver))


def test_a_driver_names_the_nearest_of_an_unknown_option() -> None:
    with pytest.raises(UsageError, match=r"unknown option of Driver `strenght`\. Did you mean"):
        Driver("builtin", strenght=1.0)
    with pytest.raises(UsageError, match="unknown option of Driver `mirror`"):
        Driver("builtin", mirror=True)


def test_the_former_arguments_of_a_driver_still_count(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    monkeypatch.setattr(
        "avatar.sessions.driver.make_retargeter",
        lambda options, home: made.append(options) or make_retargeter(options, home),
    )
    with pytest.warns(DeprecationWarning, match="strength=1.2"):
        Driver("builtin", driving=Driving(strength=0.5, mouth=1.5, max_turn_deg=20.0))
    assert made == [Options(strength=0.5, weight=("mouth=1.5",), max_turn=20.0)]
    with pytest.warns(DeprecationWarning):
        former = importlib.import_module("avatar.config").NeuralOptions
    with pytest.warns(DeprecationWarning), pytest.raises(UsageError, match="--crop is for"):
        Driver("builtin", neural=former(crop="1,2,300"))


# --- one file for every command


def test_one_file_serves_every_command(tmp_path: Path) -> None:
    path = tmp_path / "avatar.toml"
    path.write_text('camera = "2"\nstrength = 0.5\nlabel-text = "KI"\nseconds = 3\n', "utf-8")
    options, given = read_options(path, {}, "animate")
    assert options == Options(strength=0.5, label_text="KI")
    assert given == {"strength", "label_text"}
    assert read_options(path, {}, "bench")[0] == Options(strength=0.5)
    whole = Options(camera="2", strength=0.5, label_text="KI", seconds=3)
    assert read_options(path, {}, "run")[0] == read_options(path, {}, "studio")[0] == whole
    path.write_text("strenght = 0.5\n", "utf-8")
    with pytest.raises(ConfigError, match="Did you mean `strength`"):
        read_options(path, {}, "bench")
    path.write_text("fps = 500\n", "utf-8")
    with pytest.raises(ConfigError, match=f"{path.name}: --fps: expected 1 to 120"):
        read_options(path, {}, "bench")


def test_a_commands_own_words_take_the_files_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, Any]] = []
    monkeypatch.setattr(
        "avatar.sessions.film.animate", lambda options, home, **own: asked.append(own) or 0
    )
    path = tmp_path / "avatar.toml"
    path.write_text('size = "640x480"\n', "utf-8")
    words = ["animate", "--driving", "a.mp4", "--out", "b.mp4"]
    for more in ([], ["--config", str(path)], ["--config", str(path), "--size", "320x240"]):
        app([*words, *more], standalone_mode=False)
    assert [own["size_px"] for own in asked] == [None, (640, 480), (320, 240)]


# --- what people write in files


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("camera = 0", Options(camera="0")),
        ('region = "lips"', Options(regions=("lips",))),
        ("no-label = true", Options(label=False)),
        ("\ufefffps = 25", Options(fps=25.0)),
        ("strength = 1", Options(strength=1.0)),
    ],
    ids=["number", "flag", "opposite", "mark", "whole"],
)
def test_a_file_says_it_as_people_would(text: str, expected: Options, tmp_path: Path) -> None:
    path = tmp_path / "avatar.toml"
    path.write_text(text, "utf-8")
    assert load_options(path) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"strength = true", "`strength`: expected a number, found true"),
        (b'seconds = "5"', "`seconds`: expected a number, found '5'"),
        (b'mirror = "yes"', "`mirror`: expected true or false, found 'yes'"),
        (b"mirror = 1", "`mirror`: expected true or false, found 1"),
        (b"max_turn = 5\nmax-turn = 1", "expected each option once, found `max_turn` again"),
        (b"mirror = []", "`mirror`: expected true or false, found []"),
        (b"strength = nan", "--strength: expected a number, found nan"),
        (b"seconds = inf", "--seconds: expected a number, found inf"),
        (b"bitrate = 1.5", "`bitrate`: expected a whole number, found 1.5"),
        (b"motion = 'sideways'", "`motion`: expected one of relative, absolute, found 'sideways'"),
        (b"regions = ['nose']", "`regions`: expected a list of some of expression, pose, lips"),
        (b"camera = 1.5", "`camera`: expected a text, found 1.5"),
        (b"avatar = [1]", "`avatar`: expected a text or a list of texts, found [1]"),
        (b"out = [5]", "`out`: expected a text or a list of texts, found list"),
        (b"size = '10x10'", "--size: expected even numbers"),
        (b'stats = "a\\u0000b"', "`stats`: expected a text, found 'a\\x00b'"),
        (b'avatar = ["a\\u0000b"]', "`avatar`: expected a text or a list of texts, found ["),
        (b"face_model = 5.5", "`face_model`: expected a text, found 5.5"),
        ("label_text = 'K\u00fc'".encode("latin-1"), "Save it as UTF-8"),
        (b"avatar = " + b"[" * 5000, "is not valid TOML"),
    ],
    ids=[
        "bool",
        "text",
        "word",
        "one",
        "list",
        "nan",
        "infinite",
        "part",
        "choice",
        "choices",
        "camera",
        "texts",
        "secret",
        "size",
        "nul",
        "nuls",
        "path",
        "twice",
        "latin",
        "deep",
    ],
)
def test_what_a_library_would_guess_is_an_error(text: bytes, words: str, tmp_path: Path) -> None:
    path = tmp_path / "avatar.toml"
    path.write_bytes(text)
    with pytest.raises(ConfigError, match=re.escape(words)) as caught:
        load_options(path)
    assert str(path) in str(caught.value)


# --- what a measurement does not use


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (
            {"html": Path("a.html")},
            "--html is for bench --quality or bench --looks; found it with bench alone",
        ),
        (
            {"clips": Path("c")},
            "--clips is for bench --motion or bench --quality or bench --looks; found it with",
        ),
        ({"quality": True, "plot": Path("a.png")}, "--plot is for bench or bench --motion; found"),
        ({"quality": True, "steadiness": True}, "--motion and --quality are two measurements"),
        (
            {"glass": True, "out": "udp://127.0.0.1:1"},
            "--out is for bench; found it with bench --g",
        ),
    ],
)
def test_bench_refuses_what_its_measurement_does_not_use(given: Any, words: str) -> None:
    with pytest.raises(UsageError, match=re.escape(words)):
        BenchRequest(**given)


def test_the_file_is_named_where_it_alone_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "avatar.toml"
    path.write_text("size = '10x10'")
    with pytest.raises(ConfigError, match=re.escape(f"{path}: --size")):
        load_options(path)
    with pytest.raises(UsageError) as refused:
        load_options(path, {"size": "8x8"})
    assert str(path) not in str(refused.value)


@pytest.mark.parametrize("avatar", ["builtin", ["builtin"], ("builtin",)])
def test_one_text_stands_for_a_list_of_one(avatar: Any) -> None:
    assert load_options(None, {"avatar": avatar}).avatar == ("builtin",)
