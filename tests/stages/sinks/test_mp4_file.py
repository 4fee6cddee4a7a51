from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from avatar.core.errors import SinkError, SinkLostError, SinkUnavailableError, UsageError
from avatar.core.frames import GeneratedFrame, LabelledFrame, Presence, UInt8Image
from avatar.stages.label import VisibleLabel, file_metadata
from avatar.stages.sinks.file import FileSink
from avatar.stages.sinks.film_sound import find_sound
from avatar.stages.sinks.mp4 import Mp4Writer

SIZE = (160, 120)
TAGS = file_metadata("test", "id-1")
LABEL = VisibleLabel()
LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux")


def flat(colour: Sequence[int], size_px: tuple[int, int] = SIZE) -> UInt8Image:
    return np.full((size_px[1], size_px[0], 3), colour, np.uint8)


def grey_frame(value: int, timestamp_ns: int) -> LabelledFrame:
    picture = flat((value, value, value))
    return LABEL.label(GeneratedFrame(picture, timestamp_ns, 0, Presence.TRACKED))


def sink_at(path: Path, fps: float = 30, force: bool = False) -> FileSink:
    return FileSink(path, size_px=SIZE, fps=fps, metadata=TAGS, force=force)


def read_greys(path: Path) -> tuple[list[int], list[float]]:
    """Return the grey level and the time in seconds of each frame."""
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
        levels = [round(float(f.to_ndarray(format="rgb24")[60:, :80].mean())) for f in frames]
        return levels, [float(f.time or 0) for f in frames]


def test_file_says_what_it_is(tmp_path: Path) -> None:
    with sink_at(tmp_path / "a.mp4", fps=25) as sink:
        for i in range(50):
            sink.write(grey_frame(100, i * 40_000_000))
    with av.open(str(tmp_path / "a.mp4")) as container:
        video = container.streams.video[0]
        assert (video.width, video.height) == SIZE
        assert video.codec_context.name == "h264"
        assert video.codec_context.pix_fmt == "yuv420p"
        assert video.average_rate == 25
        assert container.duration == 2_000_000
        mark = json.loads(container.metadata["AIGC"])
        assert mark["Label"] == "1"
        assert "AI-generated" in container.metadata["title"]
        assert "AI-generated" in container.metadata["comment"]
        keys = [f.pts * f.time_base for f in container.decode(video=0) if f.key_frame]
        assert max(np.diff([*keys, 2])) <= 2


@pytest.mark.parametrize(
    "colour",
    [(0, 0, 0), (255, 255, 255), (255, 0, 0), (0, 255, 0), (0, 0, 255), (200, 30, 120),
     (128, 128, 128), (224, 172, 105), (60, 90, 40)],
)  # fmt: skip
def test_colours_come_back(tmp_path: Path, colour: tuple[int, int, int]) -> None:
    with Mp4Writer(tmp_path / "c.mp4", SIZE, 30, TAGS) as writer:
        for _ in range(3):
            writer.write_rgb(flat(colour))
    with av.open(str(tmp_path / "c.mp4")) as container:
        *_, last = container.decode(video=0)
    error = last.to_ndarray(format="rgb24").astype(int) - np.array(colour)
    assert np.abs(error).mean() <= 3
    assert (last.colorspace, last.color_range) == (6, 1)  # BT.601, limited


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    steps_ms=st.lists(st.integers(1, 150), min_size=1, max_size=30),
    fps=st.sampled_from([24.0, 29.97, 30.0]),
    start_ms=st.integers(0, 10**9),
)
def test_file_lasts_as_long_as_the_capture(
    tmp_path: Path, steps_ms: list[int], fps: float, start_ms: int
) -> None:
    times_ns = np.cumsum([start_ms, *steps_ms]) * 1_000_000
    with sink_at(tmp_path / "t.mp4", fps, force=True) as sink:
        for value, at_ns in enumerate(times_ns):
            sink.write(grey_frame(value * 8 + 5, int(at_ns)))
    levels, seconds = read_greys(tmp_path / "t.mp4")
    np.testing.assert_allclose(np.diff(seconds), 1 / fps, atol=1e-3)
    captured_s = (times_ns[-1] - times_ns[0]) / 1e9
    assert abs(len(levels) / fps - (captured_s + 1 / fps)) <= 1 / fps
    assert (np.diff(levels) >= -2).all()


