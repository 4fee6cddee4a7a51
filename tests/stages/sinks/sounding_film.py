"""Small films with sound of every kind, made here: a tone begins in the middle of the film."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.stream import Disposition

from avatar.core.frames import UInt8Image

SIZE = (160, 120)
FPS = 30


def make_sounding_film(
    path: Path,
    *codecs: str,
    seconds: float = 2.0,
    rate: int = 48_000,
    layout: str = "mono",
    options: dict[str, str] | None = None,
    hz: Sequence[float] = (440,),
    defaults: Sequence[int] = (),
    image: UInt8Image | None = None,
) -> Path:
    """Write a film with one track of each of ``codecs``, whose tones have the pitches ``hz``.

    ``defaults``: the numbers, from 0, of the tracks that say that they are the default one.
    ``image``: what it shows, uint8 (120, 160, 3); None: grey.
    """
    with av.open(str(path), "w") as out:
        vcodec = {".avi": "mpeg4", ".asf": "mpeg4", ".webm": "libvpx"}.get(path.suffix, "libx264")
        video = out.add_stream(vcodec, rate=Fraction(FPS), options={"bf": "0"})
        video.width, video.height, video.pix_fmt = *SIZE, "yuv420p"
        sounds = []
        for codec in codecs:
            sound = out.add_stream(codec, rate=rate, options=options or {})
            sound.codec_context.layout = layout
            if codec == "wmav2":
                sound.codec_context.bit_rate = 128_000
            sounds.append(sound)
            if defaults:
                sound.disposition = Disposition(int(len(sounds) - 1 in defaults))
        grey = np.full((SIZE[1], SIZE[0], 3), 90, np.uint8)
        picture = av.VideoFrame.from_ndarray(grey if image is None else image, "rgb24")
        packets: list[Any] = []
        for k in range(round(seconds * FPS)):
            picture.pts, picture.time_base = k, Fraction(1, FPS)
            packets += video.encode(picture)
        packets += video.encode(None)
        for k, sound in enumerate(sounds):
            for piece in pieces(sound.codec_context, seconds, rate, layout, hz[k % len(hz)]):
                packets += sound.encode(piece)
            packets += sound.encode(None)
        for packet in sorted(packets, key=lambda p: p.dts * p.time_base):
            out.mux(packet)
    return path


def pieces(
    context: Any, seconds: float, rate: int, layout: str, hz: float
) -> list[av.AudioFrame | None]:
    """Return the tone in every channel, as the encoder of ``context`` wants it."""
    count = av.AudioLayout(layout).nb_channels
    t = np.arange(round(seconds * rate)) / rate
    wave = np.where(t >= seconds / 2, np.sin(t * 2 * np.pi * hz) * 0.5, 0).astype(np.float32)
    whole = av.AudioFrame.from_ndarray(np.repeat(wave, count)[None], "flt", layout)
    whole.sample_rate, whole.pts = rate, 0
    resampler = av.AudioResampler(
        format=context.format, layout=layout, rate=rate, frame_size=context.frame_size or 1024
    )
    return [*resampler.resample(whole), *resampler.resample(None)]


def heard(path: Path) -> tuple[str, float, float, float]:
    """Return a film's sound: codec, where its tone begins and ends in seconds, and its pitch."""
    with av.open(str(path)) as film:
        stream = film.streams.audio[0]
        rate = stream.codec_context.sample_rate
        start: float | None = None
        parts = []
        for frame in film.decode(stream):
            start = float(frame.time or 0) if start is None else start
            parts.append(np.atleast_2d(frame.to_ndarray()))
    count = stream.codec_context.layout.nb_channels
    packed = parts[0].shape[0] != count
    whole = np.concatenate([p.reshape(-1, count)[:, 0] if packed else p[0] for p in parts])
    level = np.abs(np.asarray(whole, np.float64))
    loud = np.flatnonzero(level > level.max() / 2)
    spectrum = np.abs(np.fft.rfft(whole[loud[0] : loud[-1]]))
    pitch = float(np.argmax(spectrum[1:]) + 1) * rate / (loud[-1] - loud[0])
    begin = start or 0.0
    return (
        stream.codec_context.codec.canonical_name,
        begin + loud[0] / rate,
        begin + loud[-1] / rate,
        pitch,
    )
