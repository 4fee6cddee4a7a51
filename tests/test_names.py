"""A name stands for one thing in the product, and no function asks for more than can be read."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

from tests import ROOT

# Networks are written as their papers have them, with the papers' names.
_ASIDE = ROOT / "engines" / "networks"
# A class name that has to stand twice, and why.
ALLOWED: dict[str, str] = {}
MOST_PARAMETERS = 12


def modules() -> list[tuple[Path, ast.Module]]:
    return [
        (path.relative_to(ROOT), ast.parse(path.read_text("utf-8")))
        for package in ("avatar", "engines", "calibrate")
        for path in sorted((ROOT / package).rglob("*.py"))
        if not path.is_relative_to(_ASIDE)
    ]


def parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    found = function.args
    listed = [*found.posonlyargs, *found.args, *found.kwonlyargs, found.vararg, found.kwarg]
    return [each.arg for each in listed if each is not None and each.arg not in ("self", "cls")]


def test_a_public_class_name_stands_once() -> None:
    homes = defaultdict(list)
    for path, tree in modules():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                homes[node.name].append(f"{path.as_posix()}:{node.lineno}")
    assert len(homes) > 200  # the product was found
    doubled = {name: places for name, places in homes.items() if len(places) > 1}
    assert {name: where for name, where in doubled.items() if name not in ALLOWED} == {}
    assert set(ALLOWED) <= set(doubled)
    assert len(ALLOWED) <= 4


def test_no_function_has_more_parameters_than_can_be_read() -> None:
    functions = [
        (f"{path.as_posix()}:{node.lineno} {node.name}", parameters(node))
        for path, tree in modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    assert len(functions) > 1000
    assert {where: len(names) for where, names in functions if len(names) > MOST_PARAMETERS} == {}
