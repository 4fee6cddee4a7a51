"""What of an address may be shown: its scheme, its host and its port.

Everything else of one may be a secret: user, password, path, query and fragment hold keys and
tokens.
Whatever is printed, logged, kept in statistics or sent to a page passes through here, and nothing
else of the program takes an address apart to show it.
"""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

HIDDEN = "…"
"""Stands for everything that is not shown."""

_SCHEMES = frozenset(
    ("ftp", "ftps", "http", "https", "mms", "rist", "rtmp", "rtmpe", "rtmps", "rtmpt", "rtp",
     "rtsp", "rtsps", "sftp", "srt", "tcp", "tls", "udp", "whep", "whip", "ws", "wss")
)  # fmt: skip
# Of outputs, what may stand before an address.
_KINDS = frozenset(("file", "none", "page", "pipewire", "preview", "virtual", "whep", "whip"))
_SHOWN = r"(?:whip:|whep:)?[A-Za-z][A-Za-z0-9+.-]*://(?:[\w.-]+|\[[0-9a-fA-F:.]+\])?(?::\d+)?/?…"
# Where one ends nobody can know, for keys may have spaces and quotes: all that follows belongs to
# it, unless it is one that was shown already.
_IN_TEXT = re.compile(
    rf"(?<!\w)(?!file:|{_SHOWN})"
    rf"(?:[A-Za-z][A-Za-z0-9+.-]*://|(?:{'|'.join(sorted(_SCHEMES))}):(?![\s]|(?:{_SHOWN}))).*",
    re.DOTALL | re.IGNORECASE,
)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?\.?")


def is_address(text: str) -> bool:
    """Return whether a text is, or was meant to be, an address of another machine."""
    inner = _unquoted(text)
    scheme, colon, rest = inner.partition(":")
    if scheme.lower() == "file":
        return "://" in rest
    # Of one slash or none, too: a slip of the finger makes a key no less secret.
    return bool(colon) and ("://" in inner or scheme.strip().lower() in _SCHEMES)


def shown_address(address: str) -> str:
    """Return what may be shown of an address: ``scheme://host:port``, and "/…" where there is more.

    A kind of output before the scheme (``whip:``) stays. Of what cannot be taken apart for certain
    only the scheme is shown, and of what has none that is known, nothing.
    """
    inner = _unquoted(address)
    outer, _, after = inner.partition(":")
    if outer.lower() in _KINDS and not after.startswith("/"):
        return f"{outer.lower()}:{shown_address(after)}"
    scheme, begun, rest = inner.partition("://")
    place = _place(rest) if begun and _SCHEME.fullmatch(scheme) else ""
    if place:
        return f"{scheme.lower()}://{place}{'' if rest.lower() == place else '/' + HIDDEN}"
    known = outer.strip().lower()
    return f"{known}://{HIDDEN}" if known in _SCHEMES else HIDDEN


def shown_spec(spec: str) -> str:
    """Return what ``--out`` or ``--camera`` was given: as it is, but of an address what may be."""
    return shown_address(spec) if is_address(spec) else spec


def without_addresses(text: str) -> str:
    """Return words from elsewhere with only that of an address in them which may be shown."""
    return _IN_TEXT.sub(lambda found: shown_address(found.group()), text)


def _unquoted(text: str) -> str:
    return text.strip().lstrip("\"'`<([{«“\u2018").lstrip()


def _place(rest: str) -> str:
    """Return host and port of what follows the scheme; empty where they are not certain."""
    try:
        parts = urlsplit(f"//{rest}")
        port = f":{parts.port}" if parts.port else ""
        host = parts.hostname or ""
    except ValueError:
        return ""
    # A password may have a slash in it: then what seems the host is the user.
    if "@" in rest[len(parts.netloc) :] or "\\" in parts.netloc:
        return ""
    if ":" in host:
        try:
            return f"[{ipaddress.IPv6Address(host)}]{port}"
        except ValueError:
            return ""
    try:  # letters of other scripts are names, too
        plain = host.encode("idna").decode("ascii") if host else ""
    except UnicodeError:
        return ""
    return f"{host}{port}" if _HOST.fullmatch(plain) else ""
