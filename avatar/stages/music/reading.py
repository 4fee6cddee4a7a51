"""Music from a file: whatever FFmpeg decodes, as a film's sound and as what beats are found in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from avatar.core.errors import UsageError
from avatar.core.frames import Float32
from avatar.core.messages import Message
from avatar.core.sound_mixer import MIXED_HZ, SoundMixer

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer

ANALYSED_HZ = 22_050
"""The rate of what beats are found in."""

LONGEST_S = 600.0
"""As much music is read at a time: 276 MB."""

# Quieter than -60 dB of full scale throughout is silence.
_SILENT = 10 ** (-60 / 20)
# What an MP3 needs before the place that is asked for, to be decoded right from there.
_WARM_UP_S = 1.0
_TRIED_PACKETS = 200
# FFmpeg's readers of single pictures and of text; an .m3u8 is a list of addresses.
_NOT_MUSIC = ("image2", "tty", "_pipe")


@dataclass(frozen=True, eq=False)
class Music:
    """A part of a piece of music.

    ``samples``: float32 (n,), mono in [-1, 1] at ``rate_hz``, to find beats in. ``sound``: float32
    (m, 2), left and right in [-1, 1] at ``sound_hz``, for a film. Both begin at ``from_s`` of the
    file.
    """

    samples: Float32
    rate_hz: int
    sound: Float32
    sound_hz: int
    from_s: float = 0.0

    @property
    def seconds(self) -> float:
        """How long this part is."""
        return len(self.sound) / self.sound_hz


def read_music(
    path: Path, *, from_s: float = 0.0, to_s: float | None = None, longest_s: float = LONGEST_S
) -> Music:
    """Read the music of a file, or the sound of a film, from ``from_s`` to ``to_s`` seconds.

    Of several tracks the one that the file itself would play, or the first that can be decoded.
    Raises ``UsageError``: no such file, no music, silence, more than ``longest_s`` seconds.
    """
    _check_part(path, from_s, to_s, longest_s)
    _check_there(path)
    with _opened(path) as source:
        stream = _track(source, path)
        _check_length(source, path, from_s, to_s, longest_s)
        pieces = _part(_decoded(source, stream, from_s), from_s, to_s)
        sound = _joined(pieces, path, longest_s)
    if not len(sound):
        raise UsageError(
            Message(
                "error.musicEnded",
                "expected music in {file} from {at} on, found its end before. Begin earlier{how}",
                file=str(path), at=_clock(from_s), how=" with --from",
            )
        )  # fmt: skip
    return from_sound(_checked(sound, path), from_s)


def from_sound(sound: Float32, from_s: float = 0.0) -> Music:
    """Return music of its sound, float32 (m, 2) at 48 kHz."""
    import av

    resampler = av.AudioResampler(format="flt", layout="mono", rate=ANALYSED_HZ)
    parts = []
    for first in range(0, len(sound), MIXED_HZ):
        block = np.ascontiguousarray(sound[first : first + MIXED_HZ].mean(1)[None])
        frame = av.AudioFrame.from_ndarray(block, format="flt", layout="mono")
        frame.sample_rate = MIXED_HZ
        frame.pts, frame.time_base = first, Fraction(1, MIXED_HZ)
        parts += resampler.resample(frame)
    parts += resampler.resample(None)
    samples = np.concatenate([part.to_ndarray().reshape(-1) for part in parts])
    return Music(np.clip(samples, -1, 1), ANALYSED_HZ, sound, MIXED_HZ, from_s)


def _check_part(path: Path, from_s: float, to_s: float | None, longest_s: float) -> None:
    if not 0 <= from_s < float("inf"):
        raise UsageError(f"--from: expected seconds from 0 on, found {from_s:g}")
    if to_s is None:
        return
    if not to_s > from_s:
        raise UsageError(f"--to: expected more than --from ({from_s:g} s), found {to_s:g} s")
    if to_s - from_s > longest_s:
        raise _too_long(path, to_s - from_s, longest_s)


def _check_there(path: Path) -> None:
    try:
        if path.is_file():
            return
        found = (
            "a folder"
            if path.is_dir()
            else "a pipe"
            if path.is_fifo()
            else "a device"
            if path.exists()
            else "nothing"
        )
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"{path} may not be looked at: {reason}. Check the path") from error
    raise UsageError(
        f"expected music at {path}, found {found} there. Give a file with sound: MP3, M4A, WAV, "
        "FLAC, OGG, or a film"
    )


def _opened(path: Path) -> InputContainer:
    import av

    try:
        # Files alone: a list of addresses in a file must not make this program fetch them.
        allowed = {"protocol_whitelist": "file"}
        source = av.open(f"file:{path}", "r", metadata_errors="replace", options=allowed)
    except (OSError, av.FFmpegError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(
            Message(
                "error.musicUnreadable",
                "expected music in {file}, found a file that cannot be read as sound ({reason}). "
                "Convert it to MP3 or WAV, or choose another file",
                file=str(path), reason=str(reason),
            )
        ) from error  # fmt: skip
    if any(kind in source.format.name for kind in _NOT_MUSIC):
        source.close()
        raise UsageError(
            Message(
                "error.musicPicture",
                "expected music in {file}, found a picture or text. Choose a sound file",
                file=str(path),
            )
        )
    return source


def _track(source: InputContainer, path: Path) -> AudioStream:
    """Return the sound that the file would play, or the first that can be decoded."""
    from av.stream import Disposition

    streams = list(source.streams.audio)
    if not streams:
        raise UsageError(
            Message(
                "error.musicNone",
                "expected music in {file}, found no sound in it. Choose another file",
                file=str(path),
            )
        )
    for stream in sorted(streams, key=lambda each: not each.disposition & Disposition.default):
        if _decodes(path, stream.index):
            return stream
    raise UsageError(
        Message(
            "error.musicCodec",
            "expected music in {file}, found sound that cannot be decoded here. Convert it to MP3 "
            "or WAV",
            file=str(path),
        )
    )


def _decodes(path: Path, index: int) -> bool:
    from av.error import FFmpegError

    with _opened(path) as trial:
        stream = trial.streams[index]
        context: object = stream.codec_context
        if context is None:  # FFmpeg has no decoder for it
            return False
        with suppress(OSError, FFmpegError):
            for packet in islice(trial.demux(stream), _TRIED_PACKETS):
                with suppress(OSError, FFmpegError, ValueError):
                    if packet.decode():
                        return True
    return False


def _check_length(
    source: InputContainer, path: Path, from_s: float, to_s: float | None, longest_s: float
) -> None:
    """Refuse what says that it is too long before it is decoded."""
    length = (source.duration or 0) / 1e6
    if to_s is None and length - from_s > longest_s + 1:
        raise _too_long(path, length - from_s, longest_s)


def _too_long(path: Path, asked_s: float, longest_s: float) -> UsageError:
    return UsageError(
        Message(
            "error.musicTooLong",
            "{file}: expected at most {most} of music, found {found}. Choose a part of it{how}",
            file=str(path), most=_clock(longest_s), found=_clock(asked_s),
            how=" with --from and --to",
        )
    )  # fmt: skip


def _clock(seconds: float) -> str:
    """Return seconds as 4:05, or 3:59:59."""
    minutes, rest = divmod(round(min(seconds, 1e9)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _decoded(
    source: InputContainer, stream: AudioStream, from_s: float
) -> Iterator[tuple[float | None, Float32]]:
    """Yield pieces of sound, float32 (2, n) at 48 kHz, and where the first begins, seconds."""
    from av.error import FFmpegError

    begins = stream.start_time * stream.time_base if stream.start_time and stream.time_base else 0
    if from_s > 10 * _WARM_UP_S:
        with suppress(OSError, FFmpegError):  # what cannot be sought in is read from its beginning
            source.seek(round((from_s - _WARM_UP_S + float(begins)) * 1_000_000))
    mix, first = SoundMixer(2), True
    with suppress(OSError, FFmpegError):  # what is cut off is music up to there
        for packet in source.demux(stream):
            try:
                frames = packet.decode()
            except (OSError, FFmpegError, ValueError):
                continue  # a damaged packet
            for frame in frames:
                at_s = _time_s(frame, begins) if first else None
                first = False
                yield at_s, mix(frame)
    yield None, mix.rest()


def _time_s(frame: Any, begins: Fraction | int) -> float:
    if frame.pts is None or not frame.time_base:
        return 0.0
    return float(frame.pts * Fraction(frame.time_base) - begins)


def _part(
    pieces: Iterator[tuple[float | None, Float32]], from_s: float, to_s: float | None
) -> Iterator[Float32]:
    """Yield what lies between two times. Pieces follow each other, whatever their times say."""
    first, last = round(from_s * MIXED_HZ), None if to_s is None else round(to_s * MIXED_HZ)
    at = 0
    for begins_s, piece in pieces:
        if begins_s is not None:
            at = max(0, round(begins_s * MIXED_HZ))
        inside = piece[:, max(0, first - at) : None if last is None else max(0, last - at)]
        at += piece.shape[1]
        if inside.shape[1]:
            yield inside
        if last is not None and at >= last:
            return


def _joined(pieces: Iterator[Float32], path: Path, longest_s: float) -> Float32:
    """Return pieces as float32 (m, 2); refuses more than ``longest_s`` while it reads."""
    kept: list[Float32] = []
    count = 0
    for piece in pieces:
        kept.append(piece)
        count += piece.shape[1]
        if count > (longest_s + 1) * MIXED_HZ:
            raise _too_long(path, count / MIXED_HZ, longest_s)
    return _emptied(kept, count)


def _emptied(kept: list[Float32], count: int) -> Float32:
    """Join pieces and let go of each, so that all of them are never held twice."""
    sound, at = np.empty((count, 2), np.float32), 0
    for number, piece in enumerate(kept):
        sound[at : at + piece.shape[1]] = piece.T
        at += piece.shape[1]
        kept[number] = piece[:, :0]
    return sound


def _checked(sound: Float32, path: Path) -> Float32:
    """Return sound that is within [-1, 1]; what is louder becomes quieter as a whole."""
    np.nan_to_num(sound, copy=False, nan=0, posinf=0, neginf=0)
    peak = max(float(sound.max()), -float(sound.min()))
    if peak < _SILENT:
        raise UsageError(
            Message(
                "error.musicSilent",
                "expected music in {file}, found silence. Choose another file or part",
                file=str(path),
            )
        )
    if peak > 1:
        sound /= peak
    return sound
