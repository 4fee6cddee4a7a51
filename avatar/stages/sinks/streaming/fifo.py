"""RTMP and MPEG-TS by FFmpeg, in a thread of FFmpeg's own.

PyAV opens a network output while it holds the interpreter's lock, without a time-out and without
options: a server that accepts and says nothing would stop the whole program. FFmpeg's `fifo` muxer
opens and writes in a thread that knows nothing of Python, hands the options through (certificates
are checked by them), and reports what went wrong with the next packet.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from avatar.core.errors import SinkLostError
from avatar.stages.sinks.mp4 import ffmpeg_failures, ffmpeg_reason
from avatar.stages.sinks.sound_encoder import configure_sound
from avatar.stages.sinks.streaming.address import StreamAddress
from avatar.stages.sinks.streaming.encoders import ENCODERS, VideoPlan, configure, options_of
from avatar.stages.sinks.streaming.network import ANSWER_S, certificate_file

if TYPE_CHECKING:
    from av.container import OutputContainer
    from av.packet import Packet

_FORMATS = {"rtmp": "flv", "rtmps": "flv", "udp": "mpegts"}
# Two seconds of 30 pictures and 47 blocks of sound each; more only waits for a dead server.
_QUEUE_PACKETS = 160
_GLOBAL_HEADER = 1 << 22  # AV_CODEC_FLAG_GLOBAL_HEADER: FLV has parameters apart
_END_S = 1.5
# MPEG-TS over Ethernet: seven packets of 188 bytes.
_UDP_BYTES = 1316


class FifoSender:
    """Sends packets to an RTMP server or as MPEG-TS over UDP.

    ``ca_file``: certificates to trust. Making one opens nothing but encoders; ``video`` and
    ``sound`` encode what ``send`` takes. Raises ``SinkLostError`` once it is known that nobody
    takes what is sent.
    """

    def __init__(
        self, address: StreamAddress, encoder: str, plan: VideoPlan, sound_kbps: int,
        ca_file: Path | None,
    ) -> None:  # fmt: skip
        import av

        self.wants_keyframe = False
        self._container: OutputContainer | None = av.open(
            _url(address), "w", format="fifo", container_options=_options(address, ca_file)
        )
        video: Any = self._container.add_stream(
            ENCODERS[encoder], options=options_of(encoder, plan)
        )
        configure(video.codec_context, encoder, plan)
        sound: Any = self._container.add_stream("aac")
        configure_sound(sound.codec_context, "aac", sound_kbps)
        if _FORMATS[address.kind] == "flv":
            for stream in (video, sound):
                stream.codec_context.flags |= _GLOBAL_HEADER
        self.video: Callable[[Any], list[Packet[Any]]] = video.encode
        self.sound: Callable[[Any], list[Packet[Any]]] = sound.encode
        self._container.start_encoding()

    def send(self, packets: Iterable[Packet[Any]]) -> None:
        """Hand packets over; never waits. Raises ``SinkLostError``."""
        container = self._container
        if container is None:
            raise RuntimeError("FifoSender: send() after close()")
        try:
            for packet in packets:
                container.mux(packet)
        except ffmpeg_failures() as error:
            # The error itself has the address in it, with the key.
            raise SinkLostError(ffmpeg_reason(error)) from None

    def close(self) -> None:
        """End the stream; waits a moment for the last packets, and no longer."""
        container, self._container = self._container, None
        if container is None:
            return

        def end() -> None:
            with suppress(*ffmpeg_failures()):  # it may be lost already
                container.close()

        thread = threading.Thread(target=end, name="stream end", daemon=True)
        thread.start()
        thread.join(_END_S)


def _url(address: StreamAddress) -> str:
    if address.kind == "udp" and "pkt_size=" not in address.url:
        return f"{address.url}{'&' if '?' in address.url else '?'}pkt_size={_UDP_BYTES}"
    return address.url


def _options(address: StreamAddress, ca_file: Path | None) -> dict[str, str]:
    inner = {"rw_timeout": str(round(ANSWER_S * 1e6))}
    if address.kind == "rtmps":
        inner |= {"tls_verify": "1", "ca_file": str(certificate_file(ca_file))}
    if _FORMATS[address.kind] == "flv":
        inner["flvflags"] = "no_duration_filesize"
    return {
        "fifo_format": _FORMATS[address.kind],
        "format_opts": ":".join(f"{name}={_escaped(value)}" for name, value in inner.items()),
        "queue_size": str(_QUEUE_PACKETS),
        "drop_pkts_on_overflow": "1",
        "restart_with_keyframe": "1",
    }


def _escaped(value: str) -> str:
    """Return ``value`` as FFmpeg's option parser reads it back."""
    return "".join(f"\\{c}" if c in "\\':" else c for c in value)
