from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avatar.core.errors import MissingDependencyError, SinkUnavailableError, UsageError
from avatar.stages.sinks import any_camera, libpipewire, pipewire_service
from avatar.stages.sinks.any_camera import AnyCameraSink
from avatar.stages.sinks.camera_format import FormatConverter, layout_of, offered_formats
from avatar.stages.sinks.conversion import Letterbox, RgbRows, Yuy2Converter
from avatar.stages.sinks.devices import OutputDevice
from avatar.stages.sinks.none import NullSink
from avatar.stages.sinks.pipewire import PipeWireSink
from avatar.stages.sinks.pipewire_service import look_for_pipewire, socket_path
from avatar.stages.sinks.spa import (
    I420,
    RGB,
    YUY2,
    VideoFormat,
    buffers_pod,
    format_pod,
    header_meta_pod,
    parse_format,
    pod_size,
)
from tests.stages.sinks.numbers import COLOUR, number, numbered
from tests.stages.sinks.pipewire_session import PipeWireSession

LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux")
HD = VideoFormat(I420, (1280, 720), (30, 1))
# What the builder in the C headers of PipeWire 0.3.65 makes of the same values.
FORMAT_BY_C = """
    b00000000f000000 0300040003000000 0100000000000000 0400000003000000
    0200000000000000 0200000000000000 0400000003000000 0100000000000000
    0100020000000000 0400000003000000 0200000000000000 0300020000000000
    080000000a000000 00050000d0020000 0400020000000000 080000000b000000
    1e00000001000000 0c00020000000000 0400000003000000 0200000000000000
    0d00020000000000 0400000003000000 0400000000000000
"""
BUFFERS_BY_C = """
    a80000000f000000 0400040005000000 0100000000000000 1c00000013000000
    0100000000000000 0400000004000000 0400000002000000 0800000000000000
    0200000000000000 0400000004000000 0100000000000000 0300000000000000
    0400000004000000 0018150000000000 0400000000000000 0400000004000000
    0005000000000000 0600000000000000 1400000013000000 0400000000000000
    0400000004000000 0600000000000000
"""
META_BY_C = """
    380000000f000000 0500040006000000 0100000000000000 0400000003000000
    0100000000000000 0200000000000000 0400000004000000 2000000000000000
"""


