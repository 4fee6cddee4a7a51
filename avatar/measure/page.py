"""HTML pages that show figures: each is one file, for light and dark, and loads nothing.

Text is escaped wherever it is put in; only what is ``Html`` stands as it is.
"""

from __future__ import annotations

import base64
import html
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

from avatar.core.errors import UsageError
from avatar.core.outputs import write_output

_VOID = ("img", "meta")
_STYLE = """
:root{color-scheme:light dark;
--ink:#1c1d21;--soft:#5b6068;--line:#dde0e5;--paper:#fff;--bad:#b3261e}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);
max-width:1660px;margin:0 auto;padding:1.5em 1em 3em}
p,ul{max-width:70em}h1{font-size:1.5em;line-height:1.25}h2{font-size:1.05em;margin:1.8em 0 .4em}
table{display:block;overflow-x:auto;border-collapse:collapse;margin:1em 0;
font-variant-numeric:tabular-nums}
th,td{padding:.25em .9em .25em 0;border-bottom:1px solid var(--line);text-align:right;
vertical-align:top;font-weight:normal}
thead th{color:var(--soft)}.text{text-align:left}
.bad{color:var(--bad);font-weight:bold}
img,video{display:block;max-width:100%;height:auto;margin:.8em 0;border-radius:4px}
pre{white-space:pre-wrap;font-size:12px}summary{cursor:pointer;color:var(--soft)}
@media(prefers-color-scheme:dark){
:root{--ink:#e6e7ea;--soft:#a3a8b0;--line:#34373d;--paper:#141518;--bad:#ff8a80}
.plot{filter:invert(.9) hue-rotate(180deg)}}
"""


class Html(str):
    """A piece of a page, in which what a user named is escaped already."""

    __slots__ = ()


def element(name: str, /, *inside: str, **attributes: str) -> Html:
    """Return an element; ``class_`` is the attribute ``class``."""
    named = "".join(
        f' {key.rstrip("_")}="{html.escape(value)}"' for key, value in attributes.items()
    )
    start = f"<{name}{named}>"
    return Html(start if name in _VOID else f"{start}{joined(*inside)}</{name}>")


def joined(*parts: str) -> Html:
    """Return pieces and texts, one after the other."""
    return Html("".join(p if isinstance(p, Html) else html.escape(p) for p in parts))


def page(title: str, *parts: Html) -> str:
    """Return the page, which ``title`` stands above."""
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", title),
        element("style", Html(_STYLE)),
    )
    body = element("body", element("h1", title), *parts)
    return f"<!doctype html>\n{element('html', head, body, lang='en')}\n"


def table(
    head: Sequence[str], rows: Sequence[Sequence[str]], *, texts: Sequence[int] = (0,)
) -> Html:
    """Return a table of figures; the columns ``texts`` hold words. No ``head``: it has none."""

    def line(cells: Sequence[str], kind: str) -> Html:
        return element("tr", *(
            element(kind, cell, class_="text") if k in texts else element(kind, cell)
            for k, cell in enumerate(cells)
        ))  # fmt: skip

    above = [element("thead", line(head, "th"))] if head else []
    return element("table", *above, element("tbody", *(line(row, "td") for row in rows)))


def bullets(lines: Sequence[str]) -> Html:
    """Return the lines as a list."""
    return element("ul", *(element("li", line) for line in lines))


def bad(text: str) -> Html:
    """Return a text marked as what should not be."""
    return element("span", text, class_="bad")


def picture(alt: str, data: bytes, kind: Literal["jpeg", "png"], class_: str = "") -> Html:
    """Return a picture that lies in the page itself; ``alt`` says what it shows."""
    source = f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"
    return element("img", alt=alt, src=source, **({"class_": class_} if class_ else {}))


def plot(alt: str, data: bytes) -> Html:
    """Return a drawing on white, a PNG; on a dark page it is dark."""
    return picture(alt, data, "png", "plot")


def all_figures(summary: dict[str, Any]) -> Html:
    """Return everything that was measured, folded away."""
    text = json.dumps(summary, indent=2, ensure_ascii=False)
    return element("details", element("summary", "All figures"), element("pre", text))


def drawn(figure: Any, dpi: int) -> bytes:
    """Return a figure of matplotlib's as PNG."""
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=dpi)
    return data.getvalue()


def check_plot(path: Path) -> None:
    """Raise ``UsageError`` unless ``--plot`` names a picture or a page."""
    if path.suffix.lower() not in (".png", ".html"):
        raise UsageError(f"--plot: expected a path ending in .png or .html, found {path}")


def write_plot(path: Path, drawing: bytes, around: Callable[[bytes], str]) -> None:
    """Write a drawing, or the page ``around`` it, by the ending of ``path``.

    Raises ``UsageError`` for another ending, ``SinkError`` when the disk fails.
    """
    check_plot(path)
    write_output(path, drawing if path.suffix.lower() == ".png" else around(drawing))
