"""What others send or leave lying about: in bounded time, and one error."""

from __future__ import annotations

import os
import random
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from avatar.core import files
from avatar.core.answers import answer_within
from avatar.core.arrays import read_arrays, read_text, write_arrays
from avatar.core.config_file import load_options
from avatar.core.errors import AvatarError, ConfigError, SourceError, UsageError
from avatar.core.files import read_small
from avatar.stages.generate.matte_cache import MatteCache
from avatar.stages.sinks.streaming.settings import stream_key
from avatar.stages.sources import create_source
from avatar.stages.sources.replay import load_track
from tests import ROOT

SHAPES = {"a": (200, 3)}
pipes = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")


@contextmanager
def trickling(head: bytes = b"HTTP/1.1 200 OK\r\n", every_s: float = 0.05) -> Iterator[str]:
    """Serve an answer of which a byte comes now and then, for ever."""
    ended = threading.Event()

    def answer(one: socket.socket) -> None:
        with suppress(OSError), one:
            one.recv(4096)
            one.sendall(head)
            while not ended.wait(every_s):
                one.sendall(b"x")

    with socket.create_server(("127.0.0.1", 0)) as listening:

        def accept() -> None:
            with suppress(OSError):
                while True:
                    threading.Thread(target=answer, args=(listening.accept()[0],)).start()

        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
        ended.set()
        with suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize(
    "head",
    [b"", b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\n\r\n",
     b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n"],
)  # fmt: skip
def test_a_server_that_trickles_is_left(head: bytes) -> None:
    begun = time.monotonic()
    with (
        trickling(head) as url,
        pytest.raises(TimeoutError, match=r"within 0\.6 s"),
        answer_within(url, timeout_s=5, within_s=0.6) as answer,
    ):
        answer.read()
    assert time.monotonic() - begun < 5


def test_an_answer_in_time_is_whole() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer() -> None:
            one, _ = listening.accept()
            with one:
                one.recv(4096)
                one.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwhole")

        threading.Thread(target=answer).start()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/"
        with answer_within(url, timeout_s=5, within_s=5) as found:
            assert found.read() == b"whole"


def test_a_server_that_sends_elsewhere_is_not_followed() -> None:
    head = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
    with (
        trickling(head) as url,
        pytest.raises(urllib.error.HTTPError, match="302"),
        answer_within(url, timeout_s=5, within_s=5, follows=False),
    ):
        pass


def test_a_camera_that_trickles_is_left() -> None:
    begun = time.monotonic()
    head = b"HTTP/1.1 200 OK\r\nContent-Type: video/mp4\r\n\r\n"
    with trickling(head) as url:
        source = create_source(f"{url}cam?token=s3cr3t", clock=None)  # type: ignore[arg-type]
        with pytest.raises(SourceError) as raised:
            source.__enter__()
    assert "s3cr3t" not in str(raised.value)
    assert time.monotonic() - begun < 20


@pipes
def test_a_pipe_that_nobody_writes_to_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files.read_small, "__defaults__", (files.SMALL_BYTES, 0.2))
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(ConfigError, match="nothing more came"):
        load_options(pipe, {})
    with pytest.raises(UsageError, match="nothing more came"):
        stream_key(pipe)


