from __future__ import annotations

import os
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from avatar.core.errors import UsageError
from avatar.core.frames import Float32
from avatar.stages.music.reading import from_sound, read_music

SECONDS = 3.0


def tone(seconds: float = SECONDS, rate_hz: int = 48_000) -> Float32:
    """A rising tone on the left, a click each second on the right."""
    t = np.arange(round(seconds * rate_hz)) / rate_hz
    right = np.zeros(len(t))
    for second in range(int(seconds)):
        right[second * rate_hz : second * rate_hz + 48] = 0.8
    return np.stack([0.5 * np.sin(2 * np.pi * 440 * t), right], 1).astype(np.float32)


def write_sound(path: Path, sound: Float32, codec: str, rate_hz: int = 48_000) -> Path:
    with av.open(str(path), "w") as file:
        stream = file.add_stream(codec, rate=rate_hz, layout="stereo")
        resampler = av.AudioResampler(stream.format.name, "stereo", rate_hz)
        for first in range(0, len(sound), 1024):
            block = np.ascontiguousarray(sound[first : first + 1024].reshape(1, -1))
            frame = av.AudioFrame.from_ndarray(block, format="flt", layout="stereo")
            frame.sample_rate, frame.pts = rate_hz, first
            frame.time_base = Fraction(1, rate_hz)
            for part in resampler.resample(frame):
                file.mux(stream.encode(part))
        file.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(
    ("suffix", "codec", "off"),
    [(".wav", "pcm_s16le", 1e-4), (".wav", "pcm_f32le", 1e-6), (".flac", "flac", 1e-4),
     (".mp3", "libmp3lame", 0.1), (".m4a", "aac", 0.1), (".ogg", "libopus", 0.1),
     (".opus", "libopus", 0.1)],
)  # fmt: skip
def test_music_is_read_as_it_was(tmp_path: Path, suffix: str, codec: str, off: float) -> None:
    sound = tone()
    music = read_music(write_sound(tmp_path / f"a{suffix}", sound, codec))
    assert music.sound.dtype == music.samples.dtype == np.float32
    assert (music.sound_hz, music.rate_hz, music.from_s) == (48_000, 22_050, 0.0)
    assert music.seconds == pytest.approx(SECONDS, abs=0.06)
    count = min(len(sound), len(music.sound)) - 4_000
    middle = slice(6_000, count)
    assert np.abs(music.sound[middle, 0] - sound[middle, 0]).mean() < off
    assert len(music.samples) == pytest.approx(music.seconds * 22_050, abs=2)
    clicks = np.flatnonzero(music.sound[:, 1] > 0.4)
    assert clicks[clicks > 40_000][0] == pytest.approx(48_000, abs=30)


def test_the_part_that_is_asked_for_is_read_alone(tmp_path: Path) -> None:
    sound = tone(40)
    path = write_sound(tmp_path / "a.flac", sound, "flac")
    music = read_music(path, from_s=31.5, to_s=34.25)
    assert music.from_s == 31.5
    expected = sound[round(31.5 * 48_000) : round(34.25 * 48_000)]
    np.testing.assert_allclose(music.sound, expected, atol=1e-4)


def test_a_part_of_an_mp3_begins_where_it_is_asked_for(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "a.mp3", tone(30), "libmp3lame")
    whole = read_music(path)
    part = read_music(path, from_s=20.0, to_s=24.0)
    middle = slice(2_000, 180_000)
    expected = whole.sound[20 * 48_000 :][middle]
    np.testing.assert_allclose(part.sound[middle], expected, atol=0.01)


def test_another_rate_becomes_that_of_films(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "a.wav", tone(2, 44_100), "pcm_s16le", 44_100)
    assert read_music(path).seconds == pytest.approx(2, abs=0.001)


def test_what_is_louder_than_full_scale_becomes_quieter(tmp_path: Path) -> None:
    music = read_music(write_sound(tmp_path / "a.wav", 3 * tone(), "pcm_f32le"))
    assert np.abs(music.sound).max() == pytest.approx(1)
    assert np.abs(music.samples).max() <= 1


def test_damaged_values_are_silent(tmp_path: Path) -> None:
    sound = tone()
    sound[100], sound[200] = np.nan, np.inf
    music = read_music(write_sound(tmp_path / "a.wav", sound, "pcm_f32le"))
    assert np.isfinite(music.sound).all() and np.isfinite(music.samples).all()


