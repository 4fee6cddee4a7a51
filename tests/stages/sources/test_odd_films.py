from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avatar.core.clock import ManualClock
from avatar.core.errors import SourceError
from avatar.core.frames import CameraFrame
from avatar.stages.sources import create_source
from avatar.stages.sources.parts import PartFinder, join
from avatar.stages.sources.timing import film_timing
from avatar.stages.sources.tone_map import HLG, PQ, light_to_pq, pq_to_light, to_srgb
from avatar.stages.sources.video import film_frames
from tests.stages.sinks.sounding_film import make_sounding_film
from tests.stages.sources.films import make_film, number_of, picture_of
from tests.stages.sources.odd_films import (
    cut_off,
    hdr_film,
    in_one_size_then_another,
    interlaced,
    joined,
    retimed,
    write_pictures,
)


def all_frames(path: Path) -> list[CameraFrame]:
    return list(film_frames(path))


def gaps_ms(frames: list[CameraFrame]) -> list[int]:
    return [round((b.timestamp_ns - a.timestamp_ns) / 1e6) for a, b in pairwise(frames)]


def test_joined_broadcasts_are_shown_whole(tmp_path: Path) -> None:
    film = joined(tmp_path / "two.ts")
    frames = all_frames(film)
    assert [number_of(frame.image) for frame in frames] == [*range(12), *range(12)]
    assert gaps_ms(frames) == [40] * 23
    timing = film_timing(film)
    assert (timing.rate, timing.constant, timing.frames) == (25, True, 24)
    assert timing.shifts_s == (0, Fraction(12, 25))


def test_avi_with_pictures_that_refer_to_later_ones_is_even(tmp_path: Path) -> None:
    pictures = [picture_of(k, (64, 48)) for k in range(24)]
    film = write_pictures(
        tmp_path / "b.avi", pictures, options={"bf": "2", "b-adapt": "0", "preset": "veryfast"}
    )
    frames = all_frames(film)
    assert [number_of(frame.image) for frame in frames] == list(range(24))
    assert gaps_ms(frames) == [40] * 23
    timing = film_timing(film)
    assert (timing.rate, timing.constant, timing.frames) == (25, True, 24)


def test_a_film_without_times_is_even(tmp_path: Path) -> None:
    film = make_film(tmp_path / "raw.h264", form="h264")
    frames = all_frames(film)
    assert [number_of(frame.image) for frame in frames] == list(range(12))
    assert gaps_ms(frames) == [40] * 11
    timing = film_timing(film)
    assert (timing.rate, timing.constant, timing.frames) == (25, True, 12)


@pytest.mark.parametrize("jump_s", [3600.0, 86400.0])
def test_a_clock_that_is_set_while_filming_leaves_no_hole(tmp_path: Path, jump_s: float) -> None:
    whole = make_film(tmp_path / "a.mkv", codec="mpeg4")
    film = retimed(whole, tmp_path / "dashcam.mkv", lambda _, t: jump_s if t > 0.2 else 0)
    frames = all_frames(film)
    assert [number_of(frame.image) for frame in frames] == list(range(12))
    assert gaps_ms(frames) == [40] * 11
    timing = film_timing(film)
    assert (timing.rate, timing.frames) == (25, 12)
    assert float(timing.shifts_s[1]) == pytest.approx(-jump_s)


def test_pictures_that_stand_still_while_the_sound_goes_on_keep_their_time(tmp_path: Path) -> None:
    whole = make_sounding_film(tmp_path / "a.mkv", "mp3", seconds=14)
    film = retimed_pictures_from(whole, tmp_path / "still.mkv", from_s=12.0, first_s=0.5)
    assert max(gaps_ms(all_frames(film))) > 11_000
    assert len(film_timing(film).shifts_s) == 1


def retimed_pictures_from(source: Path, path: Path, from_s: float, first_s: float) -> Path:
    """Copy a film without its pictures between two times."""
    with av.open(str(source)) as film, av.open(str(path), "w") as out:
        targets = {stream.index: out.add_stream_from_template(stream) for stream in film.streams}
        for packet in film.demux():
            at = None if packet.pts is None else float(packet.pts * packet.time_base)
            is_gap = at is not None and packet.stream.type == "video" and first_s < at < from_s
            if at is None or is_gap:
                continue
            packet.stream = targets[packet.stream.index]
            out.mux(packet)
    return path


