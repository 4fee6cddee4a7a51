"""Advice that can be followed: every option that a text names is one that there is."""

from __future__ import annotations

import ast
import re

import pytest

from tests.app.test_flags import flags
from tests.core.product import product

FLAG = re.compile(r"(?<![\w-])--[a-z][a-z-]+")
# Of systemctl, busctl, pip and others, in lines that are theirs; "--no-" begins an option.
OTHERS = {
    "--user", "--now", "--force-reinstall", "--upgrade", "--needed", "--format", "--gpus", "--no-",
    "--help", "--index-url", "--auto-start", "--timeout",
}  # fmt: skip
# Programs of their own, and a page's colours.
ELSEWHERE = {
    "avatar.learn.renders.__main__", "avatar.measure.trained.speed", "engines.measure",
    "avatar.measure.page", "avatar.measure.tracker", "avatar.measure.outline.__main__",
    "avatar.measure.drawing", "avatar.measure.on_a_card", "avatar.measure.swap",
}  # fmt: skip


def named() -> dict[str, str]:
    """Return every option that a text of the product names, and a module that does."""
    found: dict[str, str] = {}
    for module, text in product():
        if module in ELSEWHERE:
            continue
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found |= dict.fromkeys(FLAG.findall(node.value), module)
    return found


def test_every_option_that_a_text_names_exists() -> None:
    known = {flag for options in flags().values() for one in options for flag in one["flags"]}
    assert {f: where for f, where in named().items() if f not in known | OTHERS} == {}


@pytest.mark.parametrize("command", ["avatar run", "avatar animate", "avatar bench"])
def test_what_is_refused_for_being_there_can_be_forced(command: str) -> None:
    assert any("--force" in one["flags"] for one in flags()[command])