def test_what_is_cut_off_is_music_up_to_there(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "a.mp3", tone(10), "libmp3lame")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert 3 < read_music(path).seconds < 6


def test_the_tone_of_both_rates_is_the_same() -> None:
    music = from_sound(tone())
    spectrum = np.abs(np.fft.rfft(music.samples * np.hanning(len(music.samples))))
    assert spectrum.argmax() * music.rate_hz / len(music.samples) == pytest.approx(440, abs=1)


@pytest.mark.parametrize(
    ("from_s", "to_s", "said"),
    [(-1.0, None, "--from: expected seconds from 0"), (2.0, 1.0, "--to: expected more than"),
     (float("nan"), None, "--from"), (0.0, float("nan"), "--to"),
     (100.0, None, "from 1:40 on, found its end before"),
     (0.0, 1e4, "at most 10:00 of music, found 2:46:40")],
)  # fmt: skip
def test_an_impossible_part_is_refused(
    tmp_path: Path, from_s: float, to_s: float | None, said: str
) -> None:
    path = write_sound(tmp_path / "a.wav", tone(), "pcm_s16le")
    with pytest.raises(UsageError, match=said):
        read_music(path, from_s=from_s, to_s=to_s)


def test_hours_of_music_are_refused_and_a_part_of_them_is_read(tmp_path: Path) -> None:
    path = tmp_path / "hours.wav"
    write_sound(path, tone(), "pcm_u8", 8_000)
    head = path.read_bytes()[:2_000].partition(b"data")[0]
    hours = 4 * 3600 * 8_000 * 2
    with path.open("wb") as file:
        file.write(head + b"data" + hours.to_bytes(4, "little"))
        file.seek(len(head) + 8 + hours - 1)
        file.write(b"\x80")
    with pytest.raises(UsageError, match=r"at most 10:00 of music, found 4:00:00.*--from and --to"):
        read_music(path)
    music = read_music(path, from_s=7200, to_s=7202)
    assert music.seconds == pytest.approx(2)


def test_what_does_not_say_how_long_it_is_is_refused_on_the_way(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "a.aac", tone(8), "aac")
    with pytest.raises(UsageError, match="at most 0:03 of music"):
        read_music(path, longest_s=3)


def test_silence_is_named(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "a.wav", np.zeros_like(tone()), "pcm_s16le")
    with pytest.raises(UsageError, match="found silence"):
        read_music(path)


def picture(path: Path) -> Path:
    Image.new("RGB", (64, 48), (200, 90, 30)).save(path)
    return path


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".bmp", ".gif"])
def test_a_photograph_is_no_music(tmp_path: Path, suffix: str) -> None:
    with pytest.raises(UsageError, match=r"expected music in .*, found"):
        read_music(picture(tmp_path / f"a{suffix}"))


def test_a_photograph_that_is_called_music_is_none(tmp_path: Path) -> None:
    path = picture(tmp_path / "a.png").rename(tmp_path / "a.mp3")
    with pytest.raises(UsageError, match=r"expected music in .*, found"):
        read_music(path)


@pytest.mark.parametrize("data", [b"", b"words, and more words\n" * 50, bytes(range(256)) * 40])
@pytest.mark.parametrize("suffix", [".mp3", ".txt", ".wav", ""])
def test_what_is_no_sound_is_named(tmp_path: Path, data: bytes, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(data)
    with pytest.raises(UsageError, match="expected music in"):
        read_music(path)


def test_a_list_of_addresses_is_not_followed(tmp_path: Path) -> None:
    path = tmp_path / "a.m3u8"
    path.write_text(
        "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n"
    )
    with pytest.raises(UsageError, match="expected music in"):
        read_music(path)


def test_nothing_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="found nothing there"):
        read_music(tmp_path / "none.mp3")
    with pytest.raises(UsageError, match="found a folder there"):
        read_music(tmp_path)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such pipes")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.mp3")
    with pytest.raises(UsageError, match="found a pipe there"):
        read_music(tmp_path / "a.mp3")


def test_a_film_without_sound_is_named(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.mp4"), "w") as file:
        stream = file.add_stream("mpeg4", rate=10)
        stream.width, stream.height = 64, 48
        for _ in range(5):
            file.mux(stream.encode(av.VideoFrame(64, 48, "yuv420p")))
        file.mux(stream.encode(None))
    with pytest.raises(UsageError, match="found no sound in it"):
        read_music(tmp_path / "a.mp4")
