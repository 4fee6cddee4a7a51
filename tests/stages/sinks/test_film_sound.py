from __future__ import annotations

import shutil
import subprocess
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from avatar.core.errors import UsageError
from avatar.core.frames import Float32
from avatar.core.sound_mixer import from_ambisonics, from_unknown
from avatar.stages.label import file_metadata
from avatar.stages.sinks.film_sound import FilmSound, find_sound
from avatar.stages.sinks.mp4 import Mp4Writer
from avatar.stages.sinks.sound_times import FilmTimes, without_wild_times
from avatar.stages.sources.timing import film_timing
from tests.stages.sinks.sounding_film import FPS, SIZE, heard, make_sounding_film
from tests.stages.sources.odd_films import retimed

TAGS = file_metadata("test", "id-1")


def carried(source: Path, out: Path, track: int | None = None, seconds: float = 2.0) -> Path:
    """Write a film of ``seconds`` with the sound of ``source``."""
    sound = find_sound(source, track)
    assert sound is not None
    writer = Mp4Writer(out, SIZE, FPS, TAGS, preset="veryfast", low_latency=False)
    writer.take_sound(sound)
    with writer:
        for k in range(round(seconds * FPS)):
            writer.write_rgb(np.full((SIZE[1], SIZE[0], 3), k, np.uint8))
    return out


def channel(path: Path) -> Float32:
    """Return the first channel of an AAC film's sound."""
    with av.open(str(path)) as made:
        return np.concatenate([frame.to_ndarray()[0] for frame in made.decode(audio=0)])


@pytest.mark.parametrize(
    ("name", "codec", "rate", "layout"),
    [
        ("a.mp4", "aac", 48000, "stereo"),
        ("a.mp4", "aac", 44100, "mono"),
        ("a.ts", "aac", 48000, "stereo"),
        ("a.ts", "mp2", 48000, "stereo"),
        ("a.ts", "ac3", 48000, "5.1"),
        ("a.mkv", "ac3", 48000, "stereo"),
        ("a.mkv", "eac3", 48000, "5.1"),
        ("a.mkv", "alac", 44100, "5.1"),
        ("a.mkv", "mp3", 44100, "stereo"),
        ("a.mkv", "mp3", 11025, "mono"),
        ("a.mkv", "flac", 96000, "7.1"),
        ("a.mkv", "vorbis", 48000, "stereo"),
        ("a.webm", "libopus", 48000, "stereo"),
        ("a.mov", "pcm_s16le", 8000, "mono"),
        ("a.mov", "pcm_s16le", 192000, "stereo"),
        ("a.mov", "pcm_s24le", 48000, "4 channels"),
        ("a.avi", "pcm_s16le", 11024, "mono"),
        ("a.avi", "mp3", 22050, "mono"),
        ("a.avi", "pcm_u8", 8000, "mono"),
        ("a.mov", "pcm_s16le", 48000, "ambisonic 1"),
        ("a.mkv", "pcm_s16le", 48000, "6 channels"),
        ("a.mkv", "pcm_s16le", 48000, "24 channels"),
        ("a.asf", "wmav2", 44100, "stereo"),
    ],
)
def test_any_sound_that_can_be_decoded_comes_along_in_time(
    tmp_path: Path, name: str, codec: str, rate: int, layout: str
) -> None:
    options = {"strict": "-2"} if codec == "vorbis" else {}
    film = make_sounding_film(tmp_path / name, codec, rate=rate, layout=layout, options=options)
    kept, begins, ends, pitch = heard(carried(film, tmp_path / "out.mp4"))
    assert kept in ("aac", "mp3", "flac", "alac", "opus")
    assert abs(begins - 1.0) < 0.07
    assert abs(ends - 2.0) < 0.07
    assert abs(pitch - 440) < 6


@pytest.mark.parametrize(
    ("name", "codec", "layout"),
    [("a.mkv", "dca", "5.1(side)"), ("a.ts", "dca", "stereo"), ("a.mkv", "truehd", "stereo")],
)
@pytest.mark.skipif(not shutil.which("ffmpeg"), reason="PyAV writes no DTS: needs apt's ffmpeg")
def test_sound_of_discs_comes_along_in_time(
    tmp_path: Path, name: str, codec: str, layout: str
) -> None:
    plain = make_sounding_film(tmp_path / "plain.mkv", "flac", layout=layout)
    film = tmp_path / name
    subprocess.run(
        ["ffmpeg", "-v", "error", "-i", plain, "-c:v", "copy", "-c:a", codec, "-strict", "-2",
         film],
        check=True,
    )  # fmt: skip
    kept, begins, ends, pitch = heard(carried(film, tmp_path / "out.mp4"))
    assert kept == "aac"
    assert abs(begins - 1.0) < 0.07
    assert abs(ends - 2.0) < 0.07
    assert abs(pitch - 440) < 6