@given(
    parts=st.lists(
        st.tuples(st.integers(-90_000, 90_000), st.integers(1, 20)), min_size=1, max_size=5
    )
)
def test_parts_follow_each_other_without_a_hole(parts: list[tuple[int, int]]) -> None:
    frame_s = Fraction(1, 25)
    times = [[start + k * frame_s for k in range(count)] for start, count in parts]
    shown = [
        time + shift
        for part, shift in zip(times, join(times, frame_s), strict=True)
        for time in part
    ]
    assert {b - a for a, b in pairwise(shown)} <= {frame_s}


def test_a_jitter_begins_no_part_and_a_jump_does() -> None:
    finder = PartFinder()
    given = [0, 0.04, 0.03, 0.08, 9, 20, 20.04, 5]
    assert [finder.begins_part(Fraction(t)) for t in given] == [False] * 5 + [True, False, True]


# A point (x, y) is shown at (a·x + c·y, b·x + d·y): what each does to the corners' colours.
CORNERS = np.array([[1, 2], [3, 4]])
MATRICES = {
    (1, 0, 0, 1): CORNERS,
    (-1, 0, 0, 1): CORNERS[:, ::-1],
    (1, 0, 0, -1): CORNERS[::-1],
    (-1, 0, 0, -1): CORNERS[::-1, ::-1],
    (0, 1, 1, 0): CORNERS.T,
    (0, 1, -1, 0): np.rot90(CORNERS, -1),
    (0, -1, 1, 0): np.rot90(CORNERS, 1),
    (0, -1, -1, 0): CORNERS.T[::-1, ::-1],
}


