"""Where a stream goes. Keys are in addresses: what may be shown of one, ``core.addresses`` says."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import Literal, cast
from urllib.parse import SplitResult, urlsplit

from avatar.core.addresses import shown_address
from avatar.core.errors import UsageError

Kind = Literal["rtmp", "rtmps", "udp", "whip"]
_PORTS = {"rtmp": 1935, "rtmps": 443, "http": 80, "https": 443}
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_EXAMPLES = {
    "rtmp": "rtmp://HOST/APP/KEY",
    "rtmps": "rtmps://HOST/APP/KEY",
    "udp": "udp://HOST:PORT",
    "whip": "whip:https://HOST/PATH",
}


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
    shown = shown_address(url)
    return StreamAddress(
        cast("Kind", kind), host, port, parts.scheme in ("rtmps", "https"),
        f"whip:{shown}" if kind == "whip" else shown, url, token,
    )  # fmt: skip


def numbered(address: StreamAddress, taken: Collection[str]) -> StreamAddress:
    """Return an address that is shown otherwise than those ``taken``: of two at one host."""
    shown = address.shown
    number = 1
    while shown in taken:
        number += 1
        shown = f"{address.shown} ({number})"
    return replace(address, shown=shown)


def _split(kind: str, url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        found = parts.hostname and (parts.port or True)
    except ValueError:
        found = None
    schemes = ("http", "https") if kind == "whip" else (kind,)
    if any(character.isspace() or not character.isprintable() for character in url):
        found = None  # urlsplit would leave some of them out
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
