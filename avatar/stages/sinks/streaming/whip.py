"""WHIP (RFC 9725): a stream by WebRTC, offered with one HTTP request.

aiortc packs and sends what this program has encoded. FFmpeg's own WHIP muxer was not taken: it
checks no certificate, so that a bearer token would go to whoever answers.
"""

from __future__ import annotations

import asyncio
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, suppress
from http.client import HTTPResponse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from avatar.core.answers import answer_within
from avatar.core.errors import MissingDependencyError, SinkLostError
from avatar.stages.sinks.sound_encoder import configure_sound
from avatar.stages.sinks.streaming.address import StreamAddress
from avatar.stages.sinks.streaming.encoders import ENCODERS, VideoPlan, configure, options_of
from avatar.stages.sinks.streaming.network import ANSWER_S, tls_context

if TYPE_CHECKING:
    from av.packet import Packet

_CONNECT_S = 5.0
_END_S = 1.5
# Two seconds of pictures and sound.
_QUEUE_PACKETS = 160
_ANSWER_BYTES = 64 * 1024
_REFUSALS = {401: "the key is refused", 403: "the key is refused", 404: "there is no such address"}


class WhipSender:
    """Sends packets to a WHIP endpoint, in a thread with an event loop; see ``FifoSender``.

    ``video`` and ``sound`` encode what ``send`` takes. Packets are dropped until the connection
    stands; ``wants_keyframe`` is then set, and whenever the receiver has lost its picture.
    """

    def __init__(
        self, address: StreamAddress, encoder: str, plan: VideoPlan, sound_kbps: int,
        ca_file: Path | None,
    ) -> None:  # fmt: skip
        try:
            import aiortc  # noqa: F401
        except ImportError as error:
            raise MissingDependencyError(
                "--out whip: expected the Python package aiortc, which is not installed. "
                "Run scripts/setup webrtc, or `pip install 'webcam-avatar[webrtc]'`"
            ) from error
        from av.codec import CodecContext

        video: Any = CodecContext.create(ENCODERS[encoder], "w")
        configure(video, encoder, plan)
        video.options = options_of(encoder, plan)
        sound: Any = CodecContext.create("libopus", "w")
        configure_sound(sound, "libopus", sound_kbps)
        self.video: Callable[[Any], list[Packet[Any]]] = video.encode
        self.sound: Callable[[Any], list[Packet[Any]]] = sound.encode
        self.wants_keyframe = False
        self._order = Interleaved()
        self._address, self._ca_file = address, ca_file
        self._trouble: str | None = None
        self._tracks: dict[str, Any] = {}
        self._loop = asyncio.new_event_loop()
        self._ended = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="whip", daemon=True)
        self._thread.start()

    def send(self, packets: Iterable[Packet[Any]]) -> None:
        """Hand packets over; never waits. Raises ``SinkLostError``."""
        if self._trouble is not None:
            raise SinkLostError(self._trouble)
        ready = self._order.add(packets)
        with suppress(RuntimeError):  # the loop has just ended: the next call says why
            self._loop.call_soon_threadsafe(self._put, ready)

    def close(self) -> None:
        """End the stream; waits a moment for the server, and no longer."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(_END_S)

    # --- in the thread with the event loop

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._stream())
        except Exception as error:  # whatever it was, it ends this stream and nothing else
            self._trouble = _reason(error)
        finally:
            with suppress(RuntimeError):
                self._loop.run_until_complete(self._loop.shutdown_default_executor())
            self._loop.close()

    async def _stream(self) -> None:
        from aiortc import RTCConfiguration, RTCPeerConnection

        # No servers that help to find a way: nobody is asked but the one that was named.
        peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        resource: str | None = None
        try:
            resource = await self._connect(peer)
            self.wants_keyframe = True
            while not self._ended.is_set() and peer.connectionState == "connected":
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._ended.wait(), 0.2)
            if not self._ended.is_set():
                raise ConnectionError("the connection was lost")
        finally:
            self._tracks = {}
            await peer.close()
            if resource is not None:
                await asyncio.to_thread(self._delete, resource)

    async def _connect(self, peer: Any) -> str | None:
        """Offer, take the answer, wait for the connection; return what is to be deleted later."""
        from aiortc import RTCSessionDescription

        tracks = {kind: packet_track(kind) for kind in ("audio", "video")}
        for track in tracks.values():
            self._offer(peer, track)
        await peer.setLocalDescription(await peer.createOffer())
        answer, resource = await asyncio.to_thread(self._post, peer.localDescription.sdp)
        await peer.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        loop_end = self._loop.time() + _CONNECT_S
        while peer.connectionState != "connected":
            if peer.connectionState in ("failed", "closed") or self._loop.time() > loop_end:
                raise ConnectionError("the server answers, but no media connection came about")
            if self._ended.is_set():
                break
            await asyncio.sleep(0.05)
        self._tracks = tracks
        return resource

    def _offer(self, peer: Any, track: Any) -> None:
        from aiortc import RTCRtpSender

        wanted = "video/H264" if track.kind == "video" else "audio/opus"
        transceiver = peer.addTransceiver(track, direction="sendonly")
        codecs = RTCRtpSender.getCapabilities(track.kind).codecs
        transceiver.setCodecPreferences([c for c in codecs if c.mimeType == wanted])
        if track.kind == "video":
            # aiortc asks its own encoder for a keyframe there; here another one encodes.
            transceiver.sender._send_keyframe = lambda: setattr(self, "wants_keyframe", True)

    def _put(self, packets: list[Packet[Any]]) -> None:
        for packet in packets:
            track = self._tracks.get("video" if is_video(packet) else "audio")
            if track is not None and not track.put(packet):
                self.wants_keyframe = True

    # --- HTTP

    def _post(self, offer: str) -> tuple[str, str | None]:
        """Return the server's answer, and the address of what it made for this stream."""
        request = self._request(self._address.url, "POST", offer.encode())
        request.add_header("Content-Type", "application/sdp")
        with self._answer(request) as response:
            location = response.headers.get("Location")
            answer = response.read(_ANSWER_BYTES).decode()
        resource = urllib.parse.urljoin(self._address.url, location) if location else None
        return answer, resource

    def _delete(self, resource: str) -> None:
        same = urllib.parse.urlsplit(resource)[:2] == urllib.parse.urlsplit(self._address.url)[:2]
        with suppress(OSError):
            if same:  # the key goes to nobody else
                with self._answer(self._request(resource, "DELETE", None)):
                    pass

    def _request(self, url: str, method: str, body: bytes | None) -> urllib.request.Request:
        request = urllib.request.Request(url, body, method=method)
        if self._address.token is not None:
            request.add_unredirected_header("Authorization", f"Bearer {self._address.token}")
        return request

    def _answer(self, request: urllib.request.Request) -> AbstractContextManager[HTTPResponse]:
        """Give the server's answer; where it sends elsewhere, that is refused, with the key."""
        return answer_within(
            request, timeout_s=ANSWER_S, within_s=2 * ANSWER_S, follows=False,
            context=tls_context(self._ca_file) if self._address.is_secure else None,
        )  # fmt: skip


