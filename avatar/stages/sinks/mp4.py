"""H.264 in MP4: a film that plays however its writing ends, and is seekable when it ended well.

While it is written the index (moov) comes first and is empty; every half second of video follows
with its own index (moof), as ISO/IEC 14496-12 section 8.8 describes. A cut loses the last fragment
only. What is finished has one index in front.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self

from avatar.core.errors import SinkError, SinkLostError, SinkUnavailableError, UsageError
from avatar.core.frames import UInt8Image
from avatar.core.stages import SoundTrack
from avatar.stages.sinks.checks import expect_even
from avatar.stages.sinks.conversion import I420Converter
from avatar.stages.sinks.film_sound import (
    SOUND_KBPS,
    CopiedSound,
    EncodedSound,
    FilmSound,
    add_sound,
)
from avatar.stages.sinks.remux import INDEX_SIZE
from avatar.stages.sinks.sound_encoder import SoundEncoder, configure_sound
from avatar.stages.sinks.unfinished import UnfinishedFilm, check_goal

if TYPE_CHECKING:
    from av.container import OutputContainer
    from av.video.codeccontext import VideoCodecContext
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

Preset = Literal["ultrafast", "superfast", "veryfast", "faster", "fast", "medium"]

_MUXER = {
    "movflags": "frag_keyframe+empty_moov+default_base_moof+use_metadata_tags",
    "frag_duration": "500000",  # microseconds
    "flush_packets": "1",
}
_KEYFRAME_SECONDS = 2
# ISO/IEC 23091-2 code points: sRGB pictures, converted with the BT.601 matrix, limited range.
_PRIMARIES_BT709, _TRANSFER_SRGB, _MATRIX_BT601, _RANGE_LIMITED = 1, 13, 6, 1


@dataclass(frozen=True)
class FilmFormat:
    """A kind of film: FFmpeg's names of container, video encoder and pixels.

    ``muxer``: its options while pieces are written that play by themselves; ``finished``: those of
    the whole film.
    """

    suffix: str
    container: str
    encoder: str
    pixels: str
    muxer: Mapping[str, str]
    finished: Mapping[str, str] = field(default_factory=dict)


WITH_INDEX = {"movflags": "use_metadata_tags", INDEX_SIZE: ""}
"""Options of MP4 and MOV with one index, in front."""
MP4 = FilmFormat(".mp4", "mp4", "libx264", "yuv420p", _MUXER, WITH_INDEX)


class Mp4Writer:
    """Writes pictures at a constant rate into one new MP4 file.

    ``size_px`` is (width, height), both even. ``metadata`` becomes the file's tags and must hold
    the ``AIGC`` label, so that no unmarked file is made by mistake. ``overwrite`` replaces an
    existing file once the new one is whole; without it such a file is an error. ``low_latency``
    hands every frame to the disk's fragment at once, as a live recording needs; without it the
    encoder looks ahead. ``say`` is told of unfinished films in the folder, and where a film lies
    that could not be put at ``path``.

    Until it is closed the film is ``talk.part.mp4`` beside ``path``, which plays up to there
    (``UnfinishedFilm``); without a picture there is no file. Raises ``UsageError`` for what cannot
    be asked for, ``SinkUnavailableError`` when the file cannot be made, and ``SinkLostError`` when
    the disk fails later.
    """

    film = MP4

    def __init__(
        self,
        path: Path,
        size_px: tuple[int, int],
        fps: float,
        metadata: Mapping[str, str],
        *,
        preset: Preset = "ultrafast",
        crf: int = 21,
        low_latency: bool = True,
        overwrite: bool = False,
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        if "AIGC" not in metadata:
            raise ValueError(f"Mp4Writer: expected the tag AIGC, found {sorted(metadata)}")
        if fps <= 0:
            raise ValueError(f"Mp4Writer: expected fps > 0, found {fps}")
        self._path = path
        self._size_px = size_px
        self._rate = Fraction(fps).limit_denominator(1001)
        self._metadata = dict(metadata)
        self._options = {"preset": preset, "crf": str(crf)}
        if low_latency:
            self._options["tune"] = "zerolatency"
        else:
            # Frames out of order would start late: a fragmented file has no edit list to say so.
            self._options["bf"] = "0"
        self._overwrite, self._say = overwrite, say
        self._file: UnfinishedFilm | None = None
        self._cut = self._lost = False
        self._sound: FilmSound | None = None
        self._shifts_s: Sequence[Fraction] = ()
        self._audio: CopiedSound | EncodedSound | _LiveSound | None = None
        self._track: SoundTrack | None = None
        self._container: OutputContainer | None = None
        self._video: VideoStream | None = None
        self._converter: I420Converter | None = None
        self._planes: UInt8Image | None = None
        self._count = 0

    @property
    def path(self) -> Path:
        """Return the file that is to be written; once it is closed, the one that was."""
        return self._path

    @property
    def frame_count(self) -> int:
        """Return how many frames the file has so far."""
        return self._count

    def take_sound(self, sound: FilmSound, shifts_s: Sequence[Fraction] = ()) -> None:
        """Add one sound track of another film; call before entering.

        ``shifts_s``: as ``FilmTimes`` has it. The sound starts with the first frame and is cut at
        the end of the last one.
        """
        if self._container is not None:
            raise RuntimeError("Mp4Writer: take_sound() comes before entering")
        self._sound, self._shifts_s = sound, shifts_s

    def record_sound(self, track: SoundTrack) -> None:
        """Add the sound of ``track``; call before entering, and ``begin_sound`` before a frame."""
        if self._container is not None:
            raise RuntimeError("Mp4Writer: record_sound() comes before entering")
        self._track = track

    def begin_sound(self, start_ns: int) -> None:
        """Say what the first frame's time is for the track; without a track nothing happens."""
        if isinstance(self._audio, _LiveSound):
            self._audio.begin(start_ns)

    def __enter__(self) -> Self:
        expect_even(self._size_px, f"The video {self._path}")
        check_name(self._path, self.film.suffix)
        self._file = UnfinishedFilm(self._path, overwrite=self._overwrite)
        self._cut = self._lost = False
        try:
            left = self._file.open()
            self._open(self._file)
        except BaseException as error:
            self._abandon()
            self._file.release(keep=False)
            if isinstance(error, ffmpeg_failures()):
                raise SinkUnavailableError(_trouble(self._path, error)) from error
            raise
        if left:
            self._say(_left_over(left))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
        else:
            with suppress(SinkError):  # the error already on its way says more
                self.close(cut=True)

    def write_rgb(self, image: UInt8Image) -> None:
        """Append one frame, uint8 (H, W, 3) RGB of the writer's size."""
        width, height = self._size_px
        if image.shape != (height, width, 3):
            raise SinkError(
                f"{self._path}: expected a picture of shape {(height, width, 3)}, "
                f"found {image.shape}"
            )
        if self._converter is None:
            raise RuntimeError("Mp4Writer: write_rgb() needs an entered writer")
        self._planes = self._converter.convert(image)
        self._encode(self._planes)

    def repeat_last(self) -> None:
        """Append the last picture once more."""
        if self._planes is None:
            raise RuntimeError("Mp4Writer: repeat_last() needs a picture to repeat")
        self._encode(self._planes)

    def close(self, *, cut: bool = False) -> None:
        """Write what is pending and put the film in its place; a second call does nothing.

        ``cut``: it ends before its time; an older film is kept then, and the new one lies beside
        it. ``path`` says where. Raises ``SinkLostError`` when the end could not be written; the
        film plays up to there.
        """
        self._cut = self._cut or cut
        container, video, file = self._container, self._video, self._file
        self._container = self._converter = self._planes = None
        if container is None or video is None or file is None:
            return
        try:
            if not self._lost:
                self._write_rest(container, video, file)
        except ffmpeg_failures() as error:
            self._cut = self._lost = True
            raise SinkLostError(_lost(self._path, file.kept_at, error)) from error
        finally:
            self._abandon(container)
            trouble = self._finish(file)
        if trouble:
            raise SinkLostError(trouble)

    def _write_rest(
        self, container: OutputContainer, video: VideoStream, file: UnfinishedFilm
    ) -> None:
        for packet in video.encode(None):
            container.mux(packet)
        if self._audio is not None:
            self._audio.finish(container)
        container.close()
        if self._count:
            file.keep()

    def _finish(self, file: UnfinishedFilm) -> str:
        """Put the film in its place; return why that cannot be, empty where it can."""
        named, part = self._path, file.part
        try:
            if part is not None:
                seekable = None if self._lost else self.film.finished
                self._path = file.finish(
                    whole=not self._cut, seekable=seekable, tags=self._metadata
                )
        except OSError as error:
            assert part is not None
            left = f"It is {part}" if part.exists() else f"{part} was moved or deleted meanwhile."
            return f"The video {named} cannot be put in its place: {_reason(error)} {left}"
        finally:
            file.release()
        if self._path != named and not self._lost:
            self._say(f"{named} is another film, which stays: the new one is {self._path}")
        return ""

    def _open(self, file: UnfinishedFilm) -> None:
        import av
        from av.video.stream import VideoStream

        self._container = av.open(
            file,
            "w",
            format=self.film.container,
            container_options=dict(self.film.muxer),
        )
        self._container.metadata.update(self._metadata)
        video = self._container.add_stream(
            self.film.encoder, rate=self._rate, options=self._options
        )
        assert isinstance(video, VideoStream)
        _describe(video, self._size_px, self._rate, self.film.pixels)
        self._video = video
        if self._sound is not None:
            self._audio = add_sound(self._sound, self._container, self.film.muxer, self._shifts_s)
        elif self._track is not None:
            self._audio = _LiveSound(self._track, self._container)
        self._container.start_encoding()
        file.begin()
        self._converter = I420Converter(self._size_px)
        self._count = 0

    def _picture(self, planes: UInt8Image) -> VideoFrame:
        """Return what is handed to the encoder."""
        import av

        return av.VideoFrame.from_ndarray(planes, format="yuv420p")

    def _encode(self, planes: UInt8Image) -> None:
        if self._container is None or self._video is None or self._file is None:
            raise RuntimeError("Mp4Writer: writing needs an entered writer")
        frame = self._picture(planes)
        frame.pts = self._count
        frame.time_base = 1 / self._rate
        tag_colours(frame)
        try:
            for packet in self._video.encode(frame):
                self._container.mux(packet)
            self._count += 1
            if self._audio is not None:
                self._audio.write_until(Fraction(self._count) / self._rate, self._container)
            self._file.keep()
        except ffmpeg_failures() as error:
            self._cut = self._lost = True
            raise SinkLostError(_lost(self._path, self._file.kept_at, error)) from error

    def _abandon(self, container: OutputContainer | None = None) -> None:
        """Close whatever is open; what fails here has been said already."""
        container = container or self._container
        self._container = self._converter = self._planes = self._video = None
        if self._audio is not None:
            self._audio.close()
            self._audio = None
        if container is not None:
            with suppress(*ffmpeg_failures()):
                container.close()


