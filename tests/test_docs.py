"""What README and the pages say can be typed, and what they point to is there."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from avatar.app.cli import app
from tests import ROOT

README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").glob("*.md"))]
CONTRIBUTING = ROOT / "CONTRIBUTING.md"
WORKFLOW = ROOT / ".github" / "workflows" / "test.yml"

_SHELL = re.compile(r"^ *```(?:sh)?\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`((?:\.venv/bin/)?avatar [^`]+)`")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_PATH = re.compile(r"(?<![\w./-])((\w+)/[\w/]*\w(?:\.\w+)*)")
# What stands for something else in running text: NAME, FILE…, …
_PLACEHOLDER = re.compile(r"^[A-Z][A-Z,0-9]*…?$|^…$")


def ids(path: Path) -> str:
    return str(path.relative_to(ROOT))


def commands_in(text: str) -> Iterator[str]:
    """Every line of a shell block and every piece of code in a sentence that calls avatar."""
    for block in _SHELL.findall(text):
        for line in block.splitlines():
            if re.match(r" *(\.venv/bin/)?avatar ", line):
                yield line
    yield from _INLINE.findall(_SHELL.sub("", text))


@cache
def application() -> Any:
    return get_command(app)


def mistakes(line: str) -> list[str]:
    """What of a command line does not exist: a command, or a flag of it."""
    words = shlex.split(line, comments=True)[1:]
    command = application()
    while words and hasattr(command, "commands") and not words[0].startswith("-"):
        name = words.pop(0)
        if _PLACEHOLDER.match(name):
            return []
        # install|status|remove stand for each of them.
        for alternative in name.split("|"):
            if alternative not in command.commands:
                return [f"no command {alternative!r}"]
        command = command.commands[name.partition("|")[0]]
    flags = {flag for p in command.params for flag in (*p.opts, *p.secondary_opts)}
    flags |= {"--help", "-h"}
    given = [word.partition("=")[0] for word in words if word.startswith("-") and word != "-"]
    return [f"no option {flag}" for flag in given if flag not in flags]


def anchors(page: Path) -> set[str]:
    """The names that GitHub gives to a page's headings."""
    headings = re.findall(r"^#+ (.*)$", page.read_text("utf-8"), re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_every_command_that_is_shown_exists(page: Path) -> None:
    wrong = {
        line: found for line in commands_in(page.read_text("utf-8")) if (found := mistakes(line))
    }
    assert not wrong


def test_a_command_that_does_not_exist_is_noticed() -> None:
    assert mistakes("avatar animat --avatar me.jpg") == ["no command 'animat'"]
    assert mistakes("avatar run --avatr me.jpg") == ["no option --avatr"]
    assert mistakes("avatar autostart install|enable") == ["no command 'enable'"]
    assert mistakes(".venv/bin/avatar run --avatar me.jpg  # --none of this") == []


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_every_script_and_module_that_is_shown_exists(page: Path) -> None:
    text = page.read_text("utf-8")
    scripts = set(re.findall(r"\bscripts/[\w.-]*\w", text))
    modules = set(re.findall(r"python -m ((?:avatar|engines|tests)[\w.]*\w)", text))
    assert {script for script in scripts if not (ROOT / script).is_file()} == set()
    assert {module for module in modules if find_spec(module) is None} == set()


@pytest.mark.parametrize("page", [*PAGES, CONTRIBUTING, WORKFLOW], ids=ids)
def test_every_path_in_the_source_that_is_named_exists(page: Path) -> None:
    rooms = {room.parent.name: room.parents[1] for room in (ROOT / "avatar").glob("*/__init__.py")}
    places = rooms | dict.fromkeys(("avatar", "engines", "calibrate", "tests"), ROOT)
    named = _PATH.findall(page.read_text("utf-8"))
    paths = {places[first] / path for path, first in named if first in places}
    assert {path for path in paths if not path.exists()} == set()


def test_readme_shows_commands() -> None:
    assert len(list(commands_in(README.read_text("utf-8")))) >= 5


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_every_link_leads_somewhere(page: Path) -> None:
    dead = []
    for link in _LINK.findall(page.read_text("utf-8")):
        name, _, anchor = link.partition("#")
        target = (page.parent / name) if name else page
        if re.match(r"[a-z]+:", link):
            continue
        if not target.exists() or (anchor and anchor not in anchors(target)):
            dead.append(link)
    assert not dead


def test_every_page_is_in_the_index_and_every_picture_is_used() -> None:
    index = (ROOT / "docs" / "README.md").read_text("utf-8")
    pages = {page.name for page in PAGES} - {"README.md"}
    assert {page for page in pages if f"({page}" not in index} == set()
    everything = "".join(page.read_text("utf-8") for page in PAGES)
    pictures = {picture.name for picture in (ROOT / "docs" / "images").iterdir()}
    assert {picture for picture in pictures if f"images/{picture})" not in everything} == set()


def test_readme_is_short_and_its_moving_picture_small() -> None:
    assert len(README.read_text("utf-8").splitlines()) <= 150
    (picture,) = (ROOT / "docs" / "images").glob("demo.*")
    assert picture.stat().st_size < 3_000_000


def test_each_promise_of_the_studio_names_a_test_that_there_is() -> None:
    page = (ROOT / "docs" / "studio.md").read_text("utf-8")
    table = page[page.index("## What is promised") : page.index("Not promised")]
    rows = [row.split("|") for row in table.splitlines() if row.startswith("| ")][1:]
    promises = [row for row in rows if not row[1].startswith(" **")]
    assert len(promises) > 15
    tests = "".join(path.read_text("utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    for _, promise, named, _ in promises:
        functions = re.findall(r"`(test_\w+)`", named)
        files = re.findall(r"`(tests/[\w/]+\.py)`", named)
        assert functions or files, promise
        assert all(f"def {name}(" in tests for name in functions), promise
        assert all((ROOT / path).is_file() for path in files), promise