def _reason(error: Exception) -> str:
    """Return what went wrong, without the address, which has the key."""
    if isinstance(error, urllib.error.HTTPError):
        error.close()
        return _REFUSALS.get(error.code, f"the server refuses with HTTP {error.code}")
    if isinstance(error, urllib.error.URLError):
        return type(error.reason).__name__ if isinstance(error.reason, Exception) else "no answer"
    if isinstance(error, TimeoutError):
        return "nothing came back"
    if isinstance(error, ConnectionError):
        return error.strerror or str(error)
    return f"the server's answer cannot be used ({type(error).__name__})"


def is_video(packet: Packet[Any]) -> bool:
    """Return whether a packet is of pictures; sound counts in samples."""
    return packet.time_base is not None and packet.time_base.denominator == 90_000


class Interleaved:
    """Lets pictures go no sooner than the sound of their time.

    Receivers put both together by when they were sent: what belongs together leaves together.
    """

    def __init__(self) -> None:
        self._waiting: deque[Packet[Any]] = deque()
        self._sound_s = 0.0

    def add(self, packets: Iterable[Packet[Any]]) -> list[Packet[Any]]:
        """Take packets in, in any order of the two kinds; return those that may go."""
        ready = []
        for packet in packets:
            if is_video(packet):
                self._waiting.append(packet)
                continue
            assert packet.pts is not None and packet.time_base is not None
            self._sound_s = float((packet.pts + (packet.duration or 0)) * packet.time_base)
            ready += self._due()
            ready.append(packet)
        return ready

    def _due(self) -> list[Packet[Any]]:
        due = []
        while self._waiting:
            first = self._waiting[0]
            assert first.pts is not None and first.time_base is not None
            if float(first.pts * first.time_base) > self._sound_s:
                break
            due.append(self._waiting.popleft())
        return due


def packet_track(kind: str) -> Any:
    """Return an aiortc track of packets that are encoded already; ``put`` adds one."""
    from aiortc import MediaStreamTrack

    class PacketTrack(MediaStreamTrack):
        def __init__(self) -> None:
            super().__init__()
            self.kind = kind
            self._packets: asyncio.Queue[Packet[Any]] = asyncio.Queue(_QUEUE_PACKETS)
            self._is_whole = kind != "video"

        def put(self, packet: Packet[Any]) -> bool:
            """Add a packet; False where older ones were dropped and a keyframe must come."""
            if self._packets.full():
                while not self._packets.empty():
                    self._packets.get_nowait()
                self._is_whole = kind != "video"
            self._is_whole = self._is_whole or packet.is_keyframe
            if self._is_whole:
                self._packets.put_nowait(packet)
            return self._is_whole

        async def recv(self) -> Any:
            return await self._packets.get()

    return PacketTrack()
