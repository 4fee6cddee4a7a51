"""Where a stream goes. Keys are in addresses: what is shown never has them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal, cast
from urllib.parse import SplitResult, urlsplit

from avatar.core.errors import UsageError

Kind = Literal["rtmp", "rtmps", "udp", "whip"]
HIDDEN = "…"
"""Stands for the last part of a path and what follows it: a stream's key is there."""

_PORTS = {"rtmp": 1935, "rtmps": 443, "http": 80, "https": 443}
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_EXAMPLES = {
    "rtmp": "rtmp://HOST/APP/KEY",
    "rtmps": "rtmps://HOST/APP/KEY",
    "udp": "udp://HOST:PORT",
    "whip": "whip:https://HOST/PATH",
}
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s'\"]+")


@dataclass(frozen=True)
class StreamAddress:
    """A parsed address. ``shown`` is for people, logs and files; the rest is not.

    ``url`` holds the key. ``token``: what WHIP sends as a bearer token, None without one.
    """

    kind: Kind
    host: str
    port: int
    is_secure: bool
    shown: str
    url: str = field(repr=False)
    token: str | None = field(default=None, repr=False)


def parse_address(kind: str, argument: str, key: str | None = None) -> StreamAddress:
    """Return the address ``kind:argument``, as it stands after ``--out``.

    ``key``: a stream key that was given apart; RTMP has it as the last part of the path, WHIP as
    its bearer token. Raises ``UsageError``, which never repeats the address.
    """
    url = argument if kind == "whip" else f"{kind}:{argument}"
    parts = _split(kind, url)
    host = parts.hostname or ""
    port = parts.port or _PORTS.get(parts.scheme, 0)
    token = None
    if kind == "udp":
        _check_udp(parts, key)
    elif kind == "whip":
        _check_whip(parts, key)
        token = key
    elif key is not None:
        query = f"?{parts.query}" if parts.query else ""
        url = parts._replace(query="", fragment="").geturl().rstrip("/") + f"/{key}{query}"
    shown = shown_address(url if key is None or kind == "whip" else _without(url, key))
    return StreamAddress(
        cast("Kind", kind), host, port, parts.scheme in ("rtmps", "https"),
        f"whip:{shown}" if kind == "whip" else shown, url, token,
    )  # fmt: skip


def shown_address(url: str) -> str:
    """Return ``url`` without user, last part of the path, query and fragment."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return f"{url.partition(':')[0]}://{HIDDEN}"
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
    before, slash, last = parts.path.rpartition("/")
    hidden = last or parts.query or parts.fragment
    return f"{parts.scheme}://{host}{port}{before}{slash}{HIDDEN if hidden else ''}"


def redacted(text: str) -> str:
    """Return ``text`` with every address in it as ``shown_address`` gives it."""
    return _ADDRESS.sub(lambda found: shown_address(found.group()), text)


def _without(url: str, key: str) -> str:
    """Return ``url`` with something short in the key's place: it may have slashes itself."""
    return url.replace(f"/{key}", "/key", 1)


def _split(kind: str, url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        found = parts.hostname and (parts.port or True)
    except ValueError:
        found = None
    schemes = ("http", "https") if kind == "whip" else (kind,)
    if not found or parts.scheme not in schemes:
        raise UsageError(f"--out {kind}: expected an address such as {_EXAMPLES[kind]}")
    if kind in ("rtmp", "rtmps") and not parts.path.strip("/"):
        raise UsageError(
            f"--out {kind}: expected an application after the host, as in {_EXAMPLES[kind]}"
        )
    return parts


def _check_udp(parts: SplitResult, key: str | None) -> None:
    if not parts.port:
        raise UsageError(f"--out udp: expected a port, as in {_EXAMPLES['udp']}")
    if key is not None:
        raise UsageError("--stream-key-file is for rtmp, rtmps and whip; MPEG-TS has no key")


def _check_whip(parts: SplitResult, key: str | None) -> None:
    if key is not None and parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        raise UsageError(
            "--out whip: the key would travel readable over http; expected an address that begins "
            "with https, or one of this machine"
        )
