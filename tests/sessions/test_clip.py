"""Clips: photographs move to a song; what is asked for is made, and errors name the photo."""

from __future__ import annotations

import wave
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from avatar.core.errors import PhotoError, UsageError
from avatar.core.face.head import decompose
from avatar.core.frames import Face, UInt8Image
from avatar.core.home import Home
from avatar.sessions.choreographies import ChoreographyStore
from avatar.sessions.clip import make_clip, song_of
from avatar.sessions.clip_request import SIZES_PX, ClipRequest
from avatar.stages.generate.photo import builtin_photo
from avatar.stages.motion.on_the_beat import Performer
from tests.stages.sinks.sounding_film import heard

ME = builtin_photo()


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    for shape, size_px in {"1:1": (192, 192), "16:9": (384, 216), "9:16": (216, 384)}.items():
        monkeypatch.setitem(SIZES_PX, shape, size_px)


def clip(home: Home, *photos: Path, said: list[str] | None = None, **options: Any) -> int:
    given: dict[str, Any] = {"end": 1.0, "shape": "1:1"} | options
    say = (said if said is not None else []).append
    return make_clip(ClipRequest(photos=photos or (ME,), **given), home, say)


def frames(path: Path) -> list[UInt8Image]:
    with av.open(str(path)) as film:
        return [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]


def test_one_photograph_moves_to_the_programs_own_tune(home: Home, tmp_path: Path) -> None:
    said: list[str] = []
    assert clip(home, out=tmp_path / "a.mp4", said=said) == 0
    made = frames(tmp_path / "a.mp4")
    assert len(made) == 30 and made[0].shape == (192, 192, 3)
    assert np.abs(made[0].astype(int) - made[8]).mean() > 2
    with av.open(str(tmp_path / "a.mp4")) as film:
        assert film.streams.audio[0].codec_context.name == "aac"
        assert '"Label":"1"' in str(film.metadata)
    assert "hop: 120.0 beats a minute" in said
    assert said[-1] == f"{tmp_path / 'a.mp4'}: 30 frames, 1.00 s"


def test_without_an_end_it_ends_where_the_movement_begins_again(home: Home, tmp_path: Path) -> None:
    clip(home, out=tmp_path / "a.mp4", end=None, template="sway", music="stroll")
    made = frames(tmp_path / "a.mp4")
    # Eight beats at 100 a minute are 4.8 s: two turns are nearest to ten seconds.
    assert len(made) == round(2 * 4.8 * 30)
    steps = [np.abs(b.astype(int) - a).mean() for a, b in pairwise([*made, made[0]])]
    assert steps[-1] < 1.5 * np.percentile(steps, 90), "it can be looped"


def test_the_same_request_gives_the_same_bytes(home: Home, tmp_path: Path) -> None:
    clip(home, out=tmp_path / "a.mp4")
    first = (tmp_path / "a.mp4").read_bytes()
    clip(home, out=tmp_path / "a.mp4", force=True)
    assert (tmp_path / "a.mp4").read_bytes() == first
    clip(home, out=tmp_path / "a.mp4", force=True, seed=1)
    assert (tmp_path / "a.mp4").read_bytes() != first


def test_photographs_stand_in_a_grid_each_with_its_label(home: Home, tmp_path: Path) -> None:
    clip(home, ME, ME, ME, out=tmp_path / "a.mp4", phase="canon", grid="2x2", end=0.5)
    made = frames(tmp_path / "a.mp4")[0].astype(int)
    cells = [made[y : y + 96, x : x + 96] for y in (0, 96) for x in (0, 96)]
    assert cells[3].mean() < 20, "nobody is in the fourth"
    # The plate in the upper right corner is the same in all.
    assert max(np.abs(cells[0][4:12, 78:90] - cell[4:12, 78:90]).mean() for cell in cells[1:3]) < 25
    assert np.abs(cells[0] - cells[1]).mean() > 1, "a canon"


def two_people(path: Path) -> Path:
    with Image.open(ME) as one:
        width, height = one.size
        both = Image.new("RGB", (2 * width, height))
        both.paste(one, (0, 0))
        both.paste(one, (width, 0))
        both.save(path)
    return path


