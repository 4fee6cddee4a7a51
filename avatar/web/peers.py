"""WebRTC to the pages: the avatar's pictures out, a page's camera in (aiortc).

Everything here runs in the server's event loop. Addresses that a page names are never used: its
offer is stripped of candidates, and the program answers whoever reaches the address it listens on
with the offer's secret (ICE's peer-reflexive candidates, RFC 8445, 7.3.1.3). So nothing is
looked up, no multicast question for a browser's ``.local`` name leaves, and no page can have
packets sent to a third party. There are no STUN and TURN servers.

A page that cannot reach the loopback address asks for a wider answer, as Firefox always must: it
pairs no loopback address with its own, which are a network's alone. It names this machine's other
addresses too, and what does not come from one of them is dropped unread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any, Literal
from uuid import uuid4

from avatar.core.errors import UsageError
from avatar.core.messages import Message
from avatar.stages.sinks.page import CLOCK_RATE_HZ, Audience, EncodedPicture, PageCodec
from avatar.stages.sources.page import PageInbox
from avatar.web.offers import capabilities, check_offer, keep_best, without_candidates
from avatar.web.prompt import make_prompt
from avatar.web.reach import listen_only_on

MAX_WATCHERS = 8
MAX_PREVIEWS = 4
"""Places kept for the studio's own pages, whoever else watches; one more closes the oldest."""
CONNECT_WITHIN_S = 15.0
# A page that is so many pictures behind gets the next keyframe instead.
_MAX_WAITING = 15
MAX_CAMERA_PX = 1920 * 1080
# The best first. Each browser has one of them (RFC 7742, 5).
_CODECS = ("video/H264", "video/VP8")


class PictureTrack:
    """The avatar as a track that aiortc sends: encoded already, by ``codec``.

    It has what ``RTCRtpSender`` asks of a track, without being a subclass: aiortc is an extra.
    """

    kind = "video"

    def __init__(
        self, audience: Audience, loop: asyncio.AbstractEventLoop, codec: PageCodec
    ) -> None:
        self.id = str(uuid4())
        self._audience, self._loop, self._codec = audience, loop, codec
        self._waiting: asyncio.Queue[EncodedPicture | None] = asyncio.Queue()
        self._needs_keyframe = True
        self._end = audience.subscribe(self._arrived, codec)

    def _arrived(self, picture: EncodedPicture) -> None:
        """Take a picture in the sink's thread."""
        try:
            self._loop.call_soon_threadsafe(self._offer, picture)
        except RuntimeError:  # the server has just ended
            self._end()

    def _offer(self, picture: EncodedPicture) -> None:
        if self._waiting.qsize() >= _MAX_WAITING:
            while not self._waiting.empty():
                self._waiting.get_nowait()
            self._needs_keyframe = True
        if self._needs_keyframe and not picture.is_keyframe:
            self.request_keyframe()
            return
        self._needs_keyframe = False
        self._waiting.put_nowait(picture)

    async def recv(self) -> Any:
        """Return the next picture as a packet; raises ``MediaStreamError`` once stopped."""
        picture = await self._waiting.get()
        if picture is None:
            from aiortc.mediastreams import MediaStreamError

            raise MediaStreamError
        import av

        packet = av.Packet(picture.data)
        packet.pts = picture.timestamp_ns * CLOCK_RATE_HZ // 1_000_000_000
        packet.time_base = Fraction(1, CLOCK_RATE_HZ)
        return packet

    def request_keyframe(self) -> None:
        """Have the next picture be one that needs none before it."""
        self._audience.request_keyframe(self._codec)

    def stop(self) -> None:
        """Take no more pictures."""
        self._end()
        self._waiting.put_nowait(None)


