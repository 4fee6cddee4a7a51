"""Sound for recordings and streams: blocks of a ``SoundTrack``, encoded as far as pictures came."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from avatar.core.frames import Float32
from avatar.core.stages import SoundTrack

if TYPE_CHECKING:
    from av.audio.codeccontext import AudioCodecContext
    from av.packet import Packet

SoundCodec = Literal["aac", "libopus"]
RATE_HZ = 48_000
# Later than any track waits for.
_NEVER_NS = 3_600_000_000_000
BLOCK_SAMPLES = {"aac": 1024, "libopus": 960}
_FORMATS = {"aac": "fltp", "libopus": "flt"}


class SilentTrack:
    """A ``SoundTrack`` without a microphone: services want sound, be it silence."""

    def read(self, start_ns: int, count: int, now_ns: int) -> Float32 | None:
        """Return silence."""
        return np.zeros(count, np.float32)


def configure_sound(
    context: AudioCodecContext, codec: SoundCodec, kbps: int, channels: int = 2
) -> None:
    """Set up a context that is not open yet: 48 kHz, one or two channels, as players take."""
    context.sample_rate = RATE_HZ
    context.layout = "mono" if channels == 1 else "stereo"
    context.format = _FORMATS[codec]
    context.bit_rate = kbps * 1000
    context.time_base = Fraction(1, RATE_HZ)


class SoundEncoder:
    """Encodes one track without gaps, by the time of its capture.

    ``encode``: what takes a frame and gives packets: that of an ``av`` stream or context.
    """

    def __init__(
        self, encode: Callable[[Any], list[Packet[Any]]], codec: SoundCodec, track: SoundTrack
    ) -> None:
        self._encode, self._codec, self._track = encode, codec, track
        self._start_ns = 0
        self._count = 0

    def start(self, start_ns: int) -> None:
        """Begin with what was captured at ``start_ns``; call before the first ``until``."""
        self._start_ns, self._count = start_ns, 0

    def until(self, end_ns: int, *, is_last: bool = False) -> list[Packet[Any]]:
        """Return the packets of all that is known up to ``end_ns``, the newest picture's time.

        What the track still waits for comes with a later call; ``is_last``: there is none.
        """
        now_ns = end_ns + _NEVER_NS if is_last else end_ns
        size = BLOCK_SAMPLES[self._codec]
        packets: list[Packet[Any]] = []
        while (at_ns := self._time_ns(self._count)) + size * 1e9 / RATE_HZ <= end_ns:
            samples = self._track.read(at_ns, size, now_ns)
            if samples is None:
                break
            packets += self._kept(self._encode(self._frame(samples)))
            self._count += size
        return packets

    def flush(self) -> list[Packet[Any]]:
        """Return what the encoder holds back."""
        return self._kept(self._encode(None))

    @staticmethod
    def _kept(packets: list[Packet[Any]]) -> list[Packet[Any]]:
        """Leave out what lies before the start: it only warms decoders up, and moves pictures."""
        return [packet for packet in packets if packet.pts is None or packet.pts >= 0]

    def _time_ns(self, sample: int) -> int:
        return self._start_ns + round(sample * 1e9 / RATE_HZ)

    def _frame(self, samples: Float32) -> Any:
        import av

        both = np.stack([samples, samples])
        packed = both if self._codec == "aac" else both.T.reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(packed), format=_FORMATS[self._codec], layout="stereo"
        )
        frame.sample_rate = RATE_HZ
        frame.pts, frame.time_base = self._count, Fraction(1, RATE_HZ)
        return frame
