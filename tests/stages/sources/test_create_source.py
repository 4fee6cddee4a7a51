from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from avatar.core.clock import ManualClock
from avatar.core.errors import SourceNotFoundError
from avatar.stages.sources import create_source
from avatar.stages.sources.camera import CameraSource
from avatar.stages.sources.demo import DemoSource
from avatar.stages.sources.video import VideoSource

CLOCK = ManualClock()


def test_demo_in_the_size_asked_for() -> None:
    source = create_source("demo", size_px=(320, 240), clock=CLOCK)
    assert isinstance(source, DemoSource)
    with source:
        frame = source.read()
    assert frame is not None
    assert frame.image.shape == (240, 320, 3)


@pytest.mark.parametrize("spec", ["0", "3", "17"])
def test_numbers_are_cameras(spec: str) -> None:
    assert isinstance(create_source(spec, clock=CLOCK), CameraSource)


@pytest.mark.parametrize(
    "spec", ["rtsp://host/stream", "HTTP://host/x.m3u8", "udp://@:5000", "rtmp://host/live"]
)
def test_addresses_are_videos(spec: str) -> None:
    assert isinstance(create_source(spec, clock=CLOCK), VideoSource)


def test_files_are_videos_also_as_an_address(tmp_path: Path) -> None:
    path = tmp_path / "a film.mp4"
    path.write_bytes(b"x")
    for spec in (str(path), path.as_uri()):
        source = create_source(spec, clock=CLOCK)
        assert isinstance(source, VideoSource)
        assert source.name == str(path)


def test_a_mistyped_path_names_what_lies_near(tmp_path: Path) -> None:
    (tmp_path / "Interview.mp4").write_bytes(b"x")
    (tmp_path / "other.txt").write_bytes(b"x")
    with pytest.raises(SourceNotFoundError) as caught:
        create_source(str(tmp_path / "intervew.mp4"), clock=CLOCK)
    said = str(caught.value)
    assert "Expected 'demo', a camera's number" in said
    assert "intervew.mp4" in said
    assert "Near it:" in said
    assert "Interview.mp4" in said
    assert "other.txt" not in said
    assert "amera" in said.split("Near it:")[1]


@pytest.mark.parametrize(
    "spec", ["", " ", "Demo?", "-1", "0.5", "/dev/video0x", "no/such/folder/film.mp4", "٣", "a\0b"]
)
def test_anything_else_is_an_error_and_never_camera_0(spec: str) -> None:
    with pytest.raises(SourceNotFoundError, match="Expected 'demo'"):
        create_source(spec, clock=CLOCK)


def test_a_folder_is_no_source(tmp_path: Path) -> None:
    with pytest.raises(SourceNotFoundError, match="a folder"):
        create_source(str(tmp_path), clock=CLOCK)


def test_an_unknown_scheme_lists_the_known_ones() -> None:
    with pytest.raises(SourceNotFoundError, match=r"rtsp://.*found gopher://"):
        create_source("gopher://host/x", clock=CLOCK)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="device nodes are Linux's")
@pytest.mark.parametrize(
    ("spec", "found"), [("63", "/dev/video63"), (os.devnull, "takes no pictures")]
)
def test_an_absent_camera_lists_those_there_are(spec: str, found: str) -> None:
    source = create_source(spec, clock=CLOCK)
    with pytest.raises(SourceNotFoundError, match=found) as caught, source:
        pass
    assert "amera" in str(caught.value)
    assert "found" in str(caught.value)


def test_importing_the_sources_imports_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from avatar.stages.sources import camera, demo, reconnect, replay, video\n"
        "assert not {'cv2', 'av', 'mediapipe'} & set(sys.modules), sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