def test_slots_nobody_reached_repeat_and_taken_ones_stay(tmp_path: Path) -> None:
    milliseconds = [0, 33, 34, 67, 200, 190, 233]
    with sink_at(tmp_path / "s.mp4") as sink:
        for i, at in enumerate(milliseconds):
            sink.write(grey_frame(i * 30 + 20, at * 1_000_000))
    levels, _ = read_greys(tmp_path / "s.mp4")
    shown = [round((level - 20) / 30) for level in levels]
    assert shown == [0, 1, 3, 3, 3, 3, 4, 6]


CHILD = """
import os, sys, time
import numpy as np
from pathlib import Path
from avatar.core.frames import GeneratedFrame, Presence
from avatar.stages.label import VisibleLabel, file_metadata
from avatar.stages.sinks.file import FileSink
label = VisibleLabel()
sink = FileSink(Path(sys.argv[1]), size_px=(160, 120), fps=30, metadata=file_metadata("t", "1"))
with sink:
    for i in range(int(sys.argv[2])):
        picture = np.full((120, 160, 3), i % 200 + 20, np.uint8)
        sink.write(label.label(GeneratedFrame(picture, i * 33_333_333, i, Presence.TRACKED)))
    print("written", flush=True)
    sys.stdin.read()
"""


@LINUX
@pytest.mark.parametrize("frames", [1, 20, 100, 167])
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_recording_plays_and_is_marked(
    tmp_path: Path, frames: int, how: signal.Signals
) -> None:
    path = tmp_path / "killed.mp4"
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, str(path), str(frames)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"written\n"
        child.send_signal(how)
        assert child.wait() == -how
    left = list(tmp_path.iterdir())
    assert left == ([tmp_path / "killed.part.mp4"] if frames >= 20 else [])
    if left:
        with av.open(str(left[0])) as container:
            assert json.loads(container.metadata["AIGC"])["Label"] == "1"
            assert sum(1 for _ in container.decode(video=0)) >= frames - 16


@LINUX
def test_every_prefix_of_a_recording_is_readable(tmp_path: Path) -> None:
    """A file cut at any byte after its head plays up to the last whole fragment."""
    with Mp4Writer(tmp_path / "whole.mp4", SIZE, 30, TAGS) as writer:
        for i in range(60):
            writer.write_rgb(flat((i * 4, 100, 50)))
        data = (tmp_path / "whole.part.mp4").read_bytes()
    first = data.index(b"moof")
    counts = []
    for cut in range(first + 2000, len(data), 997):
        with av.open(io.BytesIO(data[:cut])) as container:
            assert "AIGC" in container.metadata
            counts.append(_decodable(container))
    assert counts == sorted(counts)
    assert counts[-1] >= 40


def _decodable(container: av.container.InputContainer) -> int:
    count = 0
    try:
        for _ in container.decode(video=0):
            count += 1
    except av.error.FFmpegError:
        pass  # the cut itself
    return count


FULL = """
import resource, sys
import numpy as np
from pathlib import Path
from avatar.core.errors import SinkLostError
from avatar.core.frames import GeneratedFrame, Presence
from avatar.stages.label import VisibleLabel, file_metadata
from avatar.stages.sinks.file import FileSink
label = VisibleLabel()
noise = np.random.default_rng(0).integers(0, 256, (120, 160, 3), np.uint8)
resource.setrlimit(resource.RLIMIT_FSIZE, (160_000, resource.RLIM_INFINITY))
sink = FileSink(Path(sys.argv[1]), size_px=(160, 120), fps=30, metadata=file_metadata("t", "1"))
try:
    with sink:
        for i in range(500):
            picture = np.roll(noise, i * 7, 1)
            sink.write(label.label(GeneratedFrame(picture, i * 33_333_333, i, Presence.TRACKED)))
except SinkLostError as error:
    print(error)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
with sink:
    sink.write(label.label(GeneratedFrame(noise.copy(), 0, 0, Presence.TRACKED)))
print(sink.path.name)
"""


