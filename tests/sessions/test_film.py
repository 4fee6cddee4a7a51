from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from avatar.core.errors import AvatarError, PhotoError, SourceError, SourceNotFoundError, UsageError
from avatar.core.frames import BLENDSHAPE_INDEX, UInt8Image
from avatar.core.home import Home
from avatar.core.option_values import parse_face
from avatar.core.options import Options
from avatar.sessions.driver import Driver
from avatar.sessions.film import INTERRUPTED, PORTRAIT_SIZE_PX, animate
from avatar.sessions.live import open_live
from avatar.stages.sources.demo import performance
from avatar.stages.sources.illustration import Illustrator, Performance
from avatar.stages.track.choice import detect_faces
from tests import ROOT
from tests.stages.sinks.sounding_film import SIZE as SOUNDING_PX
from tests.stages.sinks.sounding_film import heard, make_sounding_film
from tests.stages.sources.films import make_sound

DRIVER_PX, OUT_PX = (320, 240), (256, 256)
CONFIG = Options(size="256x256")


def write_film(
    path: Path,
    images: Sequence[UInt8Image],
    ticks: Sequence[int],
    fps: int = 25,
    sound: bool = False,
) -> Path:
    """Write ``images`` at ``ticks``/fps, with a tone beside them if asked for."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=fps, options={"crf": "12"})
        video.height, video.width = images[0].shape[:2]
        video.pix_fmt, video.time_base = "yuv420p", Fraction(1, fps)
        tone = container.add_stream("aac", rate=48000) if sound else None
        for image, tick in zip(images, ticks, strict=True):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = tick, Fraction(1, fps)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        if tone is not None:
            for block in range(int(ticks[-1] / fps * 48000 / 1024)):
                wave = np.sin((np.arange(1024) + block * 1024) / 20)[None].astype(np.float32) / 4
                part = av.AudioFrame.from_ndarray(wave, format="fltp", layout="mono")
                part.sample_rate, part.pts = 48000, block * 1024
                container.mux(tone.encode(part))
            container.mux(tone.encode(None))
    return path


@pytest.fixture(scope="module")
def acting() -> list[UInt8Image]:
    """A drawn person who speaks: 30 pictures, 25 a second."""
    illustrator = Illustrator(DRIVER_PX)
    return [illustrator.draw(performance(1.5 + k / 25)) for k in range(30)]


@pytest.fixture(scope="module")
def clip(acting: list[UInt8Image], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clip") / "acting.mp4"
    return write_film(path, acting, range(len(acting)), sound=True)


def small_face() -> UInt8Image:
    """The drawn person, as small as the films with sound are."""
    return Illustrator(SOUNDING_PX).draw(performance(0.5))


def make(driving: Path, out: Path, config: Options = CONFIG, **options: object) -> int:
    given: dict[str, object] = {"size_px": OUT_PX, "audio": "keep", "face": 1} | options
    return animate(config, Home.of_user(), driving=driving, out=out, **given)  # type: ignore[arg-type]


def read(path: Path) -> tuple[list[UInt8Image], list[Fraction]]:
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
        return (
            [frame.to_ndarray(format="rgb24") for frame in frames],
            [Fraction(frame.pts) * frame.time_base for frame in frames],
        )


def apart(a: UInt8Image, b: UInt8Image) -> float:
    return float(np.abs(a.astype(int) - b).mean())


def test_every_frame_of_the_clip_is_there_in_order(clip: Path, tmp_path: Path) -> None:
    # Relative motion looks for its reference ahead, which a driver frame by frame cannot.
    out = tmp_path / "a.mp4"
    assert make(clip, out, replace(CONFIG, motion="absolute")) == 0
    images, times = read(out)
    assert times == [Fraction(k, 25) for k in range(30)]
    driven, at_ns = [], [1_000_000_000 + round(k * 1e9 / 25) for k in range(30)]
    with Driver(avatar="builtin", motion="absolute", size_px=OUT_PX) as driver:
        for image, now_ns in zip(read(clip)[0], at_ns, strict=True):
            frame = driver.step(image, now_ns)
            assert frame is not None
            driven.append(frame.image)
    assert max(apart(a, b) for a, b in pairwise(driven)) > 1, "the performance moves"
    assert max(apart(a, b) for a, b in zip(images, driven, strict=True)) < 8
    late, exact, early = (
        sum(apart(images[k], driven[k + shift]) for k in range(1, 29)) for shift in (-1, 0, 1)
    )
    assert exact < 0.9 * min(late, early)


def test_the_sound_comes_along_and_the_file_says_what_it_is(clip: Path, tmp_path: Path) -> None:
    out = tmp_path / "a.mp4"
    make(clip, out)
    with av.open(str(out)) as made, av.open(str(clip)) as original:
        assert json.loads(made.metadata["AIGC"])["Label"] == "1"
        kept, asked = (
            np.concatenate([f.to_ndarray()[0] for f in c.decode(audio=0)]) for c in (made, original)
        )
    assert len(kept) == pytest.approx(len(asked), abs=2048)
    # The same samples at the same time: lips and sound stay together.
    assert np.allclose(kept[5000:30000], asked[5000:30000], atol=1e-3)


def test_the_sound_can_be_left_out(clip: Path, tmp_path: Path) -> None:
    make(clip, tmp_path / "a.mp4", audio="none")
    with av.open(str(tmp_path / "a.mp4")) as made:
        assert not made.streams.audio


def test_a_film_without_sound_says_so(
    acting: list[UInt8Image], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    silent = write_film(tmp_path / "silent.mp4", acting[:5], range(5))
    assert make(silent, tmp_path / "a.mp4") == 0
    assert "no sound" in capsys.readouterr().err


def test_a_varying_rate_is_written_at_a_constant_one_and_told(
    acting: list[UInt8Image], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ticks = [*range(10), *range(14, 24)]
    film = write_film(tmp_path / "gap.mp4", acting[:20], ticks)
    make(film, tmp_path / "a.mp4")
    images, times = read(tmp_path / "a.mp4")
    assert times == [Fraction(k, 25) for k in range(24)]
    assert max(apart(images[9], images[k]) for k in range(10, 14)) < 1.5
    assert "4 frames shown longer, 0 left out" in capsys.readouterr().err


def test_without_a_face_the_avatar_idles_and_the_clip_is_never_shown(
    acting: list[UInt8Image], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    green = np.full_like(acting[0], (10, 240, 10))
    film = write_film(tmp_path / "late.mp4", [green] * 12 + acting[:6], range(18))
    assert make(film, tmp_path / "a.mp4") == 0
    images, _ = read(tmp_path / "a.mp4")
    assert len(images) == 18
    assert max(apart(images[0], image) for image in images[:12]) < 8
    assert max(float((image[..., 1] > 200).mean()) for image in images) < 0.2
    assert "no face in 12 of 18 frames" in capsys.readouterr().err


@pytest.mark.parametrize("reference", ["auto", "first"])
def test_a_clip_without_a_face_becomes_no_film(
    acting: list[UInt8Image], tmp_path: Path, reference: str
) -> None:
    film = write_film(tmp_path / "empty.mp4", [np.full_like(acting[0], 90)] * 12, range(12))
    with pytest.raises(SourceError, match=r"expected a face in .*empty.mp4, found none in its 12"):
        make(film, tmp_path / "a.mp4", replace(CONFIG, reference=reference))
    assert [path.name for path in tmp_path.iterdir()] == ["empty.mp4"]


def test_a_clip_without_the_person_that_was_chosen_becomes_no_film(
    acting: list[UInt8Image], tmp_path: Path
) -> None:
    film = write_film(tmp_path / "one.mp4", acting[:6], range(6))
    with pytest.raises(SourceError, match="expected a face for --person 9 in"):
        make(film, tmp_path / "a.mp4", replace(CONFIG, person="9"))


def test_the_first_frame_already_knows_the_neutral_face_that_comes_later(
    tmp_path: Path, face_model: Path
) -> None:
    illustrator = Illustrator(DRIVER_PX)
    laughing, calm = (
        illustrator.draw(Performance(jaw_open=jaw, smile=smile))
        for jaw, smile in ((0.8, 0.5), (0.0, 0.0))
    )
    film = write_film(tmp_path / "laughing.mp4", [laughing] * 12 + [calm] * 18, range(30))
    make(film, tmp_path / "a.mp4")
    images, _ = read(tmp_path / "a.mp4")
    jaw = [
        detect_faces(images[k], face_model)[0].blendshapes[BLENDSHAPE_INDEX["jawOpen"]]
        for k in (0, 6, 29)
    ]
    assert jaw[0] > jaw[2] + 0.2, "the avatar laughs from the first frame on"
    assert jaw[0] == pytest.approx(jaw[1], abs=0.1)
    steps = [apart(a, b) for a, b in pairwise(images)]
    assert int(np.argmax(steps)) in (11, 12, 13), "nothing moves before the driver does"
    # The tracker needs some frames to settle, even on a picture that stands still.
    assert max(steps[5:11]) < 0.3 * max(steps)


def test_seconds_take_the_beginning(clip: Path, tmp_path: Path) -> None:
    make(clip, tmp_path / "a.mp4", replace(CONFIG, seconds=0.4))
    assert len(read(tmp_path / "a.mp4")[0]) == 10


@pytest.mark.parametrize("framing", ["portrait", "photo"])
def test_the_size_is_the_photographs_own_where_none_is_given(
    framing: str, clip: Path, tmp_path: Path, portrait: UInt8Image
) -> None:
    config = Options(frame=framing, seconds=0.1)  # type: ignore[arg-type]
    make(clip, tmp_path / "a.mp4", config, size_px=None)
    height, width = read(tmp_path / "a.mp4")[0][0].shape[:2]
    own = (portrait.shape[1] // 2 * 2, portrait.shape[0] // 2 * 2)
    assert (width, height) == (own if framing == "photo" else PORTRAIT_SIZE_PX)


def _absent(folder: Path) -> Path:
    return folder / "absent.mp4"


def _empty(folder: Path) -> Path:
    (folder / "empty.mp4").touch()
    return folder / "empty.mp4"


def _text(folder: Path) -> Path:
    (folder / "text.mp4").write_text("not a film\n" * 50)
    return folder / "text.mp4"


def _sound(folder: Path) -> Path:
    return make_sound(folder / "sound.mp4")


@pytest.mark.parametrize(
    ("driving", "error", "words"),
    [
        (_absent, SourceNotFoundError, "no such file"),
        (_empty, SourceError, "expected a video"),
        (_text, SourceError, "expected a video"),
        (_sound, SourceError, "no video stream"),
        (lambda folder: folder, SourceError, "expected a video"),
    ],
)
def test_a_clip_that_is_none_is_an_error_and_makes_no_file(
    driving: Callable[[Path], Path], error: type[AvatarError], words: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=words):
        make(driving(tmp_path), tmp_path / "a.mp4")
    assert not (tmp_path / "a.mp4").exists()


def test_an_existing_file_is_kept_unless_forced(clip: Path, tmp_path: Path) -> None:
    out = tmp_path / "a.mp4"
    out.write_bytes(b"precious")
    with pytest.raises(UsageError, match="--force"):
        make(clip, out)
    with pytest.raises(PhotoError):
        make(clip, out, replace(CONFIG, force=True, avatar=("absent.jpg",)))
    assert out.read_bytes() == b"precious"
    assert make(clip, out, replace(CONFIG, force=True, seconds=0.2)) == 0
    assert len(read(out)[0]) == 5


def test_the_clip_itself_is_never_the_output(clip: Path) -> None:
    before = clip.read_bytes()
    with pytest.raises(UsageError, match="same file"):
        make(clip, clip, replace(CONFIG, force=True))
    assert clip.read_bytes() == before


@pytest.mark.parametrize("face", ["0", "-1", "two", ""])
def test_a_face_is_a_number_or_all(face: str) -> None:
    with pytest.raises(UsageError, match="or all"):
        parse_face(face)


def test_a_face_that_is_not_there_is_an_error(clip: Path, tmp_path: Path) -> None:
    with pytest.raises(PhotoError, match=r"1 \(the largest\) to 1, found 2"):
        make(clip, tmp_path / "a.mp4", face=2)


def test_a_smaller_face_is_animated_by_its_number(
    clip: Path, tmp_path: Path, portrait: UInt8Image
) -> None:
    from PIL import Image

    both = np.full((600, 800, 3), 128, np.uint8)
    both[:300, :256] = np.asarray(Image.fromarray(portrait).resize((256, 300)))
    both[:, 288:] = portrait
    Image.fromarray(both).save(tmp_path / "two.png")
    config = Options(avatar=(str(tmp_path / "two.png"),), frame="photo", label_corner="bottom-left")

    def moved(face: int | str) -> list[float]:
        """Return how much the smaller and the larger face's part of the picture moves."""
        out = tmp_path / f"{face}.mp4"
        make(clip, out, config, size_px=None, face=face)
        images = np.array(read(out)[0], int)[:, :300]
        spread = np.ptp(images, axis=0).mean(axis=(0, 2))
        return [float(spread[at : at + 250].mean()) for at in (0, 300)]

    large, small, both_move = moved(1), moved(2), moved("all")
    assert large[1] > 4 * large[0]
    assert small[0] > 4 * small[1]
    # Alone, each is cut with the other's head in sight; together, without.
    assert both_move == pytest.approx([small[0], large[1]], rel=0.35)