def test_all_faces_of_a_photograph_move_in_their_places(home: Home, tmp_path: Path) -> None:
    photo = two_people(tmp_path / "both.png")
    clip(home, photo, out=tmp_path / "a.mp4", in_place=True, shape="16:9", phase="alternate")
    made = [frame.astype(int) for frame in frames(tmp_path / "a.mp4")]
    width = made[0].shape[1]
    left, right = slice(0, width // 2), slice(width // 2, width)
    moved = [np.abs(made[8][:, half] - made[0][:, half]).mean() for half in (left, right)]
    assert moved[0] > 2 * moved[1], "the left one begins"


def clicks(path: Path, every_s: float, seconds: int) -> Path:
    """Write a song of clicks."""
    t = np.arange(seconds * 22_050) / 22_050
    sound = np.sin(2 * np.pi * 1000 * t) * np.exp(-40 * (t % every_s))
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(22_050)
        file.writeframes((sound * 20_000).astype("<i2").tobytes())
    return path


def test_a_song_is_a_file_and_its_tempo_is_found_or_given(home: Home, tmp_path: Path) -> None:
    song = tmp_path / "song.wav"
    clicks(song, 0.6, 8)
    said: list[str] = []
    clip(home, out=tmp_path / "a.mp4", music=str(song), end=6.0, said=said)
    assert f"{song}: 100.0 beats a minute" in said
    assert abs(heard(tmp_path / "a.mp4")[3] - 1000) < 20
    said.clear()
    clip(home, out=tmp_path / "b.mp4", music=str(song), bpm=50.0, offset=0.0, said=said)
    assert f"{song}: 50.0 beats a minute" in said


def test_a_loop_has_no_jump_at_a_tempo_that_falls_between_pictures(
    home: Home, tmp_path: Path, portrait_face: Face
) -> None:
    """At 97 beats a minute no turn is a whole number of pictures long."""
    song = clicks(tmp_path / "song.wav", 60 / 97, 14)
    asked = ClipRequest(photos=(ME,), music=str(song), bpm=97.0, offset=0.0, template="nod")
    choreography = ChoreographyStore(home).load("nod")
    heard_song = song_of(asked, choreography, print)
    beats = heard_song.beats
    assert (beats.beat_at(heard_song.period_s) - beats.beat_at(0.0)) % 4 == pytest.approx(
        0, abs=1e-3
    )
    assert heard_song.period_s * 30 != pytest.approx(heard_song.frames, abs=0.02)
    performer = Performer(choreography, beats, [decompose(portrait_face).shape],
                          period_s=heard_song.period_s)  # fmt: skip
    (first,) = performer.motions(heard_song.time_s(0), 0)
    (after,) = performer.motions(heard_song.time_s(heard_song.frames), 0)
    assert np.allclose(first.rotation, after.rotation, atol=1e-4)
    assert np.allclose(first.translation, after.translation, atol=1e-4)
    assert np.allclose(first.blendshapes, after.blendshapes, atol=1e-3)
    latest = max(abs(heard_song.time_s(k) - k / 30) for k in range(heard_song.frames))
    assert latest <= 0.5 / 30, "and no picture leaves its moment by more than half a picture"


@pytest.mark.parametrize("name", ["a.gif", "a.webp"])
def test_loops_for_chats(home: Home, tmp_path: Path, name: str) -> None:
    assert clip(home, out=tmp_path / name, end=0.5) == 0
    with Image.open(tmp_path / name) as loop:
        assert loop.size == (192, 192) and getattr(loop, "n_frames", 1) == 10


def test_several_photographs_of_one_person_are_refused(home: Home, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="expected one photograph, found 2 of one person"):
        clip(home, Path(f"{ME}+{ME}"), out=tmp_path / "a.mp4")


def test_a_tune_that_begins_late_takes_no_longer(home: Home, tmp_path: Path) -> None:
    clip(home, out=tmp_path / "a.mp4", start=35_000.0, end=35_000.5)
    assert len(frames(tmp_path / "a.mp4")) == 15


def test_an_old_film_stays(home: Home, tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"precious")
    with pytest.raises(UsageError, match="--force"):
        clip(home, out=tmp_path / "a.mp4")
    assert (tmp_path / "a.mp4").read_bytes() == b"precious"


@pytest.mark.parametrize("linked", [False, True])
def test_the_song_is_not_replaced_by_the_clip(home: Home, tmp_path: Path, linked: bool) -> None:
    """A film's sound is the song, and the film a name for the clip that is near at hand."""
    song = tmp_path / "song.mp4"
    song.write_bytes(b"precious")
    out = tmp_path / "link.mp4" if linked else song
    if linked:
        out.symlink_to(song)
    with pytest.raises(UsageError, match="used by this command for something else"):
        clip(home, out=out, music=str(song), bpm=120.0, force=True)
    assert song.read_bytes() == b"precious"


def test_a_loop_that_is_too_long_is_refused_before_it_is_drawn(home: Home, tmp_path: Path) -> None:
    said: list[str] = []
    with pytest.raises(UsageError, match="a loop of 30 seconds at the most"):
        clip(home, out=tmp_path / "a.gif", end=31.0, said=said)
    assert not any("face" in line for line in said), "no photograph was looked at"


def test_a_photograph_without_a_face_is_named(home: Home, tmp_path: Path) -> None:
    Image.new("RGB", (300, 300), (90, 140, 90)).save(tmp_path / "grass.png")
    with pytest.raises(PhotoError, match=r"grass"):
        clip(home, ME, tmp_path / "grass.png", ME, out=tmp_path / "a.mp4")
    assert not (tmp_path / "a.mp4").exists()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"photos": ()}, "expected a photograph"),
        ({"photos": (ME,) * 10}, "at most 9 photographs, found 10"),
        ({"photos": (ME, ME), "in_place": True}, "--in-place moves the faces of one photograph"),
        ({"in_place": True, "grid": "1x1"}, "leave out --grid"),
        ({"offset": 1.0}, "give both"),
        ({"start": 5.0, "end": 4.0}, "--to: expected a later moment than --from 5, found 4"),
        ({"start": 5.0, "end": 3000.0}, "--to: expected at most 600 seconds after --from"),
        ({"bpm": 1e9}, "--bpm: expected 30 to 300 beats a minute"),
    ],
)
def test_what_cannot_be_is_refused_at_once(options: dict[str, Any], expected: str) -> None:
    with pytest.raises(UsageError, match=expected):
        ClipRequest(**({"photos": (ME,)} | options))


