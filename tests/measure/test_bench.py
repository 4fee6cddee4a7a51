import importlib.util
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avatar.core.clock import ManualClock
from avatar.core.errors import UsageError
from avatar.core.home import Home
from avatar.core.options import Options
from avatar.measure.bench import bench, load_frames
from avatar.measure.glass import Code, Screen, glass
from avatar.stages.sources import create_source
from tests.measure.pages import Page

SHORT = Options(camera="demo", size="320x240", seconds=1.0)


def test_a_camera_cannot_be_replayed() -> None:
    for camera in ("0", "/dev/video0"):
        with pytest.raises(UsageError, match="bench replays a recording"):
            load_frames(camera, 30.0)


def test_frames_come_back_as_a_webcam_sends_them() -> None:
    frames = load_frames("demo", 30.0)
    assert len(frames) == 600
    assert frames[0].shape == (480, 640, 3)
    with create_source("demo", clock=ManualClock()) as source:
        truth = source.read()
    assert truth is not None
    assert np.abs(frames[0].astype(int) - truth.image).mean() < 2


@pytest.mark.parametrize("unpaced", [False, True])
def test_a_run_reports_every_stage_and_draws_it(tmp_path: Path, unpaced: bool, home: Home) -> None:
    plot = tmp_path / ("bench.html" if unpaced else "bench.png")
    figures = tmp_path / "bench.json"
    assert bench(SHORT, home, unpaced=unpaced, json_path=figures, plot=plot) == 0
    summary = json.loads(figures.read_text())
    assert set(summary["stages"]) == {
        "capture", "track", "retarget", "generate", "label", "sink none",
    }  # fmt: skip
    latency = summary["sinks"]["none"]["latency"]
    assert 0 < latency["p50_ms"] <= latency["p95_ms"] <= latency["max_ms"]
    assert summary["cpu_ratio_to_tracker"] > 1
    assert summary["tracker_alone"]["before"]["cpu_ms"] > 0
    assert summary["counts"]["captured"] > 10
    if importlib.util.find_spec("mediapipe") is not None:
        assert summary["machine"]["mediapipe"] == "0.10.33"
    if unpaced:
        page = plot.read_text()
        assert Page(page).count("img") == 1
        # With the colon: pictures are in the page as base64, where "http" does turn up.
        assert "://" not in page.replace("http://www.w3.org", "")
    else:
        assert plot.read_bytes().startswith(b"\x89PNG")


def test_a_camera_slower_than_the_output_is_measured_with_what_is_predicted(
    tmp_path: Path, home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    figures = tmp_path / "bench.json"
    asked = replace(SHORT, fps=30.0, seconds=6.0)
    assert bench(asked, home, unpaced=False, json_path=figures, plot=None, camera_fps=12) == 0
    summary = json.loads(figures.read_text())
    assert (summary["what"]["camera_fps"], summary["what"]["fps"]) == (12, 30)
    sink, counts = summary["sinks"]["none"], summary["counts"]
    # Seen half a camera's step later on average, and not said to be as fresh as the others.
    assert sink["predicted_latency"]["p50_ms"] > sink["latency"]["p50_ms"]
    assert counts["presence.predicted"] > 5
    assert sink["delivery"]["frames"] > sink["latency"]["count"]
    assert "12 to 30 fps" in " ".join(capsys.readouterr().err.split())


def test_a_plot_of_another_kind_is_refused(tmp_path: Path, home: Home) -> None:
    with pytest.raises(UsageError, match=r"\.png or \.html"):
        bench(SHORT, home, unpaced=False, json_path=None, plot=tmp_path / "bench.gif")


@settings(max_examples=30, deadline=None)
@given(number=st.integers(0, 999), scale=st.floats(0.5, 1.0))
def test_a_drawn_number_is_read_back_also_from_afar(number: int, scale: float) -> None:
    import cv2

    image = np.full((480, 640, 3), 90, np.uint8)
    code = Code()
    code.draw(image, number)
    seen = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    assert code.find(np.asarray(seen, np.uint8)) == number


def test_a_picture_without_a_number_has_none() -> None:
    with create_source("demo", clock=ManualClock()) as source:
        frame = source.read()
    assert frame is not None
    assert Code().find(frame.image) is None


def test_the_screen_remembers_when_it_showed_what() -> None:
    clock = ManualClock()
    with Screen(create_source("demo", clock=clock), clock) as screen:
        frames = [frame for frame in (screen.read() for _ in range(4)) if frame is not None]
    for frame in frames:
        assert screen.shown[frame.index % 1000] == frame.timestamp_ns
        assert Code().find(frame.image) == frame.index % 1000


def test_looped_back_light_to_light_is_the_programs_own_delay(tmp_path: Path, home: Home) -> None:
    path = tmp_path / "glass.json"
    config = replace(SHORT, camera="loop", size="640x480", seconds=2.0)
    assert glass(config, home, json_path=path) == 0
    figures = json.loads(path.read_text())
    light, inside = figures["light_to_light"], figures["capture_to_sink"]
    assert light["count"] > 10
    # Nothing lies between the screen and the camera, so both clocks must say the same.
    assert abs(light["p50_ms"] - inside["p50_ms"]) < 1.0