def _describe(video: VideoStream, size_px: tuple[int, int], rate: Fraction, pixels: str) -> None:
    """Set the stream's size, timing and the tags that bring the colours back right."""
    video.width, video.height = size_px
    video.pix_fmt = pixels
    video.time_base = 1 / rate
    context = video.codec_context
    context.time_base = 1 / rate
    context.gop_size = max(1, round(_KEYFRAME_SECONDS * rate))
    tag_colours(context)


def tag_colours(target: VideoFrame | VideoCodecContext) -> None:
    """Say which colours an ``I420Converter`` makes, on a frame or on a context."""
    target.color_range, target.colorspace = _RANGE_LIMITED, _MATRIX_BT601
    target.color_primaries, target.color_trc = _PRIMARIES_BT709, _TRANSFER_SRGB


def check_film(path: Path, *, overwrite: bool, suffix: str = MP4.suffix) -> None:
    """Raise what entering a writer of ``path`` would, as far as can be told before the work."""
    check_name(path, suffix)
    try:
        check_goal(path, overwrite)
    except OSError as error:
        raise SinkUnavailableError(_trouble(path, error)) from error


def check_name(path: Path, suffix: str) -> None:
    """Raise ``UsageError`` for a name that does not end in ``suffix``."""
    if path.suffix.lower() != suffix or not path.name:
        suggestion = path.with_suffix(suffix) if path.name else f"talk{suffix}"
        raise UsageError(
            f"The video file must have a name that ends in {suffix}; found {str(path)!r}. "
            f"Use {str(suggestion)!r}."
        )


