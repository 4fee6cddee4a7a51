"""A studio without a session, and pages without a browser (aiortc as the other side)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
import numpy as np

from avatar.app.studio.runtime import Studio
from avatar.core.errors import UsageError
from avatar.core.frames import UInt8Image
from avatar.core.home import Home
from avatar.core.messages import Message
from avatar.core.options import Options
from avatar.stages.sinks.page import Audience
from avatar.web.control import Event
from avatar.web.pages import Pages
from avatar.web.reach import listen_only_on

LOOPBACK = ["127.0.0.1"]
KEYED = Message("error.test", "{name} is not here", name="me")


class FakeStudio:
    """A ``Control`` that keeps what it is asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.uploads: list[tuple[bytes, str, str]] = []
        self.recordings: dict[str, Path] = {}
        self.pages: dict[Callable[[Event], None], Callable[[], bool]] = {}

    def snapshot(self) -> dict[str, Any]:
        return {"phase": "stopped", "asked": len(self.asked)}

    def figures(self) -> dict[str, Any]:
        return {"running": False}

    def act(self, action: str, values: dict[str, Any]) -> None:
        if action == "fail":
            raise UsageError("expected this, found that: do so")
        if action == "refuse":
            raise UsageError(KEYED)
        if action == "break":
            raise ZeroDivisionError("a fault")
        self.asked.append((action, values))
        for hear in list(self.pages):
            hear({"type": "changed"})

    def add_avatar(self, photo: Path, name: str) -> str:
        self.uploads.append((photo.read_bytes(), photo.suffix, name))
        return name or "photo"

    def faces_of(self, avatar: str) -> int:
        return 1

    def thumbnail(self, avatar: str, face: int | None = None) -> bytes:
        if avatar != "me":
            raise UsageError(f"no avatar {avatar}")
        return b"\xff\xd8"

    def recording(self, name: str) -> Path:
        if name not in self.recordings:
            raise UsageError(f"no recording {name}")
        return self.recordings[name]

    def listen(
        self, hear: Callable[[Event], None], *, pictures: Callable[[], bool]
    ) -> Callable[[], None]:
        self.pages[hear] = pictures
        return lambda: self.pages.pop(hear, None) and None


@contextmanager
def serving(
    folder: Path,
    config: Options,
    *,
    say: Callable[[str], None] = lambda line: None,
    **options: Any,
) -> Iterator[tuple[Studio, Pages]]:
    """Serve a studio over real sessions that keeps all that is the user's in ``folder``."""
    audience = Audience()
    studio = Studio(config, audience, home=Home.under(folder), log=say, **options)
    pages = Pages(
        audience, config.size_px, say, control=studio, rooms=studio.rooms, inbox=studio.inbox,
        port=0, folder=folder,
    )  # fmt: skip
    with pages:
        try:
            yield studio, pages
        finally:
            studio.close()


class Page:
    """A page's video connection: ``offer``, then ``accept`` the answer."""

    def __init__(self, direction: str, track: Any = None) -> None:
        from aiortc import RTCConfiguration, RTCPeerConnection

        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.transceiver = self.connection.addTransceiver(track or "video", direction=direction)
        listen_only_on(self.transceiver, LOOPBACK)

    async def offer(self) -> str:
        await self.connection.setLocalDescription(await self.connection.createOffer())
        return str(self.connection.localDescription.sdp)

    async def accept(self, answer: str) -> None:
        from aiortc import RTCSessionDescription

        await self.connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))

    async def picture(self) -> UInt8Image:
        """Return the next picture that came."""
        frame = await asyncio.wait_for(self.transceiver.receiver.track.recv(), 20)
        return np.asarray(frame.to_ndarray(format="rgb24"))

    async def close(self) -> None:
        await self.connection.close()


def film_track(image: UInt8Image) -> Any:
    """Return a camera track that shows ``image`` at 30 fps."""
    from aiortc import VideoStreamTrack

    class Film(VideoStreamTrack):  # type: ignore[misc, unused-ignore]
        async def recv(self) -> Any:
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = await self.next_timestamp()
            return frame

    return Film()


async def until(happened: Callable[[], bool], what: str, patience_s: float = 20.0) -> None:
    """Wait for something to happen; fail with ``what`` when it does not."""
    loop = asyncio.get_running_loop()
    end = loop.time() + patience_s
    while not happened():
        assert loop.time() < end, f"{what}: did not happen within {patience_s:g} s"
        await asyncio.sleep(0.01)
