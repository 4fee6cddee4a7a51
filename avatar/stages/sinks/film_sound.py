"""The sound of one film for another: copied where the new one takes it, else re-encoded."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from avatar.core.errors import UsageError
from avatar.core.frames import Float32
from avatar.core.sound_mixer import SoundMixer
from avatar.stages.sinks.sound_encoder import BLOCK_SAMPLES, RATE_HZ, configure_sound
from avatar.stages.sinks.sound_times import FilmTimes, without_wild_times

if TYPE_CHECKING:
    from av.container import InputContainer, OutputContainer

SOUND_KBPS = 128
# Sound that players know as it is in such a file, and what any other is re-encoded as. AC-3 and
# DTS are for television: browsers do not play them.
_SOUNDS: dict[str, tuple[set[str], Any]] = {
    "mp4": ({"aac", "mp3", "alac", "flac", "opus"}, "aac"),
    "mov": ({"aac", "mp3", "alac"}, "aac"),
    "webm": ({"opus", "vorbis"}, "libopus"),
}
# As many packets are looked at for one that can be decoded, and are put into a film on trial.
_TRIED_PACKETS = 200
# Shorter gaps between pieces of sound are rounding of their times.
_GAP_S = 0.05


@dataclass(frozen=True)
class FilmSound:
    """A sound track of a film.

    ``track``: which of ``tracks`` in the file ``path``, from 1. ``codec``: FFmpeg's name of it,
    empty where nothing can decode it.
    """

    path: Path
    track: int
    tracks: int
    codec: str


def find_sound(path: Path, track: int | None = None) -> FilmSound | None:
    """Return the sound track ``track`` of a film; None: its default one, or the first that works.

    Returns None where the film has none; ``codec`` is empty where no decoder knows any. Raises
    ``UsageError`` when the file cannot be read, or has no such track.
    """
    with _open_input(path) as source:
        count = len(source.streams.audio)
        if track is not None and not 1 <= track <= count:
            raise UsageError(
                f"--audio-track {track}: {path} has {_tracks(count)}. "
                + ("Number them from 1." if count else "Leave --audio-track out.")
            )
        if not count:
            return None
        order = _by_default(source) if track is None else [track - 1]
    for index in order:
        codec = _decodes(path, index)
        if codec:
            return FilmSound(path, index + 1, count, codec)
    if track is not None:
        raise UsageError(
            f"--audio-track {track}: that sound of {path} cannot be decoded. Take another track, "
            "or --audio none."
        )
    return FilmSound(path, order[0] + 1, count, "")


def _tracks(count: int) -> str:
    return "no sound" if not count else f"{count} sound track{'s' if count > 1 else ''}"


def _by_default(source: InputContainer) -> list[int]:
    """Return the numbers of the tracks, those first that the file itself would play."""
    from av.stream import Disposition

    streams = source.streams.audio
    return sorted(
        range(len(streams)),
        key=lambda k: not streams[k].disposition & Disposition.default,
    )


def _decodes(path: Path, index: int) -> str:
    """Return the codec's name when a piece of the track can be decoded, else nothing."""
    from av.error import FFmpegError

    with _open_input(path) as source:
        stream = source.streams.audio[index]
        context: object = stream.codec_context
        if context is None:  # FFmpeg has no decoder for it
            return ""
        with suppress(OSError, FFmpegError):
            for packet in islice(source.demux(stream), _TRIED_PACKETS):
                with suppress(OSError, FFmpegError, ValueError):
                    if packet.decode():
                        # Not the decoder's own name, such as mp3float.
                        return str(stream.codec_context.codec.canonical_name)
    return ""


