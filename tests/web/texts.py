"""The page's words as its files have them: the tables, what the page asks for, what is said."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import avatar
import calibrate
from avatar.web.app import STATIC

PACKAGES = tuple(Path(str(package.__file__)).parent for package in (avatar, calibrate))
_STRING = r'"((?:[^"\\]|\\.)*)"'
_COMPARED = re.compile(rf"[!=]==\s*{_STRING}")
_MADE = re.compile(r"`[^`]*`")


def tables() -> dict[str, dict[str, str]]:
    """Return each language's table."""
    return {
        path.name.split(".")[1]: json.loads(path.read_text(encoding="utf-8"))
        for path in sorted(STATIC.glob("text.*.json"))
    }


def doubled(language: str) -> list[str]:
    """Return the keys that a table has twice, of which JSON would keep the last."""
    pairs = json.loads(
        (STATIC / f"text.{language}.json").read_text(encoding="utf-8"), object_pairs_hook=list
    )
    keys = [key for key, _ in pairs]
    return sorted({key for key in keys if keys.count(key) > 1})


def placeholders(text: str) -> set[str]:
    """Return the names of the values that a text has places for."""
    return set(re.findall(r"\{(\w+)\}", text))


def scripts() -> str:
    """Return all scripts of the page, one after the other, without their comments."""
    texts = [path.read_text(encoding="utf-8") for path in sorted(STATIC.glob("*.js"))]
    return re.sub(r"^\s*//.*$", "", "\n".join(texts), flags=re.MULTILINE)


def keys_in_markup() -> set[str]:
    """Return what the pages' elements name as their words, those that scripts make as well."""
    markup = "".join(path.read_text(encoding="utf-8") for path in STATIC.glob("*.html"))
    names = r'data-(?:text|title|label|placeholder)="([^"]*)"'
    return set(re.findall(names, markup + scripts()))


def keys_asked_for() -> set[str]:
    """Return the keys that stand in a ``t(…)`` or as ``{ key: … }`` of a script."""
    script = scripts()
    calls = [_MADE.sub("", _COMPARED.sub("", call)) for call in _arguments_of_t(script)]
    asked = {key for call in calls for key in re.findall(_STRING, call)}
    return asked | set(re.findall(rf"\bkey: {_STRING}, values", script))


def _arguments_of_t(script: str) -> Iterator[str]:
    """Yield the first argument of each ``t(…)``."""
    for call in re.finditer(r"(?<![\w.$])t\(", script):
        depth, end = 1, call.end()
        while depth and not (depth == 1 and script[end] == ","):
            depth += {"(": 1, "{": 1, "[": 1, ")": -1, "}": -1, "]": -1}.get(script[end], 0)
            end += 1
        yield script[call.end() : end]


def families_asked_for() -> set[str]:
    """Return the beginnings of keys whose end is made in a script: ``t(`option.${name}`)``."""
    made = r"(?:(?<![\w.$])(?:t|has)\(|\.dataset\.text = )`([^`$]*)\$\{"
    return set(re.findall(made, scripts()))


def words_in_scripts() -> set[str]:
    """Return every string of the scripts: a key that stands in none, nobody asks for."""
    return set(re.findall(_STRING, scripts()))


def messages() -> Iterator[tuple[str, ast.Call]]:
    """Yield each ``Message(…)`` of the program, and where it stands."""
    for package in PACKAGES:
        for path in sorted(package.rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Message":
                    yield f"{path.relative_to(package.parent)}:{node.lineno}", node


def english_messages() -> dict[str, str]:
    """Return the English text of each key that the program says. Fails unless they are literals."""
    said: dict[str, str] = {}
    for place, call in messages():
        literals = [one.value for one in call.args if isinstance(one, ast.Constant)]
        assert len(literals) == len(call.args) == 2, f"{place}: expected a key and a text as such"
        key, english = map(str, literals)
        assert said.setdefault(key, english) == english, f"{place}: {key} has two texts"
        names = {keyword.arg for keyword in call.keywords}
        # ``**values`` are known when it runs alone.
        assert None in names or names == placeholders(english), f"{place}: {names} of {english!r}"
    return said