class Peers:
    """All pages that watch, and the one that is the camera.

    ``addresses``: where this program is reached, as numbers; nothing else is offered.
    ``say``: told what happens to the page's camera. ``wider``: this machine's other addresses, for
    pages on it that reach none of ``addresses``.
    """

    def __init__(
        self,
        audience: Audience,
        inbox: PageInbox | None,
        addresses: Sequence[str],
        say: Callable[[str], None],
        wider: Callable[[], Sequence[str]] = tuple,
    ) -> None:
        self._audience, self._inbox, self._say = audience, inbox, say
        self._addresses, self._wider = tuple(addresses), wider
        # By who may open them: the connections, and how many are being made.
        self._watchers: dict[str, list[Any]] = {"view": [], "studio": []}
        self._arriving = {"view": 0, "studio": 0}
        self._camera: Any = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing: set[asyncio.Task[None]] = set()

    @property
    def watching(self) -> int:
        """Return how many pages watch."""
        return sum(map(len, self._watchers.values()))

    @property
    def has_camera(self) -> bool:
        """Return whether a page sends its camera."""
        return self._camera is not None

    async def watch(self, offer: str, role: str = "view", *, wide: bool = False) -> str:
        """Answer a page that wants to see the avatar. Raises ``UsageError``.

        ``role``: what the page's token opens. Pages of the studio have places of their own.
        ``wide``: the page reaches none of the usual addresses.
        """
        watchers = self._watchers[role]
        # Those count that are on their way: each waits for the network meanwhile.
        if role == "view" and len(watchers) + self._arriving[role] >= MAX_WATCHERS:
            raise UsageError(
                Message(
                    "error.watchers",
                    "{most} pages are watching already: close one of them, and this one goes on by "
                    "itself",
                    most=MAX_WATCHERS,
                )
            )
        self._arriving[role] += 1
        try:
            connection, transceiver = await self._accept(offer, "sendonly", wide)
            watchers.append(connection)
        finally:
            self._arriving[role] -= 1
        for oldest in watchers[:-MAX_PREVIEWS] if role == "studio" else []:
            self._keep(asyncio.create_task(oldest.close()), self._closing)
        return await self._show(connection, transceiver, watchers)

    async def _show(self, connection: Any, transceiver: Any, watchers: list[Any]) -> str:
        """Send a page the avatar from now on; return the answer to its offer."""
        codec: PageCodec = "H264" if keep_best(transceiver) == "video/h264" else "VP8"
        track = PictureTrack(self._audience, asyncio.get_running_loop(), codec)
        transceiver.sender.replaceTrack(track)
        # aiortc keeps a wish for a keyframe for its own encoder; this one is elsewhere.
        transceiver.sender._send_keyframe = track.request_keyframe
        self._follow(connection, lambda: self._watcher_left(connection, track, watchers))
        return await self._answer(connection)

    async def receive(self, offer: str, *, wide: bool = False) -> str:
        """Answer a page that wants to be the camera, in place of another. Raises ``UsageError``.

        ``wide``: as for ``watch``.
        """
        if self._inbox is None:
            raise UsageError("This page shows the avatar only; it cannot be the camera.")
        connection, transceiver = await self._accept(offer, "recvonly", wide)
        if transceiver.receiver.track is None:
            await connection.close()
            raise UsageError("The page's offer has no video that it would send.")
        before, self._camera = self._camera, connection
        self._inbox.is_fed = True
        if before is not None:
            self._say(Message("said.cameraTaken", "another page is the camera now"))
            await before.close()
        make_prompt(transceiver.receiver)
        task = asyncio.create_task(_pump(transceiver.receiver.track, self._inbox, self._say))
        self._keep(task)
        self._follow(connection, lambda: self._camera_left(connection, task))
        return await self._answer(connection)

    async def close(self) -> None:
        """Leave all pages."""
        watchers = [one for each in self._watchers.values() for one in each]
        connections = [*watchers, *([self._camera] if self._camera is not None else [])]
        await asyncio.gather(*(connection.close() for connection in connections))
        while self._closing:
            await asyncio.gather(*self._closing, return_exceptions=True)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, offer: str, direction: str, wide: bool) -> tuple[Any, Any]:
        """Return a connection that knows the page's offer, and its one track."""
        from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription

        description = without_candidates(offer)
        connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        transceiver = connection.addTransceiver("video", direction=direction)
        # Before the offer is known: aiortc looks for the common ones while it reads it.
        transceiver.setCodecPreferences(capabilities(*_CODECS, "video/rtx"))
        try:
            check_offer(description, _CODECS)
            await connection.setRemoteDescription(RTCSessionDescription(description, "offer"))
            (transceiver,) = connection.getTransceivers()
            if not transceiver.mid:
                raise ValueError("no video track")
        except UsageError:
            await connection.close()
            raise
        except Exception as error:  # whatever a page may send: aiortc has no error of its own
            await connection.close()
            raise UsageError(
                "The page's offer of a video connection could not be read "
                f"({type(error).__name__}: {error}). It needs one video track."
            ) from error
        self._set_reach(transceiver, wide)
        return connection, transceiver

    def _set_reach(self, transceiver: Any, wide: bool) -> None:
        """Say where a connection is reached, and who is heard there."""
        others = tuple(self._wider()) if wide else ()
        own = (*self._addresses, *others)
        listen_only_on(transceiver, own, heard_from=own if others else None)

    async def _answer(self, connection: Any) -> str:
        try:
            await connection.setLocalDescription(await connection.createAnswer())
        except Exception as error:  # as above: what the page offered does not fit
            await connection.close()
            raise UsageError(
                "No video connection to this page: "
                f"{str(error) or type(error).__name__}. Load the page again."
            ) from error
        waiting = asyncio.create_task(self._close_unless_connected(connection))
        self._keep(waiting)

        def changed() -> None:
            # Until it ends it keeps all of its connection.
            if connection.connectionState in ("connected", "failed", "closed"):
                waiting.cancel()

        connection.on("connectionstatechange", changed)
        return str(connection.localDescription.sdp)

    async def _close_unless_connected(self, connection: Any) -> None:
        """End a connection that nobody reached."""
        await asyncio.sleep(CONNECT_WITHIN_S)
        if connection.connectionState in ("new", "connecting"):
            # Apart from this task, which ends when the connection's state changes.
            self._keep(asyncio.create_task(connection.close()), self._closing)

    def _follow(self, connection: Any, left: Callable[[], None]) -> None:
        """Call ``left`` once when the page has gone, or cannot be reached any more."""

        def changed() -> None:
            # Closed by the page is not closed here: its sockets are still open.
            if connection.connectionState in ("failed", "closed"):
                connection.remove_all_listeners("connectionstatechange")
                left()
                self._keep(asyncio.create_task(connection.close()), self._closing)

        connection.on("connectionstatechange", changed)

    def _watcher_left(self, connection: Any, track: PictureTrack, watchers: list[Any]) -> None:
        if connection in watchers:
            watchers.remove(connection)
        track.stop()

    def _camera_left(self, connection: Any, pump: asyncio.Task[None]) -> None:
        # A track that never began does not end by itself, and would keep all of its connection.
        pump.cancel()
        if self._camera is connection:  # else another page took its place
            self._camera = None
            if self._inbox is not None:
                self._inbox.is_fed = False
            self._say(Message("said.cameraEnded", "the page's camera ended"))

    def _keep(self, task: asyncio.Task[None], among: set[asyncio.Task[None]] | None = None) -> None:
        tasks = self._tasks if among is None else among
        tasks.add(task)
        task.add_done_callback(tasks.discard)


async def _pump(track: Any, inbox: PageInbox, say: Callable[[str], None]) -> None:
    """Put the page's pictures into the inbox until it stops sending."""
    from aiortc.mediastreams import MediaStreamError

    loop = asyncio.get_running_loop()
    told: Literal[True] | None = None
    while True:
        try:
            frame = await track.recv()
        except MediaStreamError:
            return
        while not track._queue.empty():  # only the newest is wanted
            newer = track._queue.get_nowait()
            if newer is None:
                return
            frame = newer
        if frame.width * frame.height > MAX_CAMERA_PX:
            if told is None:
                told = True
                say(
                    Message(
                        "said.cameraTooLarge",
                        "the page's camera sends {width}×{height}: too large, not used",
                        width=frame.width, height=frame.height,
                    )
                )  # fmt: skip
            continue
        image = await loop.run_in_executor(None, _to_rgb, frame)
        inbox.put(image)


def _to_rgb(frame: Any) -> Any:
    return frame.to_ndarray(format="rgb24")
