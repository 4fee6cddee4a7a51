"""A page that shows nothing and leads a browser on to another address."""

from __future__ import annotations

from html import escape


def leading_page(address: str) -> str:
    """Return the page as HTML, for ``address`` in any letters."""
    refresh = f'<meta http-equiv="refresh" content="0;url={escape(address)}">'
    return f'<!doctype html><meta charset="utf-8">{refresh}\n'