@pipes
def test_what_a_program_writes_into_a_pipe_is_read(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with subprocess.Popen(
        [sys.executable, "-c",
         "import sys, time; f = open(sys.argv[1], 'w'); f.write('fps = '); f.flush();"
         "time.sleep(0.3); f.write('25'); f.close()", str(pipe)]
    ):  # fmt: skip
        assert load_options(pipe, {}).fps == 25


def test_a_file_without_end_is_not_read_to_it(tmp_path: Path) -> None:
    if not Path("/dev/zero").exists():
        pytest.skip("no such device here")
    with pytest.raises(OSError, match="longer than"):
        read_small(Path("/dev/zero"), 1000)
    with pytest.raises(ConfigError, match="longer than"):
        load_options(Path("/dev/zero"), {})


@pytest.mark.parametrize(
    "text",
    ["a = " + "[" * 20_000, "a" + ".a" * 20_000 + " = 1", "[" + "a." * 20_000 + "a]",
     "a = " + "{b=" * 5_000, "fps = " + "9" * 5_000],
    ids=range(5),
)  # fmt: skip
def test_deep_options_are_one_error(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.toml"
    path.write_text(text)
    with pytest.raises(AvatarError) as raised:
        load_options(path, {})
    assert len(str(raised.value)) < 1000


def archives(folder: Path) -> Iterator[Path]:
    """Yield archives that were written whole, cut, packed otherwise, and changed."""
    whole = folder / "whole.npz"
    write_arrays(whole, {"a": np.zeros((200, 3), np.float32)}, "words")
    data = whole.read_bytes()
    for method in (zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2, zipfile.ZIP_DEFLATED):
        packed = folder / f"packed{method}.npz"
        with zipfile.ZipFile(whole) as old, zipfile.ZipFile(packed, "w", method) as new:
            for name in old.namelist():
                new.writestr(name, old.read(name))
        kept = packed.read_bytes()
        rng = random.Random(method)
        for _ in range(120):
            changed = bytearray(kept)
            for _ in range(rng.randint(1, 6)):
                changed[rng.randrange(len(changed))] = rng.randrange(256)
            path = folder / "changed.npz"
            path.write_bytes(changed)
            yield path
    for share in range(1, 60):
        path = folder / "cut.npz"
        path.write_bytes(data[: len(data) * share // 60])
        yield path
    for header in (b"{'descr': '<f4', (((", b"\\", b"0777L", b"'" * 9, b"(" * 5000, b"\xff"):
        path = folder / "header.npz"
        with zipfile.ZipFile(path, "w") as archive:
            array = b"\x93NUMPY\1\0" + len(header).to_bytes(2, "little") + header
            archive.writestr("a.npy", array)
            archive.writestr("matte.npy", array)
        yield path


def test_damaged_archives_are_one_error_each(tmp_path: Path) -> None:
    count = 0
    for path in archives(tmp_path):
        count += 1
        with suppress(ValueError, OSError):
            read_arrays(path, SHAPES)
        with suppress(ValueError, OSError):
            read_text(path)
        with suppress(AvatarError):
            load_track(path)
        lines: list[str] = []
        cache = MatteCache(tmp_path / "cache", lines.append)
        image = np.zeros((4, 4, 3), np.uint8)
        made = np.zeros((4, 4), np.float32), np.zeros((4, 4, 2), np.int32)
        cache.matte([image], lambda made=made: made)  # type: ignore[misc]
        (entry,) = (tmp_path / "cache").glob("*.npz")
        entry.write_bytes(path.read_bytes())
        cache.matte([image], lambda made=made: made)  # type: ignore[misc]
        assert all("\n" not in line for line in lines)
    assert count > 400


COMMANDS: list[list[str]] = [
    ["run", "--config", "{pipe}"],
    [
        "run",
        "--camera",
        "demo",
        "--out",
        "rtmp://127.0.0.1:1/a/s3cr3t",
        "--stream-key-file",
        "{pipe}",
    ],
    ["run", "--camera", "{pipe}"],
    ["run", "--camera", "demo", "--avatar", "{pipe}"],
    ["avatars", "add", "{pipe}", "--name", "x"],
]


@pipes
@pytest.mark.parametrize("command", COMMANDS, ids=range(len(COMMANDS)))
def test_a_pipe_in_a_files_place_is_one_line_in_bounded_time(
    tmp_path: Path, command: list[str]
) -> None:
    pipe = tmp_path / "pipe.jpg"
    os.mkfifo(pipe)
    environment: dict[str, Any] = {**os.environ, "XDG_DATA_HOME": str(tmp_path / "data")}
    done = subprocess.run(
        [sys.executable, "-m", "avatar", *(word.format(pipe=pipe) for word in command)],
        capture_output=True, text=True, cwd=ROOT, env=environment, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode in (1, 2), done.stderr
    assert "Traceback" not in done.stderr
    assert "s3cr3t" not in done.stderr


def test_a_reader_that_is_gone_is_no_traceback(tmp_path: Path) -> None:
    environment: dict[str, Any] = {**os.environ, "XDG_DATA_HOME": str(tmp_path / "data")}
    for command in (["devices"], ["avatars", "list"], ["profiles", "list"], ["models", "list"]):
        reading, writing = os.pipe()
        os.close(reading)
        done = subprocess.run(
            [sys.executable, "-m", "avatar", *command],
            stdout=writing, stderr=subprocess.PIPE, text=True, cwd=ROOT, env=environment,
            timeout=60, check=False,
        )  # fmt: skip
        os.close(writing)
        assert "Traceback" not in done.stderr, (command, done.stderr)