@pytest.mark.parametrize("matrix", MATRICES)
def test_every_way_to_turn_and_mirror_is_honoured(tmp_path: Path, matrix: tuple[int, ...]) -> None:
    picture = np.kron(CORNERS * 50, np.ones((32, 48))).astype(np.uint8)
    a, b, c, d = (number * 65536 for number in matrix)

    def setup(stream: Any) -> None:
        stream.set_display_matrix([a, b, 0, c, d, 0, 0, 0, 1 << 30])

    film = write_pictures(tmp_path / "a.mp4", [np.stack([picture] * 3, -1)] * 3, setup=setup)
    image = all_frames(film)[1].image
    height, width = image.shape[:2]
    rows, columns = (height // 4, height * 3 // 4), (width // 4, width * 3 // 4)
    seen = np.array([[round(float(image[y, x, 0]) / 50) for x in columns] for y in rows])
    assert (seen == MATRICES[matrix]).all()
    assert (width > height) == (matrix[0] != 0)


@pytest.mark.parametrize(
    ("aspect", "size_px"), [(Fraction(2), (96, 64)), (Fraction(1, 2), (48, 128)), (None, (48, 64)),
                            (Fraction(1001, 1000), (48, 64)), (Fraction(16, 15), (51, 64))]
)  # fmt: skip
def test_pixels_that_are_not_square_become_so(
    tmp_path: Path, aspect: Fraction | None, size_px: tuple[int, int]
) -> None:
    def setup(stream: Any) -> None:
        if aspect is not None:
            stream.codec_context.sample_aspect_ratio = aspect

    film = write_pictures(tmp_path / "a.mkv", [picture_of(3, (48, 64))] * 3, setup=setup)
    image = all_frames(film)[0].image
    assert (image.shape[1], image.shape[0]) == size_px
    assert number_of(image) == 3


def test_a_film_keeps_its_first_size_and_nothing_moves(tmp_path: Path) -> None:
    film = in_one_size_then_another(tmp_path / "a.mkv", (96, 64), (48, 32))
    frames = all_frames(film)
    assert {frame.image.shape for frame in frames} == {(64, 96, 3)}
    assert [number_of(frame.image) for frame in frames] == list(range(10))
    edges = [int(np.argmax(frame.image[10, :, 0] < 150)) for frame in frames]
    assert max(edges) - min(edges) <= 2


def test_a_telephone_that_is_turned_shows_all_of_its_picture(tmp_path: Path) -> None:
    film = in_one_size_then_another(tmp_path / "a.mkv", (96, 64), (64, 96))
    frames = all_frames(film)
    assert {frame.image.shape for frame in frames} == {(64, 96, 3)}
    last = frames[-1].image
    assert last[:, :20].max() < 20
    assert last[:, -20:].max() < 20
    assert last[32, 60:65].mean() > 60


def test_fields_become_whole_pictures(tmp_path: Path) -> None:
    film = interlaced(tmp_path / "a.ts")
    frames = all_frames(film)
    assert len(frames) == 8
    assert gaps_ms(frames) == [40] * 7
    for frame in frames[1:-1]:
        rows = frame.image[:, :, 0].astype(int)
        assert np.abs(np.diff(rows, axis=0)).mean() < 2
    lefts = [int(np.argmax(frame.image[48, :, 0] > 128)) for frame in frames]
    assert min(b - a for a, b in pairwise(lefts)) > 8


@pytest.mark.parametrize(
    ("transfer", "signal", "grey"),
    [
        (PQ, 0.0, 0),
        (PQ, float(light_to_pq(np.array(203 * 0.2))), 124),  # a face's light, 0.2 of white
        (PQ, float(light_to_pq(np.array(1000.0))), 255),
        (HLG, 0.5, 137),  # 50 cd/m² of 203
        (HLG, 1.0, 255),
    ],
)
def test_hdr_is_brought_into_the_usual_range(
    tmp_path: Path, transfer: int, signal: float, grey: int
) -> None:
    image = all_frames(hdr_film(tmp_path / "a.mp4", transfer, signal))[0].image
    assert np.abs(image.astype(int) - grey).max() <= 12


def test_light_and_signal_of_pq_are_inverse() -> None:
    light = np.geomspace(0.01, 10_000, 50)
    np.testing.assert_allclose(pq_to_light(light_to_pq(light)), light, rtol=1e-6)
    # ITU-R BT.2408-7, table 1: reference white of 203 cd/m² is 58 % of PQ and 75 % of HLG.
    assert float(light_to_pq(np.array(203.0))) == pytest.approx(0.58, abs=0.005)
    white = [
        to_srgb(np.full((1, 3), level), kind)[0, 0] for level, kind in ((0.58, PQ), (0.75, HLG))
    ]
    assert white[0] == pytest.approx(white[1], abs=0.01)


def test_tone_mapping_rises_and_keeps_grey_grey() -> None:
    for kind in (PQ, HLG):
        values = to_srgb(np.repeat(np.linspace(0, 1, 200)[:, None], 3, 1), kind)
        assert (np.diff(values[:, 0]) >= -1e-9).all()
        assert np.ptp(values, axis=1).max() < 0.01


@pytest.mark.parametrize("name", ["2024-05-01T12:30:00.mp4", "udp:x.mp4", "a b?#%20.mkv"])
def test_a_name_with_a_colon_is_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    plain = make_film(tmp_path / f"plain{Path(name).suffix}")
    plain.rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    with create_source(name, clock=ManualClock()) as source:
        assert source.read() is not None
    assert film_timing(Path(name)).frames == 12


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi"])
def test_a_film_cut_off_in_the_middle_tells_how_much_is_missing(
    tmp_path: Path, suffix: str
) -> None:
    film = cut_off(tmp_path / f"a{suffix}", share=1.0)
    assert film_timing(film).missing_s == 0
    film = cut_off(tmp_path / f"a{suffix}")
    assert 1.5 < film_timing(film).missing_s < 2.5
    assert 35 <= len(all_frames(film)) <= 65


def test_pictures_that_nothing_decodes_are_said_to_be_so(tmp_path: Path) -> None:
    film = make_film(tmp_path / "a.mkv", codec="mpeg4")
    film.write_bytes(film.read_bytes().replace(b"V_MPEG4/ISO/ASP", b"V_QQQQ4/ISO/ASP"))
    with pytest.raises(SourceError, match=r"no decoder here.*Convert it"):
        all_frames(film)


def test_real_clips_miss_nothing(shared_media: Path) -> None:
    for clip in sorted((shared_media / "clips").iterdir())[:3]:
        timing = film_timing(clip)
        assert (timing.missing_s, timing.shifts_s) == (0, (0,))


def test_damaged_pictures_of_an_avi_leave_the_others_at_their_times(tmp_path: Path) -> None:
    path = tmp_path / "a.avi"
    pictures = [picture_of(k, (64, 48)) for k in range(24)]
    write_pictures(path, pictures, codec="mjpeg", pixels="yuvj420p")
    with av.open(str(path)) as film:
        parts = [bytes(packet) for packet in film.demux(video=0) if packet.size]
    data = path.read_bytes()
    for number in (5, 6, 13):
        data = data.replace(parts[number], bytes(len(parts[number])))
    path.write_bytes(data)
    frames = all_frames(path)
    assert len(frames) == 21
    for frame in frames:
        at = round((frame.timestamp_ns - frames[0].timestamp_ns) / 40_000_000)
        assert number_of(frame.image) == at
