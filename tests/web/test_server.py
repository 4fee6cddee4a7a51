"""The web server as a whole: real sockets, with a studio that keeps what it is asked for."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from avatar.app.studio import opened
from avatar.core.errors import MissingDependencyError, UsageError
from avatar.core.options import ENGINE_NAMES, declared
from avatar.stages.sinks.page import Audience
from avatar.web import server
from avatar.web.app import MAX_REQUEST_BYTES
from avatar.web.listening import ListenAddress
from avatar.web.pages import Pages
from avatar.web.upload import MAX_UPLOAD_BYTES
from tests.web.fakes import KEYED, FakeStudio

SIZE = (320, 240)


class Site:
    """The server, asked as a page of its own would."""

    def __init__(self, pages: Pages, studio: FakeStudio, role: str = "studio") -> None:
        self.pages, self.studio = pages, studio
        self.address = pages.address(role)  # type: ignore[arg-type]
        self.host = self.address.split("/")[2]
        self.origin = "/".join(self.address.split("/")[:3])
        self.cookie = self.ask("GET", self.address.removeprefix(self.origin))[1]["set-cookie"]

    def connection(self) -> http.client.HTTPConnection:
        if self.origin.startswith("https"):
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            return http.client.HTTPSConnection(self.host, timeout=20, context=context)
        return http.client.HTTPConnection(self.host, timeout=20)

    def ask(
        self, method: str, path: str, body: Any = None, **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        given = {"Origin": self.origin, "Cookie": getattr(self, "cookie", "").partition(";")[0]}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        connection = self.connection()
        try:
            connection.request(method, path, body, {n: v for n, v in given.items() if v})
            answer = connection.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            return answer.status, found, answer.read()
        finally:
            connection.close()

    def post(self, path: str, values: Any, **headers: str) -> tuple[int, dict[str, Any]]:
        kind = {"Content_Type": "application/json"} | headers
        status, _, body = self.ask("POST", path, json.dumps(values).encode(), **kind)
        return status, json.loads(body)


@contextmanager
def served(
    folder: Path,
    studio: FakeStudio | None,
    say: Callable[[str], None] = lambda line: None,
    **options: Any,
) -> Iterator[Pages]:
    pages = Pages(Audience(), SIZE, say, control=studio, port=0, folder=folder, **options)
    with pages:
        yield pages


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    studio = FakeStudio()
    with served(tmp_path, studio) as pages:
        yield Site(pages, studio)


def test_the_page_and_its_files_are_there(site: Site) -> None:
    status, headers, body = site.ask("GET", "/")
    assert status == 200 and b"studio.js" in body
    assert headers["cache-control"] == "no-store"
    for file, kind in (
        ("studio.js", "text/javascript"), ("studio.css", "text/css"), ("icon.svg", "image/svg+xml"),
        ("text.en.json", "application/json"), ("text.zh.json", "application/json"),
    ):  # fmt: skip
        status, headers, _ = site.ask("GET", f"/static/{file}")
        assert status == 200 and headers["content-type"].startswith(kind)
    assert site.ask("GET", "/static/../app.py")[0] == 404
    assert site.ask("GET", "/static/%2e%2e/app.py")[0] == 404
    assert site.ask("GET", "/nothing")[0] == 404


def test_no_file_of_the_page_names_another_host() -> None:
    """Nothing is fetched from anywhere else; the policy would forbid it as well."""
    folder = Path(server.__file__).parent / "static"
    for path in folder.iterdir():
        text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert "http://" not in text and "https://" not in text, path.name
        assert "eval(" not in text and "innerHTML" not in text, path.name


def test_what_is_asked_for_is_done_and_errors_come_in_words(site: Site) -> None:
    assert site.post("/api/act/start", {"a": 1}) == (200, {})
    assert site.studio.asked == [("start", {"a": 1})]
    assert site.post("/api/act/fail", {}) == (400, {"error": "expected this, found that: do so"})
    status, answer = site.post("/api/act/break", {})
    assert status == 500 and answer["error"] == "ZeroDivisionError: a fault"


def test_what_can_be_translated_comes_with_its_key_and_values(site: Site) -> None:
    keyed = {"key": "error.test", "values": {"name": "me"}, "line": "me is not here"}
    assert site.post("/api/act/refuse", {}) == (400, {"error": keyed})

    async def scene() -> None:
        async with live(site) as socket:
            while not site.studio.pages:
                await asyncio.sleep(0.01)
            (hear,) = site.studio.pages
            hear({"type": "said", "line": KEYED})
            told: dict[str, Any] = {}
            while told.get("type") != "said":
                told = json.loads(await asyncio.wait_for(socket.recv(), 10))
            assert told["line"] == keyed

    asyncio.run(scene())


def test_the_options_are_described(site: Site) -> None:
    status, _, body = site.ask("GET", "/api/options")
    assert status == 200
    described = {option["name"]: option for option in json.loads(body)}
    assert list(described) == list(declared())
    assert described["max_turn"] == {
        "name": "max_turn", "flag": "--max-turn", "kind": "number", "default": None,
        "help": "Limit how far the head turns about any axis, 0–90 degrees. Only for portrait and "
        "neural.",
        "optional": True, "min": 0, "max": 90, "step": 1, "unit": "degrees",
        "commands": ["run", "animate", "Driver"], "engines": ["portrait", "neural"],
        "group": "movement", "change": "driving",
    }  # fmt: skip
    assert described["engine"]["choices"] == list(ENGINE_NAMES)
    assert site.ask("GET", "/api/options", Cookie="")[0] == 401


@pytest.mark.parametrize(
    ("body", "kind", "says"),
    [
        (b"{}", "text/plain", "application/json"), (b"{", "application/json", "not JSON"),
        (b"[]", "application/json", "object"), (b"[" * 5000, "application/json", "not JSON"),
        (rb'{"a": "\ud800"}', "application/json", "not JSON"),
        (rb'{"\udfff": 1}', "application/json", "not JSON"),
        (b" " * (MAX_REQUEST_BYTES + 1), "application/json", "at most"),
    ],
)  # fmt: skip
def test_requests_that_are_none_are_refused(site: Site, body: bytes, kind: str, says: str) -> None:
    status, _, answer = site.ask("POST", "/api/act/start", body, Content_Type=kind)
    assert status == 400 and says in json.loads(answer)["error"]
    assert site.studio.asked == []


def test_an_offer_has_to_be_one(site: Site) -> None:
    assert site.post("/api/watch", {})[0] == 400
    assert site.post("/api/watch", {"sdp": "x"})[0] == 400
    assert site.post("/api/camera", {"sdp": 5})[0] == 400


def test_a_photograph_arrives_whole(site: Site) -> None:
    data = bytes(range(256)) * 4000
    status, _, answer = site.ask(
        "POST", "/api/avatars?name=Me%20too", data, Content_Type="image/jpeg"
    )
    assert (status, json.loads(answer)) == (200, {"name": "Me too", "faces": 1})
    assert site.studio.uploads == [(data, ".jpg", "Me too")]


@pytest.mark.parametrize("kind", ["", "image/svg+xml", "image/tiff", "text/html", "image/gif"])
def test_other_kinds_of_files_are_not_taken(site: Site, kind: str) -> None:
    status, _, answer = site.ask("POST", "/api/avatars", b"x", Content_Type=kind)
    assert status == 400 and "JPEG, PNG, WebP, AVIF or HEIC" in json.loads(answer)["error"]
    assert site.studio.uploads == []


def test_too_large_a_photograph_is_refused_before_it_came(site: Site) -> None:
    status, _, answer = site.ask(
        "POST", "/api/avatars", b"x", Content_Type="image/png",
        Content_Length=str(MAX_UPLOAD_BYTES + 1),
    )  # fmt: skip
    assert status == 400 and "25 MB" in json.loads(answer)["error"]


def test_a_photograph_without_a_length_is_counted(site: Site) -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(MAX_UPLOAD_BYTES // 1_000_000 + 2):
            yield b"\0" * 1_000_000

    try:
        status, _, answer = site.ask("POST", "/api/avatars", endless(), Content_Type="image/png")
    except (ConnectionError, http.client.HTTPException):
        pass  # it hung up in the middle of it
    else:
        assert status == 400 and "25 MB" in json.loads(answer)["error"]
    assert site.studio.uploads == []


def test_thumbnails_are_pictures(site: Site) -> None:
    status, headers, body = site.ask("GET", "/api/avatars/me")
    assert (status, headers["content-type"], body) == (200, "image/jpeg", b"\xff\xd8")
    assert site.ask("GET", "/api/avatars/..%2f..%2fetc%2fpasswd")[0] == 400


def test_a_recording_is_seen_or_kept_and_nothing_else_is_sent(site: Site, tmp_path: Path) -> None:
    film = tmp_path / "avatar 1.mp4"
    film.write_bytes(bytes(range(256)))
    site.studio.recordings["avatar 1.mp4"] = film
    status, headers, body = site.ask("GET", "/api/recordings/avatar%201.mp4")
    assert (status, headers["content-type"], body) == (200, "video/mp4", film.read_bytes())
    assert headers["content-disposition"].startswith("inline")
    status, headers, _ = site.ask("GET", "/api/recordings/avatar%201.mp4?download")
    assert headers["content-disposition"].startswith("attachment")
    status, _, body = site.ask("GET", "/api/recordings/avatar%201.mp4", Range="bytes=10-19")
    assert (status, body) == (206, film.read_bytes()[10:20]), "players go to and fro in it"
    assert site.ask("GET", "/api/recordings/..%2fview-token")[0] in (400, 404)
    assert site.ask("GET", "/api/recordings/view-token")[0] == 400
    assert site.ask("GET", "/api/recordings/avatar%201.mp4", Cookie="")[0] == 401


def live(site: Site, **headers: str) -> Any:
    from websockets.asyncio.client import connect

    address = site.origin.replace("http", "ws") + "/api/live"
    given = {"Cookie": site.cookie.partition(";")[0]} | headers
    origin = given.pop("Origin", site.origin)
    return connect(address, origin=origin, additional_headers=given, proxy=None)  # type: ignore[arg-type]


def test_a_socket_tells_state_figures_and_what_happens(site: Site) -> None:
    async def scene() -> None:
        async with live(site) as socket:
            kinds = [json.loads(await asyncio.wait_for(socket.recv(), 10)) for _ in range(2)]
            assert [kind["type"] for kind in kinds] == ["state", "figures"]
            (hear,) = site.studio.pages
            hear({"type": "said", "line": "words"})
            hear(b"\1\0")
            assert not site.studio.pages[hear]()
            await socket.send('{"driver": true}')
            await asyncio.to_thread(site.post, "/api/act/start", {})
            heard: list[Any] = []
            while len([h for h in heard if h in (b"\1\0", "words", 1)]) < 3:
                message = await asyncio.wait_for(socket.recv(), 10)
                told = json.loads(message) if isinstance(message, str) else {}
                heard.append(told.get("line") or told.get("asked") or message)
            assert site.studio.pages[hear](), "the driver's picture was asked for"
        for _ in range(500):
            if not site.studio.pages:
                return
            await asyncio.sleep(0.01)
        raise AssertionError("a page that left is still told")

    asyncio.run(scene())


def test_a_socket_from_elsewhere_is_refused(site: Site) -> None:
    from websockets.exceptions import InvalidStatus

    async def refused(**headers: str) -> None:
        with pytest.raises(InvalidStatus) as error:
            async with live(site, **headers):
                pass
        assert error.value.response.status_code == 403

    async def scene() -> None:
        await refused(Origin="http://evil.example")
        await refused(Cookie="avatar-studio-1=x")

    asyncio.run(scene())
    assert not site.studio.pages


def test_nonsense_on_the_socket_ends_it_alone(site: Site) -> None:
    from websockets.exceptions import ConnectionClosed

    async def scene() -> None:
        async with live(site) as socket:
            await socket.send("{")
            with pytest.raises(ConnectionClosed):
                while True:
                    await asyncio.wait_for(socket.recv(), 10)

    asyncio.run(scene())
    assert site.ask("GET", "/")[0] == 200


@pytest.mark.parametrize(
    "nonsense",
    [b"", b"\0\1", b"\xff", "", "[" * 20_000, '"' + "x" * 60_000 + '"', "null", "5", "[]",
     '{"driver": 5}', "{" * 3, "\ud800".encode("utf-8", "surrogatepass")],
    ids=range(12),
)  # fmt: skip
def test_nonsense_on_the_socket_reaches_no_terminal(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], nonsense: str | bytes
) -> None:
    from websockets.exceptions import ConnectionClosed

    said: list[str] = []

    async def scene(site: Site) -> None:
        async with live(site) as socket:
            await socket.send(nonsense)
            with suppress(ConnectionClosed, TimeoutError):
                async with asyncio.timeout(1):
                    while True:
                        await socket.recv()

    with served(tmp_path, FakeStudio(), said.append) as pages:
        site = Site(pages, FakeStudio())
        asyncio.run(scene(site))
        assert site.ask("GET", "/")[0] == 200
    assert capfd.readouterr() == ("", "")
    assert [line for line in said if "another browser" not in line] == []


def test_bad_frames_on_the_socket_are_a_line_at_the_most(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    said: list[str] = []
    with served(tmp_path, FakeStudio(), said.append) as pages:
        site = Site(pages, FakeStudio())
        for frame in (
            b"\x81\x84\0\0\0\0\xff\xfe\xfd\xfc",
            b"\xff" * 200,
            b"\x81\xff" + b"\x7f" * 8,
        ):
            host, port = site.host.split(":")
            with socket.create_connection((host, int(port)), timeout=10) as raw:
                raw.sendall(
                    f"GET /api/live HTTP/1.1\r\nHost: {site.host}\r\nOrigin: {site.origin}\r\n"
                    f"Cookie: {site.cookie.partition(';')[0]}\r\nUpgrade: websocket\r\n"
                    "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
                )
                assert b"101" in raw.recv(4096)
                raw.sendall(frame)
                with suppress(OSError):
                    while raw.recv(65_536):
                        pass
        assert site.ask("GET", "/")[0] == 200
    assert capfd.readouterr() == ("", "")
    assert "Traceback" not in str(said) and len(said) <= 2


def test_a_page_that_is_left_during_an_upload_leaves_no_word(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    said: list[str] = []
    studio = FakeStudio()
    with served(tmp_path, studio, said.append) as pages:
        site = Site(pages, studio)
        for path, kind in (("/api/avatars", "image/jpeg"), ("/api/act/start", "application/json")):
            host, port = site.host.split(":")
            with socket.create_connection((host, int(port)), timeout=10) as raw:
                raw.sendall(
                    f"POST {path} HTTP/1.1\r\nHost: {site.host}\r\nOrigin: {site.origin}\r\n"
                    f"Cookie: {site.cookie.partition(';')[0]}\r\nContent-Type: {kind}\r\n"
                    "Content-Length: 500000\r\n\r\n".encode()
                    + b"x" * 10_000
                )
                assert site.ask("GET", "/")[0] == 200
        assert site.ask("GET", "/")[0] == 200
    assert capfd.readouterr() == ("", "")
    assert [line for line in said if "another browser" not in line] == []
    assert studio.uploads == []


def test_a_fault_of_the_program_is_one_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    said: list[str] = []
    with served(tmp_path, FakeStudio(), said.append) as pages:
        site = Site(pages, FakeStudio())
        for _ in range(5):
            assert site.post("/api/act/break", {})[0] == 500
    assert capfd.readouterr() == ("", "")
    faults = [line for line in said if "another browser" not in line]
    assert faults == ["the pages' server: Exception in ASGI application (ZeroDivisionError)"]


def test_the_printed_address_opens_once_and_the_next_one_is_said(tmp_path: Path) -> None:
    said: list[str] = []
    with served(tmp_path, FakeStudio(), said.append) as pages:
        first = pages.address("studio")
        site = Site(pages, FakeStudio())
        assert said == [f"for another browser: {pages.address('studio')}"]
        path = first.removeprefix(site.origin)
        assert site.ask("GET", path, Cookie="")[0] == 401
        assert site.ask("GET", path)[0] == 303
        assert Site(pages, FakeStudio()).ask("GET", "/")[0] == 200
        assert site.ask("GET", "/")[0] == 200, "both browsers stay"


def test_the_browser_is_opened_by_a_file_for_the_user_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[str] = []
    monkeypatch.setattr("webbrowser.open", lambda url: given.append(url) is None)
    with opened("http://127.0.0.1:1/?token=secret&a=b", tmp_path / "studio"):
        (url,) = given
        assert "secret" not in url and url.startswith("file://")
        page = tmp_path / "studio" / "open.html"
        assert "url=http://127.0.0.1:1/?token=secret&amp;a=b" in page.read_text()
        if os.name == "posix":
            assert page.stat().st_mode & 0o777 == 0o600
            assert page.parent.stat().st_mode & 0o777 == 0o700
    assert not page.exists()


def test_the_view_alone_has_no_control(tmp_path: Path) -> None:
    with served(tmp_path, None) as pages:
        site = Site(pages, FakeStudio(), "view")
        assert site.ask("GET", "/view")[0] == 200
        assert json.loads(site.ask("GET", "/api/view")[2]) == {"size": list(SIZE)}
        assert site.ask("GET", "/")[0] == 401
        assert site.ask("POST", "/api/act/start")[0] == 401


def test_the_view_keeps_its_address_and_the_studio_does_not(tmp_path: Path) -> None:
    addresses = []
    for _ in range(2):
        with served(tmp_path, FakeStudio()) as pages:
            addresses.append(
                [pages.address(role).partition("token=")[2] for role in ("view", "studio")]
            )
    (view, studio), (same, other) = addresses
    assert view == same and studio != other and view not in (studio, other)


def test_a_port_that_is_taken_is_told_with_the_way_out(tmp_path: Path) -> None:
    with served(tmp_path, None) as pages:
        port = int(pages.address("view").split(":")[2].partition("/")[0])
        with (
            pytest.raises(UsageError, match=rf"port {port}.*--out page:{port + 1}"),
            Pages(Audience(), SIZE, print, port=port, folder=tmp_path),
        ):
            pass


def test_it_ends_while_pages_are_connected(tmp_path: Path) -> None:
    studio = FakeStudio()

    async def scene() -> None:
        with served(tmp_path, studio) as pages:
            socket = await live(Site(pages, studio))
            await socket.recv()
            await asyncio.to_thread(pages.__exit__, None, None, None)
            await asyncio.wait_for(socket.wait_closed(), 10)

    asyncio.run(scene())
    assert not studio.pages


def test_beyond_this_machine_there_is_tls(tmp_path: Path) -> None:
    place = ListenAddress("127.0.0.1", ("127.0.0.1",), ("127.0.0.1",), beyond=True)
    studio = FakeStudio()
    with served(tmp_path, studio, place=place) as pages:
        site = Site(pages, studio)
        assert site.address.startswith("https://")
        assert "Secure" in site.cookie
        assert site.ask("GET", "/")[0] == 200
        assert pages.fingerprint and len(pages.fingerprint) == 95
        host, port = site.host.split(":")
        with socket.create_connection((host, int(port)), timeout=10) as plain:
            plain.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert b"200" not in plain.recv(100)


def test_a_missing_extra_is_told_with_the_line_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "aiortc", None)
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name: None if name == "aiortc" else object()
    )
    with pytest.raises(MissingDependencyError, match=r"aiortc.*webcam-avatar\[studio\]"):
        server.need_studio_extra()


def test_the_pages_import_without_the_extra() -> None:
    code = (
        "import sys\n"
        "for name in ('starlette', 'uvicorn', 'aiortc', 'websockets', 'cryptography'):\n"
        "    sys.modules[name] = None\n"
        "import avatar.app.studio, avatar.web.pages, avatar.web.certificates\n"
        "import avatar.web.peers, avatar.app.cli\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("is_studio", [True, False])
def test_a_port_that_is_taken_names_the_option_that_there_is(
    tmp_path: Path, is_studio: bool
) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        pages = Pages(
            Audience(), SIZE, print, control=FakeStudio() if is_studio else None, port=port,
            folder=tmp_path,
        )  # fmt: skip
        with pytest.raises(UsageError, match=f"port {port}") as refused, pages:
            pass
    assert ("--port" in str(refused.value)) is is_studio
    assert (f"--out page:{port + 1}" in str(refused.value)) is not is_studio