# Windows has no quota error.
_EDQUOT = getattr(errno, "EDQUOT", errno.ENOSPC)

_ADVICE = {
    errno.ENOSPC: "the disk is full. Free some space, or write to another disk.",
    _EDQUOT: "your disk quota is used up. Free some space, or write elsewhere.",
    errno.EFBIG: "the file reached the largest size allowed there. Write to another place.",
    errno.EACCES: "you may not write there. Choose a folder of your own.",
    errno.EPERM: "you may not write there. Choose a folder of your own.",
    errno.EROFS: "that file system is read-only. Choose another folder.",
}


def ffmpeg_failures() -> tuple[type[Exception], ...]:
    """Return what FFmpeg raises: of its errors only some are the system's."""
    from av.error import FFmpegError

    return OSError, FFmpegError


def ffmpeg_reason(error: Exception) -> str:
    """Return what an error is about in a few words; the error's own text has the address, too."""
    return getattr(error, "strerror", None) or type(error).__name__


def _reason(error: Exception) -> str:
    advice = _ADVICE.get(getattr(error, "errno", 0))
    return advice or f"{getattr(error, 'strerror', None) or error}."


def _trouble(path: Path, error: Exception) -> str:
    """Say why the file cannot be made and what to do."""
    return f"The video {path} cannot be made: {_reason(error)}"


