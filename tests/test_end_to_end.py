"""``avatar run`` as a user starts it: real processes, real clips and pictures, files read back."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from avatar.core.clock import ManualClock
from avatar.core.frames import GeneratedFrame, Presence, UInt8Image
from avatar.stages.label import VisibleLabel
from avatar.stages.sources import create_source
from tests import ROOT
from tests.stages.sources.films import make_sound

SIZE_PX = (1280, 720)
# What H.264 at this quality may add or take away at an edge.
CODEC_ERROR = 28

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="sends POSIX signals")


def avatar(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the program to its end."""
    return subprocess.run(
        [sys.executable, "-m", "avatar", *arguments],
        capture_output=True, text=True, cwd=ROOT, timeout=60, env={**os.environ, **environment},
    )  # fmt: skip


def pictures(path: Path, size_px: tuple[int, int] | None = None) -> Iterator[UInt8Image]:
    """Yield a film's frames, uint8 (H, W, 3) RGB."""
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            image = frame.to_ndarray(format="rgb24")
            yield cv2.resize(image, size_px, interpolation=cv2.INTER_AREA) if size_px else image


def label_bounds(text: str = "AI") -> tuple[UInt8Image, UInt8Image, NDArray[np.bool_]]:
    """Return what the labelled picture shows at least and at most, and where the label is."""
    dark, light = (
        VisibleLabel(text)
        .label(GeneratedFrame(np.full((720, 1280, 3), grey, np.uint8), 0, 0, Presence.TRACKED))
        .image
        for grey in (0, 255)
    )
    return dark, light, (dark.max(axis=2) > 0) | (light.min(axis=2) < 255)


def label_errors(path: Path) -> list[float]:
    """Return for each frame the share of the label's pixels that are not as they must be."""
    dark, light, where = label_bounds()
    rows, columns = np.nonzero(where)
    assert columns.min() > SIZE_PX[0] * 0.85
    assert rows.max() < SIZE_PX[1] * 0.2
    low, high = dark[where].astype(int) - CODEC_ERROR, light[where].astype(int) + CODEC_ERROR
    return [
        float(((image[where] < low) | (image[where] > high)).mean()) for image in pictures(path)
    ]


def mark_of(path: Path) -> dict[str, str]:
    with av.open(str(path)) as container:
        mark = json.loads(container.metadata["AIGC"])
    assert isinstance(mark, dict)
    return mark


def is_error(result: subprocess.CompletedProcess[str], status: int) -> str:
    """Check that the program ended with one message for the user, and return it."""
    assert result.returncode == status, result.stderr
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    messages = [line for line in result.stderr.splitlines() if line.startswith("avatar: ")]
    assert len(messages) == 1, result.stderr
    assert result.stderr.rstrip().endswith(messages[0])
    return messages[0]


@pytest.fixture(scope="module")
def clip(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A square clip of a driver: a real one where there are some, else the drawn one's."""
    with suppress(pytest.skip.Exception):
        return Path(request.getfixturevalue("shared_media")) / "clips" / "d10.mp4"
    path = tmp_path_factory.mktemp("clip") / "drawn.mp4"
    with (
        create_source("demo", clock=ManualClock()) as source,
        av.open(str(path), "w") as container,
    ):
        stream = container.add_stream("libx264", rate=30)
        stream.width = stream.height = 480
        stream.pix_fmt = "yuv420p"
        for _ in range(120):
            seen = source.read()
            assert seen is not None
            left = (seen.image.shape[1] - 480) // 2
            square = np.ascontiguousarray(seen.image[:480, left : left + 480])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(square, format="rgb24")))
        container.mux(stream.encode(None))
    return path


