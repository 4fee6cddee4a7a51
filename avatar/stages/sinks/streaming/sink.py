"""The sink of live streams."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Protocol, Self

from avatar.core.errors import SinkLostError, SinkUnavailableError
from avatar.core.frames import LabelledFrame
from avatar.core.stages import SoundTrack
from avatar.stages.sinks.checks import checked_image, expect_even
from avatar.stages.sinks.conversion import I420Converter, Letterbox
from avatar.stages.sinks.mp4 import ffmpeg_failures, ffmpeg_reason
from avatar.stages.sinks.sound_encoder import SoundCodec, SoundEncoder
from avatar.stages.sinks.streaming.address import StreamAddress
from avatar.stages.sinks.streaming.encoders import H264Encoder, VideoPlan, choose_encoder
from avatar.stages.sinks.streaming.network import ANSWER_S, why_unreachable
from avatar.stages.sinks.streaming.settings import StreamSettings

if TYPE_CHECKING:
    from av.packet import Packet


class Sender(Protocol):
    """What takes packets to a receiver. ``video`` and ``sound`` encode for it.

    ``wants_keyframe``: set by it when the next picture must be whole, cleared by who encodes it.
    """

    wants_keyframe: bool
    video: Callable[[Any], list[Packet[Any]]]
    sound: Callable[[Any], list[Packet[Any]]]

    def send(self, packets: Iterable[Packet[Any]]) -> None:
        """Hand packets over without waiting. Raises ``SinkLostError``."""
        ...

    def close(self) -> None:
        """End the stream, within two seconds."""
        ...


class StreamSink:
    """Sends frames and sound to a streaming server, by the time of their capture.

    ``size_px``: (width, height) of the frames that come. ``open_track``: gives the sound of each
    session. ``say``: hears which encoder was chosen. Entered for the first time, it does not wait
    for the server; entered again after a loss, it first asks whether somebody answers. Each time
    the stream begins anew, with headers and a keyframe.
    """

    settle_s = ANSWER_S + 2
    """A server may connect and say nothing, or refuse the key only then."""

    def __init__(
        self,
        address: StreamAddress,
        settings: StreamSettings,
        *,
        size_px: tuple[int, int],
        fps: float,
        open_track: Callable[[], SoundTrack],
        say: Callable[[str], None],
    ) -> None:
        self._address, self._settings = address, settings
        self._size_px, self._sent_px = size_px, settings.size_px or size_px
        expect_even(self._sent_px, f"The stream {address.shown}")
        self._plan = VideoPlan(
            self._sent_px, fps, settings.video_kbps(self._sent_px, fps),
            settings.is_constant_rate, address.kind == "whip",
        )  # fmt: skip
        self._open_track, self._say = open_track, say
        self._encoder: str | None = None
        self._session: _Session | None = None
        self._interrupted = threading.Event()

    @property
    def name(self) -> str:
        """Return the address without its key."""
        return self._address.shown

    def interrupt(self) -> None:
        """End a wait for the server; safe from any thread."""
        self._interrupted.set()

    def __enter__(self) -> Self:
        if self._encoder is None:
            self._encoder = choose_encoder(self._settings.encoder, self._plan, self._say)
        else:
            trouble = self._unreachable()
            if trouble is not None:
                raise SinkUnavailableError(trouble)
        try:
            sender = self._sender(self._encoder)
        except ffmpeg_failures() as error:
            found = ffmpeg_reason(error)
            raise SinkUnavailableError(f"the stream cannot begin ({found})") from None
        self._session = _Session(sender, self._codec, self._plan, self._open_track(), self._size_px)
        return self

    def __exit__(self, *_: object) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.close()
        self._interrupted.clear()

    def write(self, frame: LabelledFrame) -> None:
        """Encode ``frame`` and hand it over; one that is not later than the last is left out.

        Raises ``SinkLostError`` with a reason that does not have the key in it.
        """
        session = self._session
        checked_image(frame, self._size_px, sink=self.name, entered=session is not None)
        assert session is not None
        try:
            session.write(frame)
        except SinkLostError as error:
            raise SinkLostError(self._reason(str(error))) from None

    def _sender(self, encoder: str) -> Sender:
        from avatar.stages.sinks.streaming.fifo import FifoSender
        from avatar.stages.sinks.streaming.whip import WhipSender

        make = WhipSender if self._address.kind == "whip" else FifoSender
        kbps = self._settings.service.sound_kbps
        return make(self._address, encoder, self._plan, kbps, self._settings.ca_file)

    @property
    def _codec(self) -> SoundCodec:
        return "libopus" if self._address.kind == "whip" else "aac"

    def _unreachable(self) -> str | None:
        return why_unreachable(self._address, self._settings.ca_file, self._interrupted)

    def _reason(self, found: str) -> str:
        """Return why the stream ended, in words, and what to do."""
        after = "trying again, other outputs go on"
        session = self._session
        if session is not None and session.seconds > self.settle_s:
            return f"the stream ended ({found}); {after}"
        trouble = self._unreachable()
        if trouble is not None:
            return f"{trouble}; {after}"
        if self._address.kind == "udp":
            return f"nothing can be sent there ({found}): check the address; {after}"
        return (
            f"the server answers but did not take the stream ({found}): check the address and the "
            f"stream key, and that nobody else streams with it; {after}"
        )


class _Session:
    """From one connection to its end: encoders, times, sender."""

    def __init__(
        self, sender: Sender, codec: SoundCodec, plan: VideoPlan, track: SoundTrack,
        size_px: tuple[int, int],
    ) -> None:  # fmt: skip
        self._sender = sender
        self._video = H264Encoder(sender.video, plan)
        self._sound = SoundEncoder(sender.sound, codec, track)
        self._letterbox = Letterbox(size_px, plan.size_px)
        self._converter = I420Converter(plan.size_px)
        self._start_ns: int | None = None
        self._last_ns = 0

    @property
    def seconds(self) -> float:
        """Return how long it has lasted, by the frames' times."""
        return 0.0 if self._start_ns is None else (self._last_ns - self._start_ns) / 1e9

    def write(self, frame: LabelledFrame) -> None:
        """Encode and send. Raises ``SinkLostError``."""
        now_ns = frame.timestamp_ns
        if self._start_ns is None:
            self._start_ns = now_ns
            self._sound.start(now_ns)
        elif now_ns <= self._last_ns:
            return
        self._last_ns = now_ns
        if self._sender.wants_keyframe:
            self._sender.wants_keyframe = False
            self._video.restart()
        planes = self._converter.convert(self._letterbox.fit(frame.image))
        try:
            packets = self._video.encode(planes, now_ns - self._start_ns)
            packets += self._sound.until(now_ns)
        except ffmpeg_failures() as error:
            raise SinkLostError(f"the encoder failed: {ffmpeg_reason(error)}") from None
        self._sender.send(packets)

    def close(self) -> None:
        """End the stream."""
        self._sender.close()