def _open_input(path: Path) -> InputContainer:
    import av

    try:
        # Titles of old films are in any encoding.
        return av.open(f"file:{path}", "r", metadata_errors="replace")
    except (OSError, av.FFmpegError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(
            f"The sound was to come from {path}, but it cannot be read as a video or sound file: "
            f"{reason}. Check the path."
        ) from error


def _start_s(source: InputContainer) -> Fraction:
    """Return when the film's pictures begin, or its sound where it has no pictures, seconds."""
    from av.stream import Disposition

    for stream in source.streams.video:
        covers = stream.disposition & Disposition.attached_pic
        if not covers and stream.start_time is not None and stream.time_base:
            return stream.start_time * stream.time_base
    return Fraction(source.start_time or 0, 1_000_000)


def add_sound(
    sound: FilmSound,
    output: OutputContainer,
    muxer: Mapping[str, str],
    shifts_s: Sequence[Fraction] = (),
) -> CopiedSound | EncodedSound:
    """Add the track to a film that is not begun: copied where that film takes it as it is.

    ``muxer``: the options of that film's container. ``shifts_s``: as ``FilmTimes`` has it.
    """
    name = output.format.name
    if len(shifts_s) < 2 and sound.codec in _SOUNDS[name][0] and _takes(sound, name, muxer):
        return CopiedSound(sound, output)
    return EncodedSound(sound, output, shifts_s)


def _takes(sound: FilmSound, container: str, muxer: Mapping[str, str]) -> bool:
    """Return whether a film of that kind takes the track's packets: it is tried in memory."""
    import av
    from av.error import FFmpegError

    with _open_input(sound.path) as source:
        stream = source.streams.audio[sound.track - 1]
        if sound.codec == "aac" and not stream.codec_context.extradata:
            return False  # as in a broadcast (ADTS), where every packet says what it is
        if stream.start_time is None or not stream.time_base:
            return False
        if stream.start_time * stream.time_base - _start_s(source) > _GAP_S:
            return False  # a film in fragments would play its first packet at once
        try:
            with av.open(io.BytesIO(), "w", format=container, options=dict(muxer)) as trial:
                target = trial.add_stream_from_template(stream)
                for packet in islice(source.demux(stream), _TRIED_PACKETS):
                    if packet.dts is not None:
                        packet.stream = target
                        trial.mux(packet)
        except (OSError, FFmpegError, ValueError):
            return False
    return True


class CopiedSound:
    """Hands over the packets of another film as far as the pictures have come."""

    def __init__(self, sound: FilmSound, output: OutputContainer) -> None:
        self._source = _open_input(sound.path)
        stream = self._source.streams.audio[sound.track - 1]
        self._start = _start_s(self._source)
        self._target = output.add_stream_from_template(stream)
        self._units = self._read(stream)
        self._pending: Any = None
        self._last_dts: int | None = None

    def _read(self, stream: Any) -> Iterator[Any]:
        """Yield packets in order."""
        from av.error import FFmpegError

        with suppress(OSError, FFmpegError):  # a film that is cut off has sound up to there
            for packet in self._source.demux(stream):
                # Before the start lies what only warms the decoder up (and, in a film whose
                # pictures begin late, sound that belongs to none): it would move all to later.
                if packet.pts is not None and packet.pts * packet.time_base >= self._start:
                    yield packet

    def write_until(self, end_s: Fraction, output: OutputContainer) -> None:
        """Write everything that starts before ``end_s`` seconds of video."""
        while True:
            unit = self._pending if self._pending is not None else next(self._units, None)
            self._pending = unit
            if unit is None or unit.pts * unit.time_base - self._start >= end_s:
                return
            self._pending = None
            self._hand_over(unit, output)

    def _hand_over(self, unit: Any, output: OutputContainer) -> None:
        from av.error import ArgumentError, InvalidDataError

        shift = round(self._start / unit.time_base)
        unit.pts -= shift
        unit.dts = unit.dts - shift if unit.dts is not None else unit.pts
        if self._last_dts is not None and unit.dts <= self._last_dts:
            return  # a copy of what came before: no container takes times that fall back
        self._last_dts = unit.dts
        unit.stream = self._target
        with suppress(ArgumentError, InvalidDataError):  # a damaged packet is silent
            output.mux(unit)

    def finish(self, output: OutputContainer) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        """Close the other file."""
        self._source.close()


class EncodedSound:
    """Decodes the sound of another film, lays it on the pictures' time and encodes it again.

    48 kHz; one channel stays one, all others become two. Where sound is missing there is silence.
    """

    def __init__(
        self, sound: FilmSound, output: OutputContainer, shifts_s: Sequence[Fraction] = ()
    ) -> None:
        from av.audio.stream import AudioStream

        self._source = _open_input(sound.path)
        stream = self._source.streams.audio[sound.track - 1]
        self._start = _start_s(self._source)
        self._times = FilmTimes(shifts_s)
        self._codec = _SOUNDS[output.format.name][1]
        self._channels = 1 if stream.codec_context.layout.nb_channels == 1 else 2
        self._mix = SoundMixer(self._channels)
        target = output.add_stream(self._codec)
        assert isinstance(target, AudioStream)
        configure_sound(target.codec_context, self._codec, SOUND_KBPS, self._channels)
        self._target = target
        self._pieces = without_wild_times(self._read(stream))
        self._waiting = np.zeros((self._channels, 0), np.float32)
        self._known = 0  # samples laid on the film's time, from its first picture
        self._encoded = 0
        self._pending: tuple[Fraction | None, Float32] | None = None

    def _read(self, stream: Any) -> Iterator[tuple[Fraction | None, Float32]]:
        """Yield pieces of sound, float32 (channels, n), and when each is due, seconds."""
        from av.error import FFmpegError

        with suppress(OSError, FFmpegError):  # a film that is cut off has sound up to there
            for packet in self._source.demux(stream):
                try:
                    pieces = [(self._due(frame), self._mix(frame)) for frame in packet.decode()]
                except (OSError, FFmpegError, ValueError):
                    continue  # a damaged packet is silent
                yield from pieces
        yield None, self._mix.rest()

    def _due(self, frame: Any) -> Fraction | None:
        if frame.pts is None or not frame.time_base:
            return None
        return self._times.shown(frame.pts * Fraction(frame.time_base)) - self._start

    def write_until(self, end_s: Fraction, output: OutputContainer) -> None:
        """Write everything that starts before ``end_s`` seconds of video."""
        end = round(end_s * RATE_HZ)
        while self._known < end:
            if self._pending is None:
                self._pending = next(self._pieces, None)
            if self._pending is None:
                break
            self._lay(*self._pending, end)
        self._encode(output, end)

    def _lay(self, due_s: Fraction | None, samples: Float32, end: int) -> None:
        """Put a piece behind what is known: after silence if late, without its beginning if early.

        A piece that is due after ``end`` keeps waiting.
        """
        apart = 0 if due_s is None else round(due_s * RATE_HZ) - self._known
        if apart > _GAP_S * RATE_HZ:
            self._append(np.zeros((self._channels, min(apart, end - self._known)), np.float32))
            if self._known >= end:
                return
        elif apart < -_GAP_S * RATE_HZ or (apart < 0 and self._known == 0):
            samples = samples[:, -apart:]
        self._pending = None
        self._append(samples)

    def _append(self, samples: Float32) -> None:
        self._waiting = np.concatenate([self._waiting, samples], axis=1)
        self._known += samples.shape[1]

    def _encode(self, output: OutputContainer, end: int, *, is_last: bool = False) -> None:
        size = BLOCK_SAMPLES[self._codec]
        while self._encoded < end and (self._waiting.shape[1] >= size or is_last):
            block = self._waiting[:, :size]
            self._waiting = self._waiting[:, size:]
            if not block.shape[1]:
                return
            self._mux(output, np.pad(block, ((0, 0), (0, size - block.shape[1]))))
            self._encoded += size

    def _mux(self, output: OutputContainer, block: Float32) -> None:
        import av

        mono = self._channels == 1
        packed = block if self._codec == "aac" or mono else block.T.reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(packed),
            format=self._target.codec_context.format.name,
            layout="mono" if mono else "stereo",
        )
        frame.sample_rate = RATE_HZ
        frame.pts, frame.time_base = self._encoded, Fraction(1, RATE_HZ)
        self._put(output, self._target.encode(frame))

    def _put(self, output: OutputContainer, packets: Sequence[Any]) -> None:
        # What lies before the start only warms decoders up, and would move the pictures.
        output.mux([packet for packet in packets if packet.pts is None or packet.pts >= 0])

    def finish(self, output: OutputContainer) -> None:
        """Write what is left over, and what the encoder holds back."""
        self._encode(output, self._known, is_last=True)
        self._put(output, self._target.encode(None))

    def close(self) -> None:
        """Close the other file."""
        self._source.close()