@pytest.fixture(scope="module")
def recording(clip: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A recording of three seconds of the clip, which moves a photograph, and the clip."""
    path = tmp_path_factory.mktemp("recording") / "talk.mp4"
    result = avatar(
        "run", "--camera", str(clip), "--avatar", "builtin", "--out", f"file:{path}",
        "--seconds", "3",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    return path, clip


def test_a_recording_has_rate_and_length_and_is_marked(recording: tuple[Path, Path]) -> None:
    with av.open(str(recording[0])) as container:
        video = container.streams.video[0]
        assert (video.width, video.height) == SIZE_PX
        assert video.average_rate == 30
        times = [Fraction(f.pts) * f.time_base for f in container.decode(video=0)]
    assert set(np.diff(times)) == {Fraction(1, 30)}
    # Real time goes on while a busy machine comes to an end; less than was asked for is a fault.
    assert 2.75 < times[-1] - times[0] < 5
    assert mark_of(recording[0])["Label"] == "1"
    assert mark_of(recording[0])["ContentProducer"].startswith("webcam-avatar")


def test_every_frame_of_a_recording_shows_the_label(recording: tuple[Path, Path]) -> None:
    errors = label_errors(recording[0])
    assert len(errors) > 80
    assert max(errors) < 0.02


def test_a_recording_moves_and_never_shows_the_driver(recording: tuple[Path, Path]) -> None:
    shown = [image.astype(int) for image in pictures(recording[0], (64, 36))]
    assert max(np.abs(image - shown[0]).mean() for image in shown) > 1
    # Middle squares: the clip is square, the recording is wide.
    driver = np.array([np.asarray(i, int) for i in pictures(recording[1], (36, 36))])
    for image in shown[::5]:
        middle = image[:, 14:50]
        assert np.abs(driver - middle).mean(axis=(1, 2, 3)).min() > 25


def test_two_outputs_and_the_measurements(tmp_path: Path) -> None:
    stats, film = tmp_path / "stats.json", tmp_path / "demo.mp4"
    result = avatar(
        "run", "--camera", "demo", "--avatar", "builtin", "--out", f"file:{film}",
        "--out", "none", "--seconds", "2", "--stats", str(stats),
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    measured = json.loads(stats.read_text(encoding="utf-8"))
    assert set(measured) == {"first_frame_s", "stages", "sinks", "counts", "dropped_share"}
    assert set(measured["stages"]) == {
        "capture", "track", "retarget", "generate", "label", f"sink file:{film}", "sink none",
    }  # fmt: skip
    assert set(measured["sinks"]) == {f"file:{film}", "none"}
    for sink in measured["sinks"].values():
        assert set(sink["latency"]) == {"count", "p50_ms", "p95_ms", "p99_ms", "max_ms"}
        assert set(sink["delivery"]) == {"frames", "fps", "interval_p95_ms", "jitter_ms"}
        assert sink["delivery"]["frames"] > 10
    assert measured["counts"]["captured"] > 10
    assert 0 <= measured["dropped_share"] <= 1
    assert 0 < measured["first_frame_s"] < 60
    sys.stdout.write(f"first frame {measured['first_frame_s']:.2f} s after the start\n")
    assert len(list(pictures(film))) > 30


@contextmanager
def recorder(film: Path) -> Iterator[subprocess.Popen[str]]:
    """Start a recording that nothing ends, and go on once about a second of it is on disk."""
    process = subprocess.Popen(
        [sys.executable, "-m", "avatar", "run", "--camera", "demo", "--out", f"file:{film}"],
        stderr=subprocess.PIPE, text=True, cwd=ROOT,
    )  # fmt: skip
    try:
        wait_for(lambda: _frames_on_disk(film) >= 25 or process.poll() is not None)
        yield process
    finally:
        process.kill()
        process.communicate()


def wait_for(happened: Callable[[], bool], limit_s: float = 40.0) -> None:
    end = time.monotonic() + limit_s
    while not happened():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)


def unfinished(film: Path) -> Path:
    return film.with_stem(f"{film.stem}.part")


def _frames_on_disk(film: Path) -> int:
    with suppress(OSError, av.FFmpegError), av.open(str(unfinished(film))) as container:
        return sum(packet.size > 0 for packet in container.demux(video=0))
    return 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_closes_the_file_and_ends_well(number: signal.Signals, tmp_path: Path) -> None:
    film = tmp_path / "cut.mp4"
    with recorder(film) as process:
        asked = time.monotonic()
        process.send_signal(number)
        _, said = process.communicate(timeout=30)
        took_s = time.monotonic() - asked
    sys.stdout.write(f"{number.name}: ended after {took_s:.2f} s\n")
    assert process.returncode == 0, said
    assert "Traceback" not in said
    assert took_s < 5
    assert len(list(pictures(film))) >= 25
    assert mark_of(film)["Label"] == "1"


def test_a_killed_recording_plays_and_is_marked(tmp_path: Path) -> None:
    film = tmp_path / "killed.mp4"
    with recorder(film) as process:
        process.kill()
        process.communicate(timeout=30)
    assert process.returncode == -signal.SIGKILL
    assert not film.exists()
    film = unfinished(film)
    assert len(list(pictures(film))) >= 25
    assert max(label_errors(film)) < 0.02
    assert mark_of(film)["Label"] == "1"


def test_no_label_is_on_the_record(tmp_path: Path) -> None:
    film = tmp_path / "unlabelled.mp4"
    home = {"XDG_DATA_HOME": str(tmp_path / "data"), "HOME": str(tmp_path)}
    result = avatar(
        "run", "--camera", "demo", "--out", f"file:{film}", "--seconds", "0.5",
        "--no-label", "--acknowledge-disclosure-duty", **home,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    logs = list(tmp_path.rglob("disclosure.log"))
    assert len(logs) == 1
    (line,) = logs[0].read_text(encoding="utf-8").splitlines()
    assert json.loads(line)["outputs"] == [f"file:{film}"]
    assert min(label_errors(film)) > 0.2
    assert mark_of(film)["Label"] == "1"


NONE = ("--out", "none")
DEMO = ("--camera", "demo", *NONE)


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["--camera", "clips/tlak.mp4", *NONE], 2, ["tlak.mp4", "demo"]),
        (["--camera", "77", *NONE], 2, ["/dev/video77" if sys.platform == "linux" else "77"]),
        (["--avatar", "nobody.jpg", *DEMO], 2, ["nobody.jpg", "builtin"]),
        (["--camera", "demo", "--out", "vritual"], 2, ["vritual", "'virtual'"]),
        ([*DEMO, "--no-label"], 2, ["--acknowledge-disclosure-duty"]),
        ([*DEMO, "--label-text", "made by a machine " * 9], 2, ["too long", "--label-text"]),
        ([*DEMO, "--engine", "protrait"], 2, ["portrait"]),
        ([*DEMO, "--size", "721x405"], 2, ["even"]),
        ([*DEMO, "--stats", "no-folder/stats.json"], 2, ["--stats", "no-folder"]),
        ([*DEMO, "--out", "none"], 2, ["only once"]),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, list) else None,
)
def test_a_mistake_gets_one_message(arguments: list[str], status: int, words: list[str]) -> None:
    message = is_error(avatar("run", *arguments), status)
    for word in words:
        assert word in message


@pytest.mark.skipif(
    sys.platform != "linux" or any(Path("/dev").glob("video*")), reason="needs no video device"
)
def test_without_a_virtual_camera_the_error_says_what_to_install(tmp_path: Path) -> None:
    without_pipewire = {"PIPEWIRE_RUNTIME_DIR": str(tmp_path)}
    message = is_error(avatar("run", "--camera", "demo", **without_pipewire), 1)
    assert "v4l2loopback" in message
    assert "pipewire" in message
    assert "--out preview" in message


def test_an_existing_file_is_kept(tmp_path: Path) -> None:
    film = tmp_path / "kept.mp4"
    film.write_bytes(b"precious")
    message = is_error(avatar("run", "--camera", "demo", "--out", f"file:{film}"), 2)
    assert "--force" in message
    assert film.read_bytes() == b"precious"


def test_an_unknown_key_in_a_config_file_names_the_nearest(tmp_path: Path) -> None:
    path = tmp_path / "avatar.toml"
    path.write_text('motoin = "absolute"\n', encoding="utf-8")
    message = is_error(avatar("run", "--config", str(path), *DEMO), 2)
    assert "`motoin`" in message
    assert "`motion`" in message


@pytest.mark.parametrize(
    "arguments",
    [("run", "--out", "page:0"), ("calibrate",), ("calibrate", "--no-window")],
    ids=" ".join,
)
def test_nothing_is_announced_that_does_not_come(arguments: tuple[str, ...]) -> None:
    """No address of a page, no keys, no tracker, when the camera is not there."""
    result = avatar(*arguments, "--camera", "77")
    is_error(result, 2)
    assert len(result.stderr.splitlines()) == 1, result.stderr


def test_an_address_without_a_page_is_no_use() -> None:
    message = is_error(avatar("run", "--camera", "demo", "--listen", "0.0.0.0", *NONE), 2)
    assert "--out page" in message


def test_a_sound_is_no_camera(tmp_path: Path) -> None:
    sound = make_sound(tmp_path / "sound.mp4")
    message = is_error(avatar("run", "--camera", str(sound), *NONE), 1)
    assert "no video stream" in message


def test_an_animal_is_no_avatar(shared_media: Path) -> None:
    llama = shared_media / "avatars" / "llama-no-human-face.jpg"
    assert "human face" in is_error(avatar("run", "--avatar", str(llama), *DEMO), 2)
