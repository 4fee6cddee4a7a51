"""Who is let in: every request goes through the guard, whatever the application would do."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from avatar.web.security import Guard, Rules
from avatar.web.tokens import Entrance

PORT = 8765
HOST = f"127.0.0.1:{PORT}"
ORIGIN = f"http://{HOST}"
STUDIO, VIEW = "s" * 32, "v" * 32
RULES = Rules(
    frozenset({HOST, f"localhost:{PORT}"}), "http", {"studio": STUDIO, "view": VIEW}, PORT
)


async def application(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [
        (b"cache-control", b"public"), (b"x-own", b"1"),
    ]})  # fmt: skip
    await send({"type": "http.response.body", "body": b"inside"})


def ask(
    path: str = "/", method: str = "GET", query: str = "", kind: str = "http",
    rules: Rules = RULES, **headers: str,
) -> tuple[int, dict[str, str], str]:  # fmt: skip
    """Return status, headers and text of the answer; 403 for a WebSocket that is refused."""
    given = {"host": HOST} | {name.replace("_", "-"): value for name, value in headers.items()}
    scope = {
        "type": kind, "method": method, "path": path, "query_string": query.encode(),
        "headers": [(n.encode(), v.encode()) for n, v in given.items() if v], "scheme": "http",
    }  # fmt: skip
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(Guard(application, rules)(scope, receive, send))
    if sent[0]["type"] == "websocket.close":
        return 403, {}, sent[0]["reason"]
    found = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], found, sent[1]["body"].decode()


def cookie(role: str, token: str) -> str:
    return f"other=1; avatar-{role}-{PORT}={token}"


def test_the_token_of_the_address_becomes_a_cookie() -> None:
    status, headers, _ = ask(query=f"token={STUDIO}")
    assert (status, headers["location"]) == (303, "/")
    assert headers["set-cookie"] == (
        f"avatar-studio-{PORT}={STUDIO}; Path=/; HttpOnly; SameSite=Strict"
    )
    assert ask(cookie=cookie("studio", STUDIO))[::2] == (200, "inside")


def test_what_else_stands_in_the_address_stays() -> None:
    _, headers, _ = ask("/view", query=f"token={VIEW}&background=green")
    assert headers["location"] == "/view?background=green"


@pytest.mark.parametrize("given", ["", "token=", "token=wrong", f"token={STUDIO[:-1]}", "a=b"])
def test_without_the_token_nothing_is_shown(given: str) -> None:
    status, headers, text = ask(query=given)
    assert status == 401
    assert "set-cookie" not in headers
    assert "token" in text and "inside" not in text


def test_a_wrong_token_counts_even_with_the_right_cookie() -> None:
    assert ask(query="token=wrong", cookie=cookie("studio", STUDIO))[0] == 401


@pytest.mark.parametrize(
    "given",
    [cookie("studio", VIEW), cookie("view", STUDIO), "avatar-studio-1=" + STUDIO, "=;;", "é"],
)
def test_other_cookies_open_nothing(given: str) -> None:
    assert ask(cookie=given)[0] == 401


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/view", 200), ("/static/view.js", 200), ("/api/watch", 200), ("/api/view", 200),
        ("/", 401), ("/api/live", 401), ("/api/act/start", 401), ("/api/avatars", 401),
        ("/viewer", 401), ("/api/watch/x", 401), ("/static", 401),
    ],
)  # fmt: skip
def test_the_view_token_opens_the_view_alone(path: str, status: int) -> None:
    assert ask(path, cookie=cookie("view", VIEW))[0] == status


@pytest.mark.parametrize(
    "host",
    [
        "",
        "evil.example",
        f"evil.example:{PORT}",
        "127.0.0.1",
        "127.0.0.1:1",
        f"127.0.0.1.evil:{PORT}",
    ],
)
def test_another_host_is_refused_whatever_it_knows(host: str) -> None:
    """DNS rebinding: a name elsewhere that leads here."""
    status, _, text = ask(host=host, cookie=cookie("studio", STUDIO), query=f"token={STUDIO}")
    assert status == 421
    assert "inside" not in text


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "null",
        f"https://{HOST}",
        f"http://localhost:{PORT}",
        "http://127.0.0.1",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "OPTIONS"])
def test_another_origin_is_refused(origin: str, method: str) -> None:
    status, headers, _ = ask(method=method, origin=origin, cookie=cookie("studio", STUDIO))
    assert status == 403
    assert not [name for name in headers if name.startswith("access-control")]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_what_changes_something_has_to_say_where_it_comes_from(method: str) -> None:
    known = cookie("studio", STUDIO)
    assert ask(method=method, cookie=known)[0] == 403
    assert ask(method=method, cookie=known, origin=ORIGIN)[0] == 200


def test_a_socket_needs_origin_and_token() -> None:
    known = cookie("studio", STUDIO)
    assert ask("/api/live", kind="websocket", cookie=known)[0] == 403
    assert ask("/api/live", kind="websocket", cookie=known, origin="http://evil.example")[0] == 403
    assert ask("/api/live", kind="websocket", origin=ORIGIN)[0] == 403
    assert ask("/api/live", kind="websocket", cookie=known, origin=ORIGIN)[0] == 200


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_pictures_are_not_for_other_sites(site: str) -> None:
    """What an <img> or <script> elsewhere asks for; following a link is another thing."""
    known = cookie("studio", STUDIO)
    assert ask(cookie=known, sec_fetch_site=site, sec_fetch_mode="no-cors")[0] == 403
    assert ask(cookie=known, sec_fetch_site=site, sec_fetch_mode="navigate")[0] == 200
    assert ask(cookie=known, sec_fetch_site="same-origin", sec_fetch_mode="no-cors")[0] == 200


def test_every_answer_forbids_what_no_page_of_ours_needs() -> None:
    for headers in (ask()[1], ask(cookie=cookie("studio", STUDIO))[1]):
        policy = headers["content-security-policy"]
        assert "default-src 'self'" in policy and "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert headers["cache-control"] == "no-store"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert "access-control-allow-origin" not in headers


def test_behind_tls_the_cookie_stays_there() -> None:
    rules = Rules(frozenset({HOST}), "https", {"view": VIEW}, PORT)
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http", "method": "GET", "path": "/view", "query_string": f"token={VIEW}".encode(),
        "headers": [(b"host", HOST.encode()), (b"origin", f"https://{HOST}".encode())],
    }  # fmt: skip
    asyncio.run(Guard(application, rules)(scope, send, send))  # type: ignore[arg-type]
    assert dict(sent[0]["headers"])[b"set-cookie"].endswith(b"; Secure")


def with_entrance() -> tuple[Rules, Entrance, list[str]]:
    used: list[str] = []
    entrance = Entrance(lambda: used.append(entrance.current))
    tokens: Any = {"studio": entrance.secret, "view": VIEW}
    return Rules(frozenset({HOST}), "http", tokens, PORT, entrance=entrance), entrance, used


def test_the_studios_token_opens_once_and_is_not_in_the_cookie() -> None:
    rules, entrance, used = with_entrance()
    token = entrance.current
    status, headers, _ = ask(query=f"token={token}", rules=rules)
    assert (status, headers["location"]) == (303, "/")
    assert token not in headers["set-cookie"] and entrance.secret in headers["set-cookie"]
    known = cookie("studio", entrance.secret)
    assert ask(cookie=known, rules=rules)[0] == 200
    # From a browser's history: nobody else comes in by it.
    assert ask(query=f"token={token}", rules=rules)[0] == 401
    assert used == [entrance.current] and entrance.current != token
    assert ask(query=f"token={entrance.current}", rules=rules)[0] == 303, "another browser"
    # Whoever is inside may load the same address again.
    assert ask(query=f"token={token}", cookie=known, rules=rules)[0] == 303
    assert ask(query="token=wrong", cookie=known, rules=rules)[0] == 401


def test_what_the_cookie_carries_opens_by_no_address() -> None:
    rules, entrance, _ = with_entrance()
    assert ask(query=f"token={entrance.secret}", rules=rules)[0] == 401
    assert ask(cookie=cookie("studio", entrance.current), rules=rules)[0] == 401


@pytest.mark.parametrize(
    ("path", "method", "kind"),
    [
        ("/", "HEAD", "http"), ("/", "POST", "http"), ("/api/options", "GET", "http"),
        ("/api/live", "GET", "websocket"), ("/view", "GET", "http"),
        ("/static/a.js", "GET", "http"),
    ],
)  # fmt: skip
def test_the_studios_token_is_spent_on_its_page_alone(path: str, method: str, kind: str) -> None:
    rules, entrance, used = with_entrance()
    token = entrance.current
    status = ask(path, method, f"token={token}", kind, rules, origin=ORIGIN)[0]
    assert status in (401, 403)
    assert not used
    assert ask(query=f"token={token}", rules=rules)[0] == 303


def test_the_view_keeps_its_token_beside_it() -> None:
    rules, _, used = with_entrance()
    for _ in range(2):
        assert ask("/view", query=f"token={VIEW}", rules=rules)[0] == 303
    assert not used


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_page_that_leads_here_does_not_keep_the_cookie_out(site: str) -> None:
    """Browsers leave a strict cookie out of a redirection that another page began."""
    rules, entrance, _ = with_entrance()
    status, headers, text = ask(
        query=f"token={entrance.current}&a=%22%3E%3Cb", rules=rules, sec_fetch_site=site
    )
    assert status == 200 and headers["content-type"].startswith("text/html")
    assert 'content="0;url=/?a=%22%3E%3Cb"' in text and "token" not in text
    assert entrance.secret in headers["set-cookie"] and entrance.secret not in text


@pytest.mark.parametrize(
    "others",
    ["[x]=1", "a b=c", "=;;", "junk", f"avatar-studio-{PORT}=junk", f"avatar-studio-{PORT}",
     'q="unclosed', "$Version=1", "x\\", "a=" + "x" * 9000, "é=1"],
)  # fmt: skip
def test_the_cookie_is_found_whatever_others_there_are(others: str) -> None:
    own = f"avatar-studio-{PORT}={STUDIO}"
    assert ask(cookie=f"{others}; {own}")[0] == 200
    assert ask(cookie=f"{own}; {others}")[0] == 200
    assert ask(cookie=f"{others};{own};{others}")[0] == 200
    assert ask(cookie=others)[0] == 401