@pytest.mark.skipif(sys.byteorder != "little", reason="the bytes are those of a little-endian CPU")
def test_parameters_are_the_bytes_that_the_c_library_makes() -> None:
    assert format_pod(HD) == bytes.fromhex(FORMAT_BY_C)
    assert buffers_pod(1280 * 720 * 3 // 2, 1280) == bytes.fromhex(BUFFERS_BY_C)
    assert header_meta_pod() == bytes.fromhex(META_BY_C)


video_formats = st.builds(
    VideoFormat,
    st.sampled_from([I420, YUY2, RGB]),
    st.tuples(st.integers(1, 2**16), st.integers(1, 2**16)),
    st.tuples(st.integers(0, 2**16), st.integers(1, 2**16)),
)


@given(video_formats)
def test_what_is_offered_is_what_is_read(video: VideoFormat) -> None:
    pod = format_pod(video)
    assert pod_size(pod[:8]) == len(pod)
    assert parse_format(pod) == video


@given(st.binary(max_size=120), st.integers(0, 184))
def test_damaged_parameters_are_no_format_or_another_one(noise: bytes, cut: int) -> None:
    pod = format_pod(HD)
    assert parse_format(pod[:cut]) in (None, HD, VideoFormat(I420, HD.size_px, (0, 1)))
    parse_format(noise)
    parse_format(pod[:16] + noise)


def test_other_objects_are_no_format() -> None:
    assert parse_format(buffers_pod(10, 10)) is None
    assert parse_format(b"") is None


def test_the_pictures_own_size_comes_first_and_nothing_is_enlarged() -> None:
    offered = offered_formats((1280, 720), 30)
    assert [video.pixels for video in offered[:3]] == [I420, YUY2, RGB]
    assert {video.size_px for video in offered[:3]} == {(1280, 720)}
    assert {video.size_px for video in offered[3:]} == {
        (960, 540), (640, 480), (640, 360), (320, 240)
    }  # fmt: skip
    assert len(set(offered)) == len(offered)


def test_the_rate_is_a_fraction() -> None:
    assert offered_formats((64, 64), 29.97)[0].fps == (2997, 100)
    assert offered_formats((64, 64), 12.5)[0].fps == (25, 2)


@pytest.mark.parametrize("size", [(642, 480), (100, 74)])
def test_i420_is_offered_only_where_all_agree_on_its_rows(size: tuple[int, int]) -> None:
    own = [video.pixels for video in offered_formats(size, 30) if video.size_px == size]
    assert own == [YUY2, RGB]


@pytest.mark.parametrize("pixels", [I420, YUY2, RGB])
@pytest.mark.parametrize("size", [(320, 180), (320, 240), (160, 90)])
def test_converted_pictures_fill_their_layout_and_keep_number_and_colour(
    pixels: int, size: tuple[int, int]
) -> None:
    video = VideoFormat(pixels, size, (30, 1))
    converted = FormatConverter((320, 180), video).convert(numbered(0x155, (320, 180)).image)
    assert converted.flags.c_contiguous
    assert converted.nbytes == layout_of(video).size
    rgb = decoded(converted, video)
    bars = size[1] - size[0] * 9 // 16
    picture = rgb[bars // 2 : size[1] - bars // 2]
    assert number(picture) == 0x155
    assert np.abs(picture[len(picture) // 2, size[0] // 3].astype(int) - COLOUR).max() <= 3


def decoded(data: np.ndarray[Any, np.dtype[np.uint8]], video: VideoFormat) -> Any:
    import cv2

    (width, height), stride = video.size_px, layout_of(video).stride
    if video.pixels == I420:
        return cv2.cvtColor(data.reshape(height * 3 // 2, width), cv2.COLOR_YUV2RGB_I420)
    if video.pixels == YUY2:
        return cv2.cvtColor(data.reshape(height, width, 2), cv2.COLOR_YUV2RGB_YUY2)
    return data.reshape(height, stride)[:, : width * 3].reshape(height, width, 3)


def test_rows_of_rgb_end_at_a_multiple_of_four() -> None:
    rows = RgbRows((2, 3)).convert(np.full((3, 2, 3), 7, np.uint8))
    assert rows.tolist() == [[7] * 6 + [0, 0]] * 3


def test_yuy2_is_limited_range_bt601() -> None:
    red = Yuy2Converter((4, 2)).convert(np.full((2, 4, 3), (255, 0, 0), np.uint8))
    assert red.shape == (2, 8)
    # Rec. ITU-R BT.601-7: Y = 16 + 219·0.299, Cb = 128 − 224·0.299/1.772, Cr = 128 + 224/2.
    expected = [16 + 219 * 0.299, 128 - 224 * 0.299 / 1.772, 16 + 219 * 0.299, 240]
    np.testing.assert_allclose(red[0], expected * 2, atol=1)


@given(
    st.tuples(st.integers(1, 60), st.integers(1, 60)),
    st.tuples(st.integers(1, 60), st.integers(1, 60)),
)
def test_a_letterbox_touches_two_sides_and_cuts_nothing(
    source: tuple[int, int], target: tuple[int, int]
) -> None:
    image = np.full((source[1], source[0], 3), 255, np.uint8)
    fitted = Letterbox(source, target).fit(image)
    assert fitted.shape == (target[1], target[0], 3)
    lit = fitted[..., 0] > 0
    assert lit.any()
    assert lit.any(axis=0).all() or lit.any(axis=1).all()


def test_without_its_library_the_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise OSError(f"{name}: cannot open shared object file: No such file or directory")

    monkeypatch.setattr(ctypes, "CDLL", absent)
    monkeypatch.setattr(sys, "platform", "linux")
    libpipewire.load.cache_clear()
    with pytest.raises(MissingDependencyError, match=r"pipewire wireplumber.*--out preview"):
        PipeWireSink((64, 64), 30).__enter__()
    assert not look_for_pipewire().library


def test_other_systems_are_told_what_they_have(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(SinkUnavailableError, match=r"--out virtual.*OBS"):
        PipeWireSink((64, 64), 30).__enter__()
    assert not look_for_pipewire().is_usable


@pytest.mark.parametrize("kind", [PipeWireSink, lambda *a: AnyCameraSink(*a, lambda line: None)])
def test_odd_sizes_get_the_nearest_even_one(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(any_camera, "list_outputs", list)
    with pytest.raises(UsageError, match=r"even.*642x480"):
        kind((641, 480), 30).__enter__()


@LINUX
def test_without_its_service_it_says_what_to_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    needs_library()
    monkeypatch.setenv("PIPEWIRE_RUNTIME_DIR", str(tmp_path))
    with pytest.raises(SinkUnavailableError, match=r"does not run.*wireplumber.*--out preview"):
        PipeWireSink((64, 64), 30).__enter__()
    assert socket_path() == tmp_path / "pipewire-0"
    assert not look_for_pipewire().answers


@LINUX
@pytest.mark.parametrize("part", ["PIPEWIRE_CONFIG_DIR", "PIPEWIRE_MODULE_DIR"])
def test_half_an_installation_is_told(
    part: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    needs_library()
    monkeypatch.setenv(part, str(tmp_path))
    with pytest.raises(MissingDependencyError, match=r"without its plug-ins.*wireplumber"):
        PipeWireSink((64, 64), 30).__enter__()


def needs_library() -> None:
    try:
        ctypes.CDLL(libpipewire.SONAME)
    except OSError:
        pytest.skip(f"needs {libpipewire.SONAME}: apt-get install libpipewire-0.3-0")


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[PipeWireSession]:
    with PipeWireSession(managed=False) as session:
        for key, value in session.environment.items():
            monkeypatch.setenv(key, value)
        yield session


class Loopback(NullSink):
    """Stands for v4l2loopback, which no test machine has; ``refusal`` is what entering meets."""

    refusal: SinkUnavailableError | None = None
    device = "/dev/video9"

    def __init__(self, size_px: tuple[int, int], fps: float) -> None:
        super().__init__(size_px)

    def __enter__(self) -> Any:
        if self.refusal:
            raise self.refusal
        return super().__enter__()


@pytest.fixture
def loopback(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Loopback]]:
    there = [OutputDevice("/dev/video9", "Camera", "free")]
    monkeypatch.setattr(any_camera, "list_outputs", lambda: there)
    monkeypatch.setattr(any_camera, "VirtualSink", Loopback)
    yield Loopback
    Loopback.refusal = None


@LINUX
def test_a_loopback_device_comes_first_and_is_named(loopback: type[Loopback]) -> None:
    said: list[str] = []
    with AnyCameraSink((64, 64), 30, said.append) as sink:
        sink.write(numbered(1, (64, 64)))
        assert isinstance(sink.camera, Loopback)
    assert said == ['virtual camera: choose "Camera" in the call (v4l2loopback, /dev/video9)']


@LINUX
def test_one_that_is_taken_leaves_pipewire_and_says_why(
    loopback: type[Loopback], service: PipeWireSession
) -> None:
    loopback.refusal = SinkUnavailableError(
        "/dev/video9 is in use. To go on without a virtual camera: --out preview."
    )
    said: list[str] = []
    sink = AnyCameraSink((64, 64), 30, said.append)
    with sink:
        assert isinstance(sink.camera, PipeWireSink)
    loopback.refusal = None
    with sink:
        assert isinstance(sink.camera, PipeWireSink), "the call watches that camera"
    (line,) = said
    assert '"Avatar"' in line and "PipeWire" in line and "/dev/video9 is in use" in line
    assert "--out preview" not in line


@LINUX
def test_without_either_both_ways_are_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(any_camera, "list_outputs", list)
    monkeypatch.setenv("PIPEWIRE_RUNTIME_DIR", str(tmp_path))
    with pytest.raises(SinkUnavailableError) as raised:
        AnyCameraSink((64, 64), 30, lambda line: None).__enter__()
    told = str(raised.value)
    for words in ("v4l2loopback", "pipewire", "wireplumber", "doctor --camera"):
        assert words in told
    assert told.count("--out preview") == 1


@LINUX
def test_a_service_is_found_by_its_socket(
    service: PipeWireSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert look_for_pipewire().answers
    monkeypatch.setattr(pipewire_service, "_session_manager", lambda: None)
    assert not look_for_pipewire().is_usable
    monkeypatch.setattr(pipewire_service, "_session_manager", lambda: "wireplumber")
    assert look_for_pipewire().is_usable