def test_aac_and_opus_are_copied_where_the_film_takes_them(tmp_path: Path) -> None:
    film = make_sounding_film(tmp_path / "a.mp4", "aac")
    carried(film, tmp_path / "out.mp4")
    with av.open(str(film)) as before, av.open(str(tmp_path / "out.mp4")) as after:
        first = [bytes(p) for p in before.demux(audio=0)][5:20]
        second = [bytes(p) for p in after.demux(audio=0)]
    assert all(packet in second for packet in first)


def test_the_default_track_is_taken_and_another_on_request(tmp_path: Path) -> None:
    film = make_sounding_film(tmp_path / "a.mkv", "aac", "ac3", hz=(440, 880))
    assert find_sound(film) == FilmSound(film, 1, 2, "aac")
    assert abs(heard(carried(film, tmp_path / "first.mp4"))[3] - 440) < 6
    assert abs(heard(carried(film, tmp_path / "second.mp4", track=2))[3] - 880) < 6
    for wrong in (0, 3):
        with pytest.raises(UsageError, match="has 2 sound tracks"):
            find_sound(film, wrong)


def test_the_track_that_the_film_calls_its_default_comes_first(tmp_path: Path) -> None:
    film = make_sounding_film(tmp_path / "a.mkv", "aac", "ac3", defaults=(1,))
    assert find_sound(film) == FilmSound(film, 2, 2, "ac3")


def test_sound_that_nothing_decodes_gives_way_to_sound_that_something_does(tmp_path: Path) -> None:
    film = make_sounding_film(tmp_path / "a.mkv", "ac3", "aac", hz=(440, 880))
    film.write_bytes(film.read_bytes().replace(b"A_AC3", b"A_XC3"))
    found = find_sound(film)
    assert found == FilmSound(film, 2, 2, "aac")
    with pytest.raises(UsageError, match="--audio-track 1: that sound"):
        find_sound(film, 1)


def test_no_sound_and_no_sound_that_is_known_are_told_apart(tmp_path: Path) -> None:
    silent = make_sounding_film(tmp_path / "silent.mkv")
    assert find_sound(silent) is None
    with pytest.raises(UsageError, match="has no sound"):
        find_sound(silent, 1)
    unknown = make_sounding_film(tmp_path / "unknown.mkv", "ac3")
    unknown.write_bytes(unknown.read_bytes().replace(b"A_AC3", b"A_XC3"))
    assert find_sound(unknown) == FilmSound(unknown, 1, 1, "")


