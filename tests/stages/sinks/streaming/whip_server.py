"""A small WHIP endpoint for one test, by aiortc and Python's own HTTP server."""

from __future__ import annotations

import asyncio
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

import numpy as np
import pytest

from tests.stages.sinks.numbers import number

pytest.importorskip("aiortc", reason="needs aiortc")

from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError


class WhipServer:
    """Takes one stream at a time at ``/whip/KEY``; with ``token`` only who sends it.

    ``frames``: (number, moment of arrival); ``clicks``: moments at which a click arrived.
    """

    def __init__(self, token: str | None = None) -> None:
        self.token = token
        self.frames: list[tuple[int, float, float]] = []
        self.clicks: list[float] = []
        self.keyframes: list[int] = []
        self.deleted = 0
        self.requests: list[str] = []
        self.codecs: set[str] = set()
        self._loop = asyncio.new_event_loop()
        self._peers: list[Any] = []
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.port = int(self._http.server_address[1])

    @property
    def address(self) -> str:
        return f"whip:http://127.0.0.1:{self.port}/whip"

    def __enter__(self) -> Self:
        self._threads = [
            threading.Thread(target=target, daemon=True)
            for target in (self._run, self._http.serve_forever)
        ]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()
        self.drop()
        self._loop.call_soon_threadsafe(self._loop.stop)
        for thread in self._threads:
            thread.join(10)

    def _run(self) -> None:
        self._loop.run_forever()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()

    def drop(self) -> None:
        """Cut every connection without a word."""
        for peer in self._peers:
            asyncio.run_coroutine_threadsafe(peer.close(), self._loop).result(10)
        self._peers = []

    def lose_picture(self) -> None:
        """Tell the sender that a picture was lost, as a receiver does that cannot go on."""
        for receiver in self._peers[-1].getReceivers():
            if receiver.track.kind == "video":
                source = receiver.getSynchronizationSources()[0].source
                lost = receiver._send_rtcp_pli(source)
                asyncio.run_coroutine_threadsafe(lost, self._loop).result(10)

    async def answer(self, offer: str) -> str:
        peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._peers.append(peer)
        tasks = []

        @peer.on("track")
        def on_track(track: Any) -> None:
            tasks.append(asyncio.ensure_future(self._take(track)))

        await peer.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        await peer.setLocalDescription(await peer.createAnswer())
        self.codecs |= {
            line.split()[1].split("/")[0]
            for line in peer.localDescription.sdp.splitlines()
            if line.startswith("a=rtpmap")
        }
        return str(peer.localDescription.sdp)

    async def _take(self, track: Any) -> None:
        with suppress(MediaStreamError):
            while True:
                frame = await track.recv()
                now_s = time.monotonic()
                if track.kind == "video":
                    image = frame.to_ndarray(format="rgb24")
                    height, width = image.shape[:2]
                    level = float(image[height // 3 : height // 2, : width // 2].mean())
                    self.frames.append((number(image), now_s, level))
                    if frame.key_frame:
                        self.keyframes.append(number(image))
                elif np.abs(frame.to_ndarray().astype(np.float32) / 32_768).max() > 0.25 and (
                    not self.clicks or now_s - self.clicks[-1] > 0.2
                ):
                    self.clicks.append(now_s)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                server.requests.append(f"POST {self.path}")
                offer = self.rfile.read(int(self.headers["Content-Length"])).decode()
                if not self._is_allowed():
                    return
                answer = asyncio.run_coroutine_threadsafe(server.answer(offer), server._loop)
                body = answer.result(10).encode()
                self.send_response(201)
                self.send_header("Content-Type", "application/sdp")
                self.send_header("Location", "/resource/1")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_DELETE(self) -> None:
                server.requests.append(f"DELETE {self.path}")
                if self._is_allowed():
                    server.deleted += 1
                    self.send_response(200)
                    self.end_headers()

            def _is_allowed(self) -> bool:
                wanted = f"Bearer {server.token}" if server.token is not None else None
                if self.headers.get("Authorization") == wanted:
                    return True
                self.send_response(401)
                self.end_headers()
                return False

            def log_message(self, format: str, *args: object) -> None:
                pass

        return Handler
