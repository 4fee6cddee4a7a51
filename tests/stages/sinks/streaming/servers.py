"""A real RTMP server for one test, and a player of it."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

import av
import numpy as np
import pytest
from av.error import FFmpegError

from avatar.core.frames import UInt8Image
from tests.stages.sinks.numbers import number
from tests.stages.sinks.pipewire_session import wait_until

PACKAGES = "nginx-light libnginx-mod-rtmp"
MODULE = Path("/usr/lib/nginx/modules/ngx_rtmp_module.so")
_CONFIG = """
load_module {module};
daemon off; master_process off; worker_processes 1;
pid {folder}/nginx.pid; error_log {folder}/error.log info;
events {{ worker_connections 64; }}
rtmp {{ server {{
  listen 127.0.0.1:{port}; chunk_size 4096;
  application live {{
    live on; record off; wait_key on; wait_video on;
    allow publish 127.0.0.1; allow play 127.0.0.1;
  }}
}} }}
"""


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    with socket.socket(socket.AF_INET, kind) as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


class RtmpServer:
    """nginx with its RTMP module, in a folder of its own, until it is left."""

    def __init__(self) -> None:
        if not shutil.which("nginx") or not MODULE.exists():
            pytest.skip(f"needs nginx with RTMP: apt-get install {PACKAGES}")
        self.port = free_port()
        self._folder = Path(tempfile.mkdtemp(prefix="rtmp-"))
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"rtmp://127.0.0.1:{self.port}/live"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def start(self) -> None:
        config = self._folder / "nginx.conf"
        config.write_text(_CONFIG.format(module=MODULE, folder=self._folder, port=self.port))
        with (self._folder / "output.log").open("ab") as log:
            self._process = subprocess.Popen(
                ["nginx", "-p", str(self._folder), "-c", str(config)], stdout=log, stderr=log
            )
        wait_until(self._answers, "the RTMP server")

    def kill(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()

    @contextmanager
    def player(self, key: str, patience_s: float = 1.0) -> Iterator[Player]:
        """A player that waits at the server for the stream ``key`` to begin."""
        waiting = self.log().count("play: name")
        with Player(f"{self.address}/{key}", patience_s) as player:
            wait_until(lambda: self.log().count("play: name") > waiting, "the player")
            yield player

    def log(self) -> str:
        return (self._folder / "error.log").read_text(encoding="utf-8", errors="replace")

    def _answers(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True
        return False


@dataclass
class Played:
    """What came out. Times in seconds of the stream.

    ``frames``: (number, time, mean brightness above the number). ``clicks``: when each began.
    """

    frames: list[tuple[int, float, float]] = field(default_factory=list)
    clicks: list[float] = field(default_factory=list)
    sound_s: float = 0.0
    keyframes: list[float] = field(default_factory=list)
    codecs: dict[str, Any] = field(default_factory=dict)
    picture: UInt8Image | None = None

    @property
    def flashes(self) -> list[float]:
        """When each bright picture that follows a dark one is shown."""
        bright = [(time, level > 200) for _, time, level in self.frames]
        return [
            time for (_, before), (time, now) in pairwise(bright)
            if now and not before
        ]  # fmt: skip


class Player:
    """Plays an address in a thread until it ends or ``stop`` is called.

    A server that has nothing to play is asked again.
    """

    def __init__(self, address: str, patience_s: float = 1.0) -> None:
        self.sessions: list[Played] = []
        self._address = address
        self._options = {"probesize": "200000", "analyzeduration": "1000000"}
        self._patience_s = patience_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="player", daemon=True)

    @property
    def played(self) -> Played:
        """The session that is played, or was last."""
        return self.sessions[-1] if self.sessions else Played()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(10)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        while not self._stop.wait(0.05):
            with suppress(FFmpegError), self._open() as container:
                self.sessions.append(Played())
                play(container, self.sessions[-1], self._stop.is_set)

    def _open(self) -> Any:
        return av.open(self._address, timeout=(8, self._patience_s), options=self._options)


def play(container: Any, played: Played, is_over: Callable[[], bool] = lambda: False) -> None:
    """Decode everything into ``played``."""
    for stream in container.streams:
        played.codecs[stream.type] = stream.codec_context
    for packet in container.demux():
        if is_over():
            return
        if packet.stream.type == "video":
            if packet.is_keyframe and packet.pts is not None:
                played.keyframes.append(float(packet.pts * packet.time_base))
            for frame in packet.decode():
                _see(frame, played)
        else:
            for frame in packet.decode():
                _listen(frame, played)


def _see(frame: Any, played: Played) -> None:
    # Brightness is enough for most of them, and costs nothing while others are measured.
    plane = frame.planes[0]
    grey = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[:, : frame.width]
    if len(played.frames) % 20 == 10:
        played.picture = frame.to_ndarray(format="rgb24")
    level = float(grey[len(grey) // 3 : len(grey) // 2, : frame.width // 2].mean())
    played.frames.append((number(grey), float(frame.pts * frame.time_base), level))


def _listen(frame: Any, played: Played) -> None:
    samples = np.abs(frame.to_ndarray()[0].astype(np.float32))
    start_s = float(frame.pts * frame.time_base)
    loud = np.flatnonzero(samples > 0.25)
    played.sound_s = start_s + frame.samples / frame.sample_rate
    if len(loud) and (not played.clicks or start_s - played.clicks[-1] > 0.2):
        played.clicks.append(start_s + float(loud[0]) / frame.sample_rate)


class TlsProxy:
    """Takes TLS connections, with the certificate at ``certificate``, to a port of this machine."""

    def __init__(self, target_port: int, certificate: Path, key: Path) -> None:
        self._target_port = target_port
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate, key)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._socket.getsockname()[1])

    def __enter__(self) -> Self:
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                plain, _ = self._socket.accept()
                threading.Thread(target=self._connect, args=(plain,), daemon=True).start()

    def _connect(self, plain: socket.socket) -> None:
        target = ("127.0.0.1", self._target_port)
        with (
            suppress(OSError),
            self._context.wrap_socket(plain, server_side=True) as client,
            socket.create_connection(target) as server,
        ):
            back = threading.Thread(target=_copy, args=(server, client), daemon=True)
            back.start()
            _copy(client, server)
            back.join(5)


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65_536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


def self_signed(folder: Path) -> tuple[Path, Path]:
    """Return a certificate for localhost that nobody vouches for, and its key."""
    if not shutil.which("openssl"):
        pytest.skip("needs openssl")
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
         "-keyout", str(key), "-out", str(certificate)],
        check=True, capture_output=True,
    )  # fmt: skip
    return certificate, key