@pytest.mark.skipif(sys.platform == "win32", reason="sends a POSIX signal")
def test_ctrl_c_leaves_what_was_done(acting: list[UInt8Image], tmp_path: Path) -> None:
    film = write_film(tmp_path / "long.mp4", acting * 40, range(1200))
    out = tmp_path / "a.mp4"
    with subprocess.Popen(
        [sys.executable, "-m", "avatar", "animate", "--driving", str(film), "--out", str(out),
         "--size", "256x256"],
        stderr=subprocess.PIPE, text=True, cwd=ROOT,
    ) as process:  # fmt: skip
        tick = threading.Event()
        part = tmp_path / "a.part.mp4"
        while process.poll() is None and not (part.exists() and part.stat().st_size > 20_000):
            tick.wait(0.05)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
    assert process.returncode == INTERRUPTED, said
    assert "plays up to there" in said
    assert "Traceback" not in said
    assert 10 < len(read(out)[0]) < 1200
    assert not part.exists()


def test_the_command_line_reaches_it(clip: Path, tmp_path: Path) -> None:
    out = tmp_path / "a.mp4"
    result = subprocess.run(
        [sys.executable, "-m", "avatar", "animate", "--driving", str(clip), "--out", str(out),
         "--motion", "absolute", "--smoothing", "off", "--size", "320x240", "--label-text", "KI"],
        capture_output=True, text=True, cwd=ROOT,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert "30 frames, 25 fps, 1.20 s, with the clip's sound" in result.stderr
    assert read(out)[0][0].shape == (240, 320, 3)


def test_sound_that_no_decoder_knows_makes_a_silent_film_and_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip = make_sounding_film(tmp_path / "a.mkv", "ac3", seconds=0.4, image=small_face())
    clip.write_bytes(clip.read_bytes().replace(b"A_AC3", b"A_XC3"))
    assert make(clip, tmp_path / "out.mp4") == 0
    assert "no decoder here knows the sound" in capsys.readouterr().err
    with av.open(str(tmp_path / "out.mp4")) as made:
        assert not made.streams.audio


def test_one_of_several_sounds_is_said_or_chosen(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip = make_sounding_film(
        tmp_path / "a.mkv", "ac3", "aac", seconds=0.4, hz=(440, 880), image=small_face()
    )
    assert make(clip, tmp_path / "one.mp4") == 0
    assert "2 sound tracks: taking number 1" in capsys.readouterr().err
    assert make(clip, tmp_path / "two.mp4", audio_track=2) == 0
    assert "sound tracks" not in capsys.readouterr().err
    assert heard(tmp_path / "two.mp4")[3] > 800 > heard(tmp_path / "one.mp4")[3]
    for wrong, audio in ((7, "keep"), (1, "none")):
        with pytest.raises(UsageError, match="--audio-track"):
            make(clip, tmp_path / "no.mp4", audio_track=wrong, audio=audio)
    assert not (tmp_path / "no.mp4").exists()


def test_the_made_up_performance_drives_a_film(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "a.mp4"
    config = replace(CONFIG, seconds=1.5, reference="key")  # it is neutral for a second
    assert make(Path("demo"), out, config) == 0
    images, times = read(out)
    assert times == [Fraction(k, 30) for k in range(45)]
    assert max(apart(a, b) for a, b in pairwise(images)) > 0.5, "it moves"
    said = capsys.readouterr().err
    assert "--reference key: a clip has no keys" in said
    assert "no sound" not in said


@pytest.mark.parametrize("name", ["x" * 260 + ".mp4", "a.avi", "nowhere/a.mp4", "there.mp4"])
def test_a_film_that_cannot_be_made_is_refused_before_the_work(tmp_path: Path, name: str) -> None:
    (tmp_path / "there.mp4").write_bytes(b"precious")
    absent = replace(CONFIG, avatar=("absent.jpg",))  # which is looked for later
    with pytest.raises(AvatarError, match=r"cannot be made|ends in|exists already"):
        make(Path("demo"), tmp_path / name, absent)
    with pytest.raises(AvatarError, match=r"cannot be made|ends in|exists already"):
        open_live(camera="demo", avatar="absent.jpg", out=f"file:{tmp_path / name}")


def test_a_performance_is_kept_in_the_users_home(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    make(clip, tmp_path / "a.mp4", save_motion=Path("~/a.npz"))
    assert (tmp_path / "a.npz").is_file()
