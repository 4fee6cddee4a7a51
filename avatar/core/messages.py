"""Lines that the program says, which a page can say in other languages.

The English words stand where the line is said, since logs and the terminal read them there too; a
page in English shows the same line. Other languages have a table (``web/static/text.*.json``)
from the line's key to their words. So no English sentence stands twice, and none is a key.

A plain ``str`` may stand wherever a ``Message`` may: it is shown as it is in every language, as
are words that come from far below (a driver's, the system's).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self


class Message(str):
    """A line in English, with the key and the values by which it is said in other languages.

    >>> Message("said.back", "{output}: back", output="virtual")
    'virtual: back'

    ``english`` has its values as plain ``{name}``. A value may be a ``Message`` itself. Write both
    texts as literals: a test reads them from the source and holds the tables complete.
    """

    __slots__ = ("_english", "key", "values")
    key: str
    values: dict[str, str | int | float]
    _english: str

    def __new__(cls, key: str, english: str, /, **values: str | int | float) -> Self:
        """Return the line with its values filled in."""
        self = super().__new__(cls, english.format_map(values))
        self.key, self.values, self._english = key, values, english
        return self

    def having(self, **values: str | int | float) -> Self:
        """Return the line with other values in the place of some."""
        return type(self)(self.key, self._english, **(self.values | values))

    @classmethod
    def said_elsewhere(cls, said: Mapping[str, Any]) -> Self:
        """Return a line that another process said, from what ``for_json`` made of it."""
        self = super().__new__(cls, said["line"])
        self.key, self.values = said["key"], dict(said["values"])
        self._english = said["line"].replace("{", "{{").replace("}", "}}")
        return self

    def __getnewargs_ex__(self) -> tuple[tuple[str, str], dict[str, Any]]:
        """Return what makes a copy: ``copy`` and ``pickle`` would pass the line alone."""
        return (self.key, self._english), self.values


def option_label(name: str, flag: str) -> Message:
    """Return an option as people know it: its flag, and on the page what stands beside it there."""
    # Its key is no literal, since the page has the words of all options, and no program text.
    return Message.__new__(Message, f"option.{name}", flag)


def words_of(error: BaseException) -> str:
    """Return an error's words: a ``Message`` where it was raised with one."""
    first = error.args[0] if len(error.args) == 1 else None
    return first if isinstance(first, Message) else str(error)


def as_shown(words: str, names: Mapping[str, str]) -> str:
    """Return words as a page shows them.

    What ends a sentence with options of the command line, a value called ``how``, is left out, and
    files are called what the user calls them. ``names``: from a file's path to that.
    """
    if isinstance(words, Message):
        values = {
            name: as_shown(value, names) if isinstance(value, str) else value
            for name, value in words.values.items()
        }
        return words.having(**(values | ({"how": ""} if "how" in values else {})))
    for path, name in names.items():
        words = words.replace(path, name)
    return words


def for_json(value: Any) -> Any:
    """Return ``value`` with each ``Message`` in it as ``{"key", "values", "line"}``, for JSON."""
    if isinstance(value, Message):
        return {"key": value.key, "values": for_json(value.values), "line": str(value)}
    if isinstance(value, dict):
        return {name: for_json(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [for_json(one) for one in value]
    return value
