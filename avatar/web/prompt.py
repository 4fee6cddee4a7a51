"""A page's camera without the frame of delay that aiortc's jitter buffer adds.

aiortc takes a picture as complete when the first packet of the next one comes: a thirtieth of a
second later. The last packet of a picture says that it is the last, by RTP's marker bit (RFC 6184,
5.1; RFC 7741, 4.1 for VP8).
"""

from __future__ import annotations

from typing import Any


class PromptBuffer:
    """Hands a picture on with its last packet, in place of aiortc's ``JitterBuffer`` that it wraps.

    Whatever is not in order is left to the wrapped buffer.
    """

    def __init__(self, buffer: Any) -> None:
        self._buffer = buffer

    def add(self, packet: Any) -> tuple[bool, Any]:
        """Take a packet in; return whether pictures were lost, and a complete picture or None."""
        lost, picture = self._buffer.add(packet)
        if picture is None and packet.marker:
            picture = self._completed_by(packet)
        return lost, picture

    def _completed_by(self, last: Any) -> Any:
        """Return the picture that ends with ``last`` when all of it, and nothing else, is there."""
        from aiortc.jitterbuffer import JitterFrame

        buffer = self._buffer
        count = (last.sequence_number - buffer._origin) % 65_536 + 1
        if count > buffer.capacity:
            return None
        packets = [buffer._packets[(buffer._origin + k) % buffer.capacity] for k in range(count)]
        if any(packet is None or packet.timestamp != last.timestamp for packet in packets):
            return None
        buffer.remove(count)
        return JitterFrame(b"".join(packet._data for packet in packets), last.timestamp)


def make_prompt(receiver: Any) -> None:
    """Give an aiortc receiver that has not started a prompt buffer."""
    name = "_RTCRtpReceiver__jitter_buffer"
    setattr(receiver, name, PromptBuffer(getattr(receiver, name)))
