"""The owner gets in: whoever stands at the door, says nothing, or says it slowly."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from avatar.web import bodies, door, patient
from avatar.web.listening import ListenAddress
from tests import ROOT
from tests.web.fakes import FakeStudio
from tests.web.test_server import Site, served

IDLE = 150
# Generous for a machine with other work; what is wrong would last until the strangers go.
SOON_S = 5.0


@contextmanager
def strangers(site: Site, count: int, begin: bytes = b"") -> Iterator[list[socket.socket]]:
    """Open connections that say ``begin`` and no more."""
    host, port = site.host.split(":")
    with ExitStack() as opened:
        made = []
        for _ in range(count):
            one = opened.enter_context(socket.create_connection((host, int(port)), 10))
            if begin:
                one.sendall(begin)
            made.append(one)
        yield made


def took_s(site: Site) -> float:
    begun = time.monotonic()
    assert site.ask("GET", "/")[0] == 200
    return time.monotonic() - begun


def is_closed(one: socket.socket) -> bool:
    one.settimeout(10)
    try:
        while one.recv(4096):
            pass
    except TimeoutError:
        return False
    except OSError:
        pass
    return True


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    studio = FakeStudio()
    with served(tmp_path, studio) as pages:
        yield Site(pages, studio)


@pytest.mark.parametrize(
    "begin",
    [
        b"",
        b"GET / HTTP/1.1\r\nHost: ",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999\r\n\r\n",
    ],
)
def test_the_owner_gets_in_however_many_wait(site: Site, begin: bytes) -> None:
    with strangers(site, IDLE, begin):
        assert took_s(site) < SOON_S
        assert site.post("/api/act/start", {}) == (200, {})


def test_those_who_waited_longest_leave(site: Site) -> None:
    with strangers(site, door.MOST_STRANGERS + 5) as waiting:
        assert took_s(site) < SOON_S
        assert is_closed(waiting[0])


def test_the_owner_gets_in_before_those_who_speak_no_tls(tmp_path: Path) -> None:
    place = ListenAddress("127.0.0.1", ("127.0.0.1",), ("127.0.0.1",), beyond=True)
    studio = FakeStudio()
    with served(tmp_path, studio, place=place) as pages:
        site = Site(pages, studio)
        with strangers(site, IDLE), strangers(site, 20, b"\x16\x03\x01\x02\x00\x01"):
            assert took_s(site) < SOON_S
        host, port = site.host.split(":")
        with socket.create_connection((host, int(port)), 10) as plain:
            plain.sendall(b"GET / HTTP/1.1\r\n\r\n" * 3)
            assert is_closed(plain)
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with context.wrap_socket(socket.create_connection((host, int(port)), 10)) as inner:
            inner.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert b"421" in inner.recv(100)


@pytest.mark.parametrize("known", [False, True])
def test_a_head_that_trickles_is_not_waited_for(
    site: Site, monkeypatch: pytest.MonkeyPatch, known: bool
) -> None:
    monkeypatch.setattr(patient, "HEAD_S", 0.4)
    cookie = site.cookie.partition(";")[0] if known else "a=b"
    host, port = site.host.split(":")
    with socket.create_connection((host, int(port)), 10) as one:
        one.sendall(f"GET / HTTP/1.1\r\nHost: {site.host}\r\nCookie: {cookie}\r\n".encode())
        begun = time.monotonic()
        with pytest.raises(OSError):
            while time.monotonic() - begun < 10:
                one.sendall(b"x")
                one.settimeout(0.05)
                try:
                    if not one.recv(10):
                        raise ConnectionError("closed")
                except TimeoutError:
                    pass
        assert time.monotonic() - begun < 9


def test_a_body_that_trickles_is_not_waited_for(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "PATIENCE_S", 0.3)
    monkeypatch.setattr(patient, "HEAD_S", 0.3)
    host, port = site.host.split(":")
    for path, kind in (("/api/avatars", "image/jpeg"), ("/api/act/start", "application/json")):
        with socket.create_connection((host, int(port)), 10) as one:
            one.sendall(
                f"POST {path} HTTP/1.1\r\nHost: {site.host}\r\nOrigin: {site.origin}\r\n"
                f"Cookie: {site.cookie.partition(';')[0]}\r\nContent-Type: {kind}\r\n"
                "Content-Length: 5000\r\n\r\n{".encode()
            )
            one.settimeout(10)
            answer = b""
            while part := one.recv(4096):  # until the server hangs up
                answer += part
            assert b"400" in answer and b"too slowly" in answer
    assert site.studio.uploads == [] and site.studio.asked == []


def test_a_large_photograph_has_the_time_it_takes(site: Site) -> None:
    data = bytes(3_000_000)
    status, _, answer = site.ask("POST", "/api/avatars?name=me", data, Content_Type="image/png")
    assert (status, json.loads(answer)) == (200, {"name": "me", "faces": 1})


def test_cookies_of_others_are_of_no_account(site: Site) -> None:
    own = site.cookie.partition(";")[0]
    name = own.partition("=")[0]
    for others in (
        "[x]=1; ", "a b=c; ", "=;;; ", f"{name}=junk; ", f'{name}="', "é=ü; ", "$Version=1; ",
        "a=" + "x" * 300_000 + "; ", "{}; ", "x\\; ", 'q="unclosed; ',
    ):  # fmt: skip
        separator = "" if others.endswith("; ") else "; "
        cookie = (others + separator + own).encode().decode("latin-1")
        assert site.ask("GET", "/", Cookie=cookie)[0] == 200, others[:30]
        assert site.ask("GET", "/", Cookie=f"{own}; {others}".encode().decode("latin-1"))[0] == 200


SERVER = """
import resource, sys, tempfile, time
from pathlib import Path
resource.setrlimit(resource.RLIMIT_NOFILE, (1024, 1024))
from tests.web.fakes import FakeStudio
from tests.web.test_server import served
say = lambda line: print(line, file=sys.stderr, flush=True)
with tempfile.TemporaryDirectory() as folder, served(Path(folder), FakeStudio()) as pages:
    print(pages.address("studio"), flush=True)
    sys.stdin.read()
"""


def test_more_strangers_than_files_leave_it_hearing_and_quiet() -> None:
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
    try:
        with subprocess.Popen(
            [sys.executable, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, cwd=ROOT,
        ) as child:  # fmt: skip
            assert child.stdout is not None
            address = child.stdout.readline().strip()
            site = Site.__new__(Site)
            site.host, site.origin = address.split("/")[2], "/".join(address.split("/")[:3])
            site.cookie = site.ask("GET", address.removeprefix(site.origin))[1]["set-cookie"]
            with strangers(site, 1100):
                assert took_s(site) < SOON_S
                assert took_s(site) < SOON_S
            _, errors = child.communicate("", timeout=30)
            assert errors == ""
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