def _lost(path: Path, kept: Path | None, error: Exception) -> str:
    """Say why the file cannot go on, what to do and what is left."""
    left = f"What was written before still plays: {kept}" if kept else "Nothing of it is kept."
    return f"The video {path} cannot be written any further: {_reason(error)} {left}"


def _left_over(left: list[Path]) -> str:
    names = ", ".join(map(str, left))
    if len(left) == 1:
        return f"{names} was cut off while it was written; it plays. Rename it to keep it"
    return f"{names} were cut off while they were written; they play. Rename them to keep them"


class _LiveSound:
    """The sound of a microphone, handed over as far as it is known."""

    def __init__(self, track: SoundTrack, output: OutputContainer) -> None:
        from av.audio.stream import AudioStream

        stream = output.add_stream("aac")
        assert isinstance(stream, AudioStream)
        configure_sound(stream.codec_context, "aac", SOUND_KBPS)
        self._encoder = SoundEncoder(stream.encode, "aac", track)
        self._start_ns = self._end_ns = 0

    def begin(self, start_ns: int) -> None:
        """Sound captured at ``start_ns`` goes with the first frame."""
        self._start_ns = start_ns
        self._encoder.start(start_ns)

    def write_until(self, end_s: Fraction, output: OutputContainer) -> None:
        """Write what is known of everything before ``end_s`` seconds of video."""
        self._end_ns = self._start_ns + round(end_s * 1_000_000_000)
        output.mux(self._encoder.until(self._end_ns))

    def finish(self, output: OutputContainer) -> None:
        """Write the rest up to the last picture's end: silence where nothing came."""
        output.mux([*self._encoder.until(self._end_ns, is_last=True), *self._encoder.flush()])

    def close(self) -> None:
        """Nothing is held."""