@LINUX
def test_a_file_that_cannot_grow_is_said_and_recording_can_go_on_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "full.mp4"
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    said, second = done.stdout.splitlines()
    assert "largest size" in said and "still plays" in said and str(path) in said
    assert second == "full-2.mp4"
    assert "Traceback" not in done.stderr
    with av.open(str(path)) as container:
        assert "AIGC" in container.metadata
        assert _decodable(container) > 0
    with av.open(str(tmp_path / second)) as container:
        assert _decodable(container) == 1


def in_a_small_disk(program: str, size: str, folder: Path) -> str:
    """Run ``program`` where ``folder`` is a disk of its own; return what it printed."""
    shell = f'mount -t tmpfs -o size={size} none "$1" && exec "$2" -c "$3" "$1"'
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", shell, "sh", str(folder), sys.executable, program],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if "mount:" in done.stderr or "unshare" in done.stderr:
        pytest.skip(f"no disk of its own: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    return done.stdout


START = """
import sys
from pathlib import Path
from avatar.core.errors import AvatarError
from avatar.stages.label import file_metadata
from avatar.stages.sinks.mp4 import Mp4Writer
folder = Path(sys.argv[1])
(folder / "filler").write_bytes(bytes(53_000))
try:
    Mp4Writer(folder / "a.mp4", (160, 120), 30, file_metadata("t", "1")).__enter__()
except AvatarError as error:
    print(type(error).__name__, error)
print(*(path.name for path in folder.iterdir()))
"""


@LINUX
def test_a_full_disk_is_named_at_the_start_and_nothing_is_left(tmp_path: Path) -> None:
    said, left = in_a_small_disk(START, "64k", tmp_path).splitlines()
    assert said.startswith("SinkUnavailableError")
    assert "the disk is full" in said
    assert left == "filler"


def test_an_existing_file_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "mine.mp4"
    path.write_bytes(b"precious")
    with pytest.raises(UsageError, match=r"mine\.mp4 exists.*--force"), sink_at(path):
        pass
    assert path.read_bytes() == b"precious"
    with sink_at(path, force=True) as sink:
        sink.write(grey_frame(50, 0))
    assert len(read_greys(path)[0]) == 1


def test_entered_again_it_never_overwrites_its_own_recording(tmp_path: Path) -> None:
    (tmp_path / "talk-2.mp4").write_bytes(b"precious")
    sink = sink_at(tmp_path / "talk.mp4", force=True)
    names = []
    for i in range(3):
        with sink:
            sink.write(grey_frame(50, i))
            names.append(sink.path.name)
    assert names == ["talk.mp4", "talk-3.mp4", "talk-4.mp4"]
    assert (tmp_path / "talk-2.mp4").read_bytes() == b"precious"


@pytest.mark.parametrize(
    ("name", "kind", "says"),
    [
        ("nowhere/a.mp4", SinkUnavailableError, "does not exist"),
        ("a.mkv", UsageError, r"\.mp4"),
        ("", UsageError, r"\.mp4"),
        ("dir.mp4", SinkUnavailableError, "folder"),
        ("x" * 300 + ".mp4", SinkUnavailableError, "cannot be made"),
    ],
)
def test_impossible_paths_are_named(
    tmp_path: Path, name: str, kind: type[Exception], says: str
) -> None:
    (tmp_path / "dir.mp4").mkdir()
    path = tmp_path / name if name else Path()
    with pytest.raises(kind, match=says), sink_at(path):
        pass


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write")
def test_a_folder_without_permission_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(SinkUnavailableError, match="may not write"), sink_at(tmp_path / "a.mp4"):
        pass


def test_odd_sizes_get_the_nearest_even_one(tmp_path: Path) -> None:
    sink = FileSink(tmp_path / "a.mp4", size_px=(161, 119), fps=30, metadata=TAGS)
    with pytest.raises(UsageError, match="162x120"), sink:
        pass
    assert not (tmp_path / "a.mp4").exists()


def test_names_with_colons_and_other_alphabets_are_files(tmp_path: Path) -> None:
    for name in ("http:talk.mp4", "Gespräch 会议.mp4", "%d.mp4"):
        with sink_at(tmp_path / name) as sink:
            sink.write(grey_frame(50, 0))
        assert (tmp_path / name).stat().st_size > 0


def test_a_file_without_the_mark_cannot_be_asked_for(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="AIGC"):
        Mp4Writer(tmp_path / "a.mp4", SIZE, 30, {"title": "x"})


def test_a_recording_without_frames_leaves_nothing(tmp_path: Path) -> None:
    with sink_at(tmp_path / "a.mp4"):
        assert list(tmp_path.iterdir()) == []
    (tmp_path / "old.mp4").write_bytes(b"precious")
    with sink_at(tmp_path / "old.mp4", force=True):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["old.mp4"]
    assert (tmp_path / "old.mp4").read_bytes() == b"precious"


def make_clip(path: Path, codec: str, seconds: float) -> None:
    """Write a clip with a beep in its second half, in the container that ``path`` names."""
    with av.open(str(path), "w") as out:
        video = out.add_stream("libx264", rate=Fraction(30))
        video.width, video.height, video.pix_fmt = *SIZE, "yuv420p"
        audio = out.add_stream(codec, rate=48_000)
        audio.codec_context.layout = "mono"
        for _ in range(round(seconds * 30)):
            out.mux(video.encode(av.VideoFrame.from_ndarray(flat((9, 9, 9)), format="rgb24")))
        out.mux(video.encode(None))
        t = np.arange(round(seconds * 48_000)) / 48_000
        wave = np.where(t >= seconds / 2, np.sin(t * 2 * np.pi * 440) * 20_000, 0)
        frame = av.AudioFrame.from_ndarray(wave.astype(np.int16)[None], "s16", "mono")
        frame.sample_rate, frame.pts = 48_000, 0
        resampler = av.AudioResampler(
            format=audio.codec_context.format, layout="mono", rate=48_000, frame_size=1024
        )
        for piece in [*resampler.resample(frame), *resampler.resample(None)]:
            out.mux(audio.encode(piece))
        out.mux(audio.encode(None))


@pytest.mark.parametrize(
    ("name", "codec", "kept"), [("in.mp4", "aac", "aac"), ("in.mov", "pcm_s16le", "aac")]
)
def test_sound_of_another_clip_is_carried_along(
    tmp_path: Path, name: str, codec: str, kept: str
) -> None:
    make_clip(tmp_path / name, codec, 2.0)
    writer = Mp4Writer(tmp_path / "out.mp4", SIZE, 30, TAGS, preset="veryfast", low_latency=False)
    sound = find_sound(tmp_path / name)
    assert sound is not None
    writer.take_sound(sound)
    with writer:
        for i in range(45):
            writer.write_rgb(flat((i, i, i)))
    with av.open(str(tmp_path / "out.mp4")) as container:
        audio = container.streams.audio[0]
        assert audio.codec_context.name == kept
        pieces = list(container.decode(audio))
        levels = np.concatenate([np.abs(p.to_ndarray()).max(0) for p in pieces])
        onset_s = float(pieces[0].time or 0) + np.argmax(levels > levels.max() / 2) / 48_000
        assert abs(onset_s - 1.0) < 0.06
        assert abs(len(levels) / 48_000 - 1.5) < 0.06
    assert len(read_greys(tmp_path / "out.mp4")[0]) == 45


def test_a_clip_without_sound_is_no_error(tmp_path: Path) -> None:
    with Mp4Writer(tmp_path / "mute.mp4", SIZE, 30, TAGS) as writer:
        writer.write_rgb(flat((1, 2, 3)))
    assert find_sound(tmp_path / "mute.mp4") is None


def test_sound_from_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("no sound")
    with pytest.raises(UsageError, match=r"text\.wav"):
        find_sound(tmp_path / "text.wav")


def test_writer_says_what_came_before_what(tmp_path: Path) -> None:
    writer = Mp4Writer(tmp_path / "a.mp4", SIZE, 30, TAGS)
    with pytest.raises(RuntimeError, match="entered"):
        writer.write_rgb(flat((0, 0, 0)))
    with writer:
        with pytest.raises(RuntimeError, match="repeat"):
            writer.repeat_last()
        with pytest.raises(SinkError, match="expected"):
            writer.write_rgb(flat((0, 0, 0), (32, 32)))
    assert issubclass(SinkLostError, SinkError)
