"""Sound of any rate, format and layout as float32 at 48 kHz, in one channel or two."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from avatar.core.frames import Float32

MIXED_HZ = 48_000


class SoundMixer:
    """Turns decoded frames into float32 (``channels``, n) at 48 kHz; ``channels`` is 1 or 2.

    A film may change the rate, the layout or the format of its sound on the way.
    """

    def __init__(self, channels: int) -> None:
        self._channels = channels
        self._kind: tuple[Any, ...] = ()
        self._resampler: Any = None
        self._layout = ""

    def __call__(self, frame: Any) -> Float32:
        """Return what is known of the sound with one more frame of PyAV's."""
        kind = frame.format.name, frame.layout.name, frame.sample_rate
        left: list[Float32] = []
        if kind != self._kind:
            left.append(self.rest())
            self._begin(frame.layout.name)
            self._kind = kind
        frame.pts = None  # gaps are filled elsewhere, by the pictures' time
        return self._joined([*left, *self._mixed(self._resampler.resample(frame))])

    def rest(self) -> Float32:
        """Return what is held back, and begin with nothing."""
        resampler, self._resampler, self._kind = self._resampler, None, ()
        return self._joined([] if resampler is None else self._mixed(resampler.resample(None)))

    def _begin(self, layout: str) -> None:
        import av

        # FFmpeg mixes speakers; it has no mixing for ambisonics and for channels without names.
        own = layout.startswith("ambisonic") or re.fullmatch(r"\d+ channels.*", layout)
        self._layout = layout if own else ""
        usual = "mono" if self._channels == 1 else "stereo"
        # Packed: PyAV gives planes of up to eight channels only.
        self._resampler = av.AudioResampler(format="flt", layout=layout if own else usual,
                                            rate=MIXED_HZ)  # fmt: skip

    def _joined(self, pieces: Sequence[Float32]) -> Float32:
        return np.concatenate([np.zeros((self._channels, 0), np.float32), *pieces], axis=1)

    def _mixed(self, frames: Sequence[Any]) -> list[Float32]:
        return [self._mixed_one(frame) for frame in frames]

    def _mixed_one(self, frame: Any) -> Float32:
        count = frame.layout.nb_channels
        samples = np.asarray(frame.to_ndarray(), np.float32).reshape(-1, count).T
        if not self._layout:
            return samples
        both = from_ambisonics(samples) if self._layout.startswith("amb") else from_unknown(samples)
        return both if self._channels == 2 else both[:1]


def from_ambisonics(samples: Float32) -> Float32:
    """Return (2, n) of ambisonics (channels, n) in AmbiX's order: W, Y (left), Z, X.

    Two cardioid microphones that look to the left and to the right: half of the sound from
    everywhere and half of that from the side (Nachbar et al., AmbiX, Ambisonics Symposium 2011;
    SN3D). One channel is sound from everywhere alone.
    """
    everywhere = samples[0]
    side = samples[1] if len(samples) > 1 else np.zeros_like(everywhere)
    return np.stack([everywhere + side, everywhere - side]) * np.float32(0.5)


def from_unknown(samples: Float32) -> Float32:
    """Return (2, n) of channels (channels, n) of which only the number is known.

    One and two are mono and stereo. Of more nobody knows which speaker they are for: all sound
    from the middle, as loud together as they were on average.
    """
    if len(samples) == 2:
        return samples
    middle = samples.mean(0)
    return np.stack([middle, middle])
