"""From one sample rate to another, by FFmpeg's resampler (PyAV)."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from avatar.core.frames import Float32


class Resampler:
    """Mono samples at ``source_hz`` in, at ``target_hz`` out; keeps a stream's state.

    Equal rates pass the samples through as they are.
    """

    def __init__(self, source_hz: int, target_hz: int) -> None:
        self._source_hz = source_hz
        self._count = 0
        self._resampler = None
        if source_hz != target_hz:
            import av

            self._resampler = av.AudioResampler(format="flt", layout="mono", rate=target_hz)

    def __call__(self, samples: Float32) -> Float32:
        """Return what ``samples``, float32 (N,), become; a few may come with the next call."""
        if self._resampler is None:
            return samples
        import av

        block = np.ascontiguousarray(samples, np.float32)[None]
        frame = av.AudioFrame.from_ndarray(block, format="flt", layout="mono")
        frame.sample_rate = self._source_hz
        frame.pts, frame.time_base = self._count, Fraction(1, self._source_hz)
        self._count += len(samples)
        parts = [out.to_ndarray().reshape(-1) for out in self._resampler.resample(frame)]
        return np.concatenate(parts) if parts else np.zeros(0, np.float32)