@pytest.mark.parametrize(
    "grid", ["", "3", "0x1", "axb", "1x1", "3x3", "3x1", "1000000x1", "-1x2", "²x1"]
)
def test_a_grid_must_fit(grid: str) -> None:
    with pytest.raises(UsageError, match="--grid"):
        _ = ClipRequest(photos=(ME, ME), grid=grid).columns_rows


@pytest.mark.parametrize(
    ("count", "shape", "grid"),
    [(1, "9:16", (1, 1)), (2, "9:16", (1, 2)), (2, "16:9", (2, 1)), (4, "1:1", (2, 2)),
     (9, "1:1", (3, 3)), (5, "1:1", (3, 2)), (6, "9:16", (2, 3))],
)  # fmt: skip
def test_photographs_get_the_most_room(count: int, shape: str, grid: tuple[int, int]) -> None:
    SIZES_PX.update({"9:16": (720, 1280), "16:9": (1280, 720), "1:1": (720, 720)})
    assert ClipRequest(photos=(ME,) * count, shape=shape).columns_rows == grid  # type: ignore[arg-type]


def test_a_label_that_cannot_be_drawn_is_refused_before_anything_is_opened(
    home: Home, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="at least one letter"):
        clip(home, tmp_path / "absent.jpg", out=tmp_path / "a.mp4", label_text=" ", music="absent")


def test_a_template_with_unknown_names_says_the_nearest(home: Home, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none called 'heyy'. Did you mean `hey`\?"):
        clip(home, out=tmp_path / "a.mp4", template="heyy")
