"""Who may talk to the server: Host, Origin and token of every request, before anything else.

- Host must be one of the names the server is reached by: a page elsewhere whose name was pointed
  to this machine (DNS rebinding) carries its own name there.
- Origin, which browsers send with every POST and WebSocket, must be the server itself: no other
  page can act here. What changes something is refused without it.
- The token comes once, in the address that the program printed, and is then a cookie that
  scripts cannot read and other sites' requests do not carry. It is compared in constant time. The
  studio's opens once: what the cookie carries is another secret (``Entrance``).

Plain ASGI (https://asgi.readthedocs.io/en/latest/specs/www.html), so that nothing can be routed
around it.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import parse_qsl, urlencode

from avatar.web.leading import leading_page
from avatar.web.tokens import Entrance

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Role = Literal["studio", "view"]

_POLICY = (
    "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
HEADERS: tuple[tuple[bytes, bytes], ...] = (
    (b"content-security-policy", _POLICY.encode()),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(self), microphone=(), geolocation=()"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
)
"""Sent with every answer. Nothing is cached: pages are on this machine and small."""


@dataclass(frozen=True)
class Rules:
    """What is let in.

    ``hosts``: the names, with the port, that the server is reached by. ``scheme``: http or
    https. ``tokens``: by role; ``view`` opens nothing but ``view_paths``. ``port``: stands in the
    cookies' names, since browsers share cookies between the ports of one host. ``entrance``: what
    stands for the studio's token in an address; without one, that itself.
    """

    hosts: frozenset[str]
    scheme: Literal["http", "https"]
    tokens: dict[Role, str] = field(repr=False)
    port: int
    view_paths: tuple[str, ...] = ("/view", "/static/", "/api/watch", "/api/view")
    entrance: Entrance | None = field(default=None, repr=False)

    def role_of(self, token: str | None) -> Role | None:
        """Return what ``token`` opens; every token is compared, each in constant time."""
        given = (token or "").encode()
        found: Role | None = None
        for role, known in self.tokens.items():
            if hmac.compare_digest(given, known.encode()):
                found = role
        return found

    def role_by_address(self, token: str, *, is_page: bool, known: Role | None) -> Role | None:
        """Return what a token in an address opens; the studio's on its page alone, and once.

        ``known``: what the request's cookies open. To whoever is inside a used token is no news.
        """
        entrance = self.entrance
        if entrance is None:
            return self.role_of(token)
        if is_page and entrance.redeem(token):
            return "studio"
        if known == "studio" and entrance.was_valid(token):
            return known
        role = self.role_of(token)
        return role if role == "view" else None

    def cookie(self, role: Role) -> str:
        """Return the name of the cookie that carries a role's token."""
        return f"avatar-{role}-{self.port}"

    def allows(self, role: Role | None, path: str) -> bool:
        """Return whether ``role`` may have ``path``."""
        if role == "studio":
            return True
        return role == "view" and any(
            path == allowed or (allowed.endswith("/") and path.startswith(allowed))
            for allowed in self.view_paths
        )


