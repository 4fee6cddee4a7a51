"""No module of the product needs itself to be imported, however far round."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests import ROOT

PACKAGES = ("avatar", "engines", "calibrate")

Graph = Mapping[str, set[str]]


def _imported(tree: ast.AST, module: str, package: bool) -> Iterator[str]:
    """Yield what a module imports, in functions too: modules, or names within modules.

    What stands under ``if TYPE_CHECKING`` does not run and is left out.
    """
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for other in node.orelse:
                yield from _imported(other, module, package)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = module.split(".")
                up = parts[: len(parts) - node.level + package]
                base = ".".join([*up, *([node.module] if node.module else [])])
            yield from (f"{base}.{alias.name}" for alias in node.names)
        else:
            yield from _imported(node, module, package)


def import_graph(root: Path, packages: tuple[str, ...]) -> dict[str, set[str]]:
    """Return which modules each module imports, by their dotted names."""
    files = {}
    for package in packages:
        for path in (root / package).rglob("*.py"):
            parts = path.relative_to(root).with_suffix("").parts
            files[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    graph: dict[str, set[str]] = {}
    for name, path in files.items():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        found = set(_imported(tree, name, path.name == "__init__.py"))
        modules = {other if other in files else other.rpartition(".")[0] for other in found}
        graph[name] = {other for other in modules if other in files and other != name}
    return graph


def cycles(graph: Graph) -> set[frozenset[str]]:
    """Return the strongly connected components of more than one module (Tarjan 1972)."""
    number: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: set[frozenset[str]] = set()

    def visit(name: str) -> None:
        number[name] = low[name] = len(number)
        stack.append(name)
        for other in sorted(graph[name]):
            if other not in number:
                visit(other)
                low[name] = min(low[name], low[other])
            elif other in stack:
                low[name] = min(low[name], number[other])
        if low[name] == number[name]:
            component = set(stack[stack.index(name) :])
            del stack[stack.index(name) :]
            if len(component) > 1:
                found.add(frozenset(component))

    for name in graph:
        if name not in number:
            visit(name)
    return found


def test_no_module_imports_itself_by_way_of_others() -> None:
    assert cycles(import_graph(ROOT, PACKAGES)) == set()


@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        ({"a": "import p.b", "b": "def f():\n    from p.a import x"}, {"p.a", "p.b"}),
        ({"a": "from . import b", "b": "from p import c", "c": "from .a import f"},
         {"p.a", "p.b", "p.c"}),
        ({"a": "import p.b", "b": "if TYPE_CHECKING:\n    import p.a"}, None),
        ({"a": "import p.b\nimport p.c", "b": "import p.c", "c": "x = 1"}, None),
    ],
    ids=["within a function", "by relative imports", "for the type checker", "no cycle"],
)  # fmt: skip
def test_cycles_are_found(
    tmp_path: Path, sources: dict[str, str], expected: set[str] | None
) -> None:
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "__init__.py").write_text("")
    for name, text in sources.items():
        (tmp_path / "p" / f"{name}.py").write_text(text)
    found = cycles(import_graph(tmp_path, ("p",)))
    assert found == ({frozenset(expected)} if expected else set())
