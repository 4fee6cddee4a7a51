"""The house in figures: ``python -m tests.house`` prints what the tests hold, and how much of it.

Duplicated lines and the time of a start are measured by other tools; what can be read from the
sources is read here.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator

from tests import ROOT
from tests.core.product import product
from tests.test_imports import PACKAGES, cycles, import_graph

WRITES_WHOLE = re.compile(r"mkstemp|NamedTemporaryFile|os\.replace\(|\bpart\.replace\(")
READS_RECORDS = re.compile(r"model_validate(_json)?\(")
FINDS_FOLDERS = re.compile(r"import platformdirs|from platformdirs")
MAKES_PAGES = re.compile(r"<!doctype|<html", re.IGNORECASE)


def naming(pattern: str) -> list[str]:
    """Return the modules of the product whose text has ``pattern``, whatever its capitals."""
    found = re.compile(pattern, re.IGNORECASE)
    return [name for name, text in product() if found.search(text)]


def parameters() -> Iterator[tuple[int, str]]:
    """Yield how many parameters each function has, and where it is; self and cls do not count."""
    for module, text in product():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                plain = [*node.args.posonlyargs, *node.args.args]
                own = bool(plain) and plain[0].arg in ("self", "cls")
                yield len(plain) + len(node.args.kwonlyargs) - own, f"{module}.{node.name}"


def classes() -> dict[str, list[str]]:
    """Return the modules of each public class name that stands more than once.

    Networks as they were published keep their names, and do not count.
    """
    found = defaultdict(list)
    for module, text in product():
        if module.startswith("engines.networks"):
            continue
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                found[node.name].append(module)
    return {name: modules for name, modules in found.items() if len(modules) > 1}


def figures() -> dict[str, object]:
    """Return each figure by its name."""
    return {
        "files that name liveportrait": len(naming("liveportrait")),
        "files that name fomm": len(naming("fomm|firstorder")),
        "parameters of the longest function": max(parameters()),
        "public class names that stand more than once": classes(),
        "writers of whole files": naming(WRITES_WHOLE.pattern),
        "readers of records": naming(READS_RECORDS.pattern),
        "finders of the user's folders": naming(FINDS_FOLDERS.pattern),
        "makers of HTML pages": naming(MAKES_PAGES.pattern),
        "import cycles": len(cycles(import_graph(ROOT, PACKAGES))),
    }


if __name__ == "__main__":
    import sys

    for name, value in figures().items():
        sys.stdout.write(f"{name}: {value}\n")
