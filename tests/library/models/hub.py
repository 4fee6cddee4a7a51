"""A small Hub on this machine, which fails as networks do: it says how it was asked."""

from __future__ import annotations

import hashlib
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

REPOSITORY = "Somebody/Networks"
REVISION = "0123456789abcdef0123456789abcdef01234567"

Fault = Callable[["Answer"], None]


@dataclass
class Asked:
    """One request: its method, path and headers (in lower case)."""

    method: str
    path: str
    headers: dict[str, str]


@dataclass
class Answer:
    """What a fault may do with one GET: ``start`` is the first byte that is asked for."""

    handler: BaseHTTPRequestHandler
    content: bytes
    start: int
    released: threading.Event

    def head(self, status: int, length: int | None, **more: str) -> None:
        self.handler.send_response(status)
        for name, value in more.items():
            self.handler.send_header(name.replace("_", "-"), value)
        if length is not None:
            self.handler.send_header("Content-Length", str(length))
        self.handler.send_header("Connection", "close")
        self.handler.end_headers()
        self.handler.close_connection = True

    def send(self, data: bytes) -> None:
        self.handler.wfile.write(data)
        self.handler.wfile.flush()

    def range_head(self, length: int | None = None) -> None:
        """The head of an honest answer, or one with another length."""
        rest = len(self.content) - self.start
        size = len(self.content)
        more = {"Content_Range": f"bytes {self.start}-{size - 1}/{size}"} if self.start else {}
        self.head(206 if self.start else 200, rest if length is None else length, **more)

    def honest(self) -> None:
        self.range_head()
        self.send(self.content[self.start :])


def dies_after(count: int) -> Fault:
    """Announces all, sends ``count`` bytes, and closes the connection."""

    def fault(answer: Answer) -> None:
        answer.range_head()
        answer.send(answer.content[answer.start : answer.start + count])

    return fault


def stalls_after(count: int) -> Fault:
    """Announces all, sends ``count`` bytes, and then nothing until the test ends."""

    def fault(answer: Answer) -> None:
        answer.range_head()
        answer.send(answer.content[answer.start : answer.start + count])
        answer.released.wait()

    return fault


def sends(data: bytes) -> Fault:
    """Sends other bytes, of which it tells the true length."""

    def fault(answer: Answer) -> None:
        answer.head(200, len(data))
        answer.send(data)

    return fault


def sends_without_length(data: bytes) -> Fault:
    def fault(answer: Answer) -> None:
        answer.head(200, None)
        answer.send(data)

    return fault


def announces(length: int) -> Fault:
    """Tells a length that is not that of what it sends."""

    def fault(answer: Answer) -> None:
        answer.range_head(length)
        answer.send(answer.content[answer.start :])

    return fault


def answers(status: int) -> Fault:
    def fault(answer: Answer) -> None:
        answer.head(status, 0)

    return fault


def ignores_ranges(answer: Answer) -> None:
    answer.head(200, len(answer.content))
    answer.send(answer.content)


def starts_at(byte: int) -> Fault:
    """Sends another part of the file than the one asked for, and says so."""

    def fault(answer: Answer) -> None:
        size = len(answer.content)
        answer.head(206, size - byte, Content_Range=f"bytes {byte}-{size - 1}/{size}")
        answer.send(answer.content[byte:])

    return fault


@dataclass
class Hub:
    """``files``: by their path in the repository. ``faults``: for the next GETs, then honest.

    ``stated``: headers of HEAD that differ from the true ones. ``asked``: what came, in order.
    """

    address: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    faults: dict[str, list[Fault]] = field(default_factory=lambda: defaultdict(list))
    stated: dict[str, str] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)

    def ranges(self) -> list[str]:
        """The Range of each GET so far."""
        return [asked.headers.get("range", "") for asked in self.asked if asked.method == "GET"]


def _handler(hub: Hub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None: ...

        def _file(self) -> str:
            headers = {name.lower(): value for name, value in self.headers.items()}
            hub.asked.append(Asked(self.command, self.path, headers))
            # As a proxy it is given whole addresses.
            return urlsplit(self.path).path.removeprefix(f"/{REPOSITORY}/resolve/{REVISION}/")

        def do_HEAD(self) -> None:
            content = hub.files.get(self._file())
            if content is None:
                self.send_response(404)
                self.send_header("X-Error-Code", "EntryNotFound")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            sha256 = hashlib.sha256(content).hexdigest()
            headers = {
                "X-Repo-Commit": REVISION,
                "X-Linked-Etag": f'"{sha256}"',
                "X-Linked-Size": str(len(content)),
                "ETag": '"of-the-pointer"',
                "Content-Length": str(len(content)),
            } | hub.stated
            self.send_response(200)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()

        def do_GET(self) -> None:
            name = self._file()
            start = int(self.headers.get("Range", "bytes=0-")[6:-1])
            answer = Answer(self, hub.files[name], start, hub.released)
            faults = hub.faults[name]
            try:
                (faults.pop(0) if faults else Answer.honest)(answer)
            except OSError:
                self.close_connection = True  # the client had enough

    return Handler


@contextmanager
def serving() -> Iterator[Hub]:
    """A Hub that answers until the end; whatever stalls is let go then."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(hub))
    server.daemon_threads = False
    hub.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield hub
    finally:
        hub.released.set()
        server.shutdown()
        thread.join()
        server.server_close()
