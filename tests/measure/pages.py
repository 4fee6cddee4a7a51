"""Looking at an HTML page as a browser would, and at what it would load."""

from __future__ import annotations

from html.parser import HTMLParser

VOID = {"img", "meta", "br", "hr", "link", "input"}


class Page(HTMLParser):
    """A page that is well formed and loads nothing from elsewhere, else ``AssertionError``.

    ``tags``: each element with its attributes; ``text``: what is read, ``title`` included.
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open: list[str] = []
        assert text.startswith("<!doctype html>")
        self.feed(text)
        self.close()
        assert not self._open
        for name in ("html", "head", "title", "style", "body", "h1"):
            assert self.count(name) == 1, name

    def count(self, name: str) -> int:
        return sum(tag == name for tag, _ in self.tags)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        assert tag not in ("script", "link", "iframe", "base")
        for key, value in attrs:
            assert key not in ("href", "srcset", "style") and not key.startswith("on"), key
            if key == "src":
                assert value is not None
                assert value.startswith("data:image/") or (":" not in value and "//" not in value)
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open[-1:] == ["style"]:
            assert "url(" not in data and "@import" not in data
            assert "prefers-color-scheme:dark" in data
        else:
            self.text += data