def test_damaged_sound_is_silent_where_it_is_damaged(tmp_path: Path) -> None:
    film = make_sounding_film(tmp_path / "a.ts", "ac3", seconds=3)
    data = bytearray(film.read_bytes())
    rng = np.random.default_rng(3)
    for at in rng.integers(len(data) // 3, len(data) // 2, 400):
        data[at] ^= 0xFF
    film.write_bytes(bytes(data))
    levels = channel(carried(film, tmp_path / "out.mp4", seconds=3))
    assert abs(len(levels) / 48000 - 3) < 0.07
    assert np.abs(levels[round(2.5 * 48000) : round(2.9 * 48000)]).max() > 0.3


def test_sound_that_begins_late_does_not_begin_early(tmp_path: Path) -> None:
    """Pictures from 0 s, sound from 1 s: the second before is silent, encoded or copied."""
    for codec, name in (("ac3", "a.mkv"), ("aac", "a.mp4")):
        film = make_sounding_film(tmp_path / name, codec)
        late = tmp_path / f"late-{name}"
        with av.open(str(film)) as source, av.open(str(late), "w") as out:
            targets = {s.index: out.add_stream_from_template(s) for s in source.streams}
            for packet in source.demux():
                sound = packet.stream.type == "audio"
                if packet.dts is None or (sound and packet.pts * packet.time_base < 1.5):
                    continue
                packet.stream = targets[packet.stream.index]
                out.mux(packet)
        _, begins, ends, _ = heard(carried(late, tmp_path / f"out-{codec}.mp4"))
        assert abs(begins - 1.5) < 0.07
        assert abs(ends - 2.0) < 0.07


def test_a_second_part_follows_the_first(tmp_path: Path) -> None:
    """`cat a.ts a.ts`: the times fall back, and the second half has its sound, too."""
    film = make_sounding_film(tmp_path / "a.ts", "mp2")
    film.write_bytes(film.read_bytes() * 2)
    sound = find_sound(film)
    assert sound is not None
    writer = Mp4Writer(tmp_path / "out.mp4", SIZE, FPS, TAGS)
    writer.take_sound(sound, (Fraction(0), Fraction(2)))
    with writer:
        for k in range(4 * FPS):
            writer.write_rgb(np.full((SIZE[1], SIZE[0], 3), k, np.uint8))
    levels = np.abs(channel(tmp_path / "out.mp4"))
    quiet, loud, quiet_again, loud_again = (
        float(levels[int(at * 48000) : int((at + 0.8) * 48000)].max())
        for at in (0.1, 1.1, 2.1, 3.1)
    )
    assert max(quiet, quiet_again) < 0.1 < 0.3 < min(loud, loud_again)


def test_times_of_a_film_in_parts() -> None:
    times = FilmTimes((Fraction(0), Fraction(4), Fraction(-90)))
    given = [0, 1, 2, 3, 0, 1, 100, 101]
    assert [times.shown(Fraction(t)) for t in given] == [0, 1, 2, 3, 4, 5, 10, 11]
    # Where the pictures have one part, a gap in the sound is a gap.
    assert [FilmTimes(()).shown(Fraction(t)) for t in (0, 60)] == [0, 60]


def test_a_wild_time_keeps_no_sound_waiting() -> None:
    sound = np.zeros((1, 4), np.float32)
    given = [(Fraction(0), sound), (Fraction(9000), sound), (Fraction(2), sound), (None, sound)]
    assert [due for due, _ in without_wild_times(given)] == [0, None, 2, None]


def test_ambisonics_have_a_left_and_a_right() -> None:
    t = np.linspace(0, 1, 100, dtype=np.float32)
    zero = np.zeros_like(t)
    left, right = (
        from_ambisonics(np.stack([t, t, zero, zero])),
        from_ambisonics(np.stack([t, -t, zero, zero])),
    )
    np.testing.assert_allclose(left, [t, zero])
    np.testing.assert_allclose(right, [zero, t])
    np.testing.assert_allclose(from_unknown(np.stack([t, zero])), [t, zero])
    np.testing.assert_allclose(from_unknown(np.stack([t, t, t])), [t, t])


def onsets(path: Path) -> list[float]:
    """Return when the tone begins, each time, in seconds."""
    levels = np.abs(channel(path))
    blocks = levels[: len(levels) // 480 * 480].reshape(-1, 480).max(axis=1) > 0.2
    return [(k + 1) / 100 for k in np.flatnonzero(~blocks[:-1] & blocks[1:])]


def after_parts(film: Path, out: Path, seconds: float) -> Path:
    """Write a film of ``seconds`` with the sound of ``film``, moved as its pictures are."""
    sound = find_sound(film)
    assert sound is not None
    writer = Mp4Writer(out, SIZE, FPS, TAGS, low_latency=False)
    writer.take_sound(sound, film_timing(film).shifts_s)
    with writer:
        for k in range(round(seconds * FPS)):
            writer.write_rgb(np.full((SIZE[1], SIZE[0], 3), k, np.uint8))
    return out


@pytest.mark.parametrize("codec", ["mp2", "aac", "ac3"])
def test_sound_of_joined_broadcasts_stays_with_their_pictures(tmp_path: Path, codec: str) -> None:
    film = make_sounding_film(tmp_path / "a.ts", codec)
    film.write_bytes(film.read_bytes() * 3)
    out = after_parts(film, tmp_path / "out.mp4", 6)
    assert onsets(out) == pytest.approx([1.0, 3.0, 5.0], abs=0.08)


@pytest.mark.parametrize("jump_s", [3600.0, 30.0])
@pytest.mark.parametrize("codec", ["ac3", "aac"])
def test_sound_jumps_with_its_pictures(tmp_path: Path, jump_s: float, codec: str) -> None:
    """A camera whose clock is set after 0.6 s: the tone still begins at 1 s."""
    whole = make_sounding_film(tmp_path / "a.mkv", codec)
    film = retimed(whole, tmp_path / "jump.ts", lambda _, t: (jump_s if t > 0.6 else 0) + 5)
    out = after_parts(film, tmp_path / "out.mp4", 2)
    assert onsets(out) == pytest.approx([1.0], abs=0.08)