class Guard:
    """Lets through to ``app`` what the rules allow, and answers everything else itself."""

    def __init__(self, app: App, rules: Rules) -> None:
        self._app, self._rules = app, rules

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        headers = {name.lower(): value for name, value in scope["headers"]}
        cookies = [value for name, value in scope["headers"] if name.lower() == b"cookie"]
        headers[b"cookie"] = b"; ".join(cookies)
        refusal = self._refusal(scope, headers)
        if refusal is not None:
            await _refuse(scope, receive, send, *refusal)
            return
        fresh = _token_in_address(scope)
        is_page = scope["path"] in _PAGES and scope["type"] == "http" and scope["method"] == "GET"
        role = self._remembered(headers)
        if fresh is not None:
            role = self._rules.role_by_address(
                fresh, is_page=is_page and scope["path"] == "/", known=role
            )
        if role is None or not self._rules.allows(role, scope["path"]):
            await _refuse(scope, receive, send, 401, _NO_TOKEN)
            return
        state = scope.setdefault("state", {})
        if "visitor" in state:
            state["visitor"].recognised(role)
        if fresh is not None and is_page:
            await self._welcome(scope, send, role, headers)
        else:
            state["role"] = role
            await self._app(scope, receive, _with_headers(send))

    def _refusal(self, scope: Scope, headers: dict[bytes, bytes]) -> tuple[int, str] | None:
        """Return why Host or Origin is wrong; None when both are right."""
        host = headers.get(b"host", b"").decode("latin-1").lower()
        if host not in self._rules.hosts:
            return 421, _WRONG_HOST
        origin = headers.get(b"origin")
        changes = scope["type"] == "websocket" or scope["method"] not in ("GET", "HEAD")
        if origin is None:
            if changes:
                return 403, _NO_ORIGIN
            # Pictures and scripts that another site embeds carry no Origin, but say so here.
            site = headers.get(b"sec-fetch-site", b"same-origin")
            navigates = headers.get(b"sec-fetch-mode", b"navigate") == b"navigate"
            return None if site in (b"same-origin", b"none") or navigates else (403, _WRONG_ORIGIN)
        # Other names of this very server are other origins, too.
        own = f"{self._rules.scheme}://{host}"
        return None if origin.decode("latin-1").lower() == own else (403, _WRONG_ORIGIN)

    def _remembered(self, headers: dict[bytes, bytes]) -> Role | None:
        """Return what the request's cookies open, the most of it.

        Any program on this machine may set others, also of the same name and of any form: each
        one is looked at by itself.
        """
        parts = headers.get(b"cookie", b"").decode("latin-1").split(";")
        given = [
            (name.strip(), value.strip()) for name, _, value in (p.partition("=") for p in parts)
        ]
        for role in self._rules.tokens:
            values = [value for name, value in given if name == self._rules.cookie(role)]
            if sum(self._rules.role_of(value) == role for value in values):
                return role
        return None

    async def _welcome(
        self, scope: Scope, send: Send, role: Role, asked: dict[bytes, bytes]
    ) -> None:
        """Turn the token of the address into a cookie, and send the page on without it.

        Where another page led here, its own page goes on, since browsers follow a redirection in
        that one's name and leave the cookie out.
        """
        rest = [pair for pair in _query(scope) if pair[0] != "token"]
        place = scope["path"] + (f"?{urlencode(rest)}" if rest else "")
        secure = "; Secure" if self._rules.scheme == "https" else ""
        secret = self._rules.tokens[role]
        cookie = f"{self._rules.cookie(role)}={secret}; Path=/; HttpOnly; SameSite=Strict{secure}"
        headers = [(b"set-cookie", cookie.encode())]
        if asked.get(b"sec-fetch-site") in (b"cross-site", b"same-site"):
            await _answer(send, 200, leading_page(place), headers, kind=b"text/html; charset=utf-8")
        else:
            await _answer(send, 303, "", [(b"location", place.encode("latin-1")), *headers])


def _query(scope: Scope) -> list[tuple[str, str]]:
    return parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)


def _token_in_address(scope: Scope) -> str | None:
    return dict(_query(scope)).get("token")


# Where a token in the address becomes a cookie.
_PAGES = ("/", "/view")
_WRONG_HOST = (
    "This server answers to the address that the program printed, and to no other name. "
    "Open that address."
)
_WRONG_ORIGIN = "Another web page asked for this. Only the page of this program may."
_NO_ORIGIN = "This request does not say which page it comes from (no Origin). Browsers do."
_NO_TOKEN = (
    "This address lacks the token, or has a wrong or an old one. Open the whole address that the "
    "program printed in its terminal: it ends in ?token=…"
)


def _with_headers(send: Send) -> Send:
    """Return ``send`` that adds ``HEADERS`` to the answer's start."""

    async def sending(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            own = {name for name, _ in HEADERS}
            kept = [pair for pair in message.get("headers", []) if pair[0].lower() not in own]
            message["headers"] = [*kept, *HEADERS]
        await send(message)

    return sending


async def _refuse(scope: Scope, receive: Receive, send: Send, status: int, why: str) -> None:
    if scope["type"] == "websocket":
        await receive()
        # Before it was accepted, closing is answered with 403 (ASGI specification).
        await send({"type": "websocket.close", "code": 1008, "reason": why[:120]})
        return
    # Nothing more of this connection is read, such as the rest of a body.
    await _answer(send, status, why, [(b"connection", b"close")])


async def _answer(
    send: Send,
    status: int,
    text: str,
    more: list[tuple[bytes, bytes]] | None = None,
    kind: bytes = b"text/plain; charset=utf-8",
) -> None:
    body = text.encode()
    headers = [
        (b"content-type", kind),
        (b"content-length", str(len(body)).encode()),
        *(more or []),
        *HEADERS,
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
