"""What every sink promises; a new one is one more row in ``SINKS``."""

from __future__ import annotations

import ast
import os
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from avatar.core.clock import ManualClock
from avatar.core.errors import SinkError, UsageError
from avatar.core.frames import GeneratedFrame, LabelledFrame, Presence
from avatar.core.stages import FrameSink
from avatar.stages.label import VisibleLabel, file_metadata
from avatar.stages.sinks import any_camera, create_sink, sink_kinds
from avatar.stages.sinks.any_camera import AnyCameraSink
from avatar.stages.sinks.file import FileSink
from avatar.stages.sinks.memory import MemorySink
from avatar.stages.sinks.none import NullSink
from avatar.stages.sinks.page import Audience, PageSink
from avatar.stages.sinks.pipewire import PipeWireSink
from avatar.stages.sinks.preview import PreviewSink
from avatar.stages.sinks.streaming.sink import StreamSink
from avatar.stages.sinks.virtual import VirtualSink
from tests import ROOT
from tests.stages.sinks.pipewire_session import PipeWireSession
from tests.stages.sinks.streaming.servers import RtmpServer, free_port

SIZE = (160, 120)
STEP_NS = 33_333_333
LABEL = VisibleLabel()


class RecordingBackend:
    """A pyvirtualcam backend that keeps what it is sent: a camera without a driver."""

    sent: list[bytes] = []  # noqa: RUF012

    def __init__(self, *, width: int, height: int, fps: float, fourcc: int, device: Any) -> None:
        self._device = device or "recorder"

    def send(self, frame: np.ndarray[Any, np.dtype[np.uint8]]) -> None:
        self.sent.append(frame.tobytes())

    def close(self) -> None:
        pass

    def device(self) -> str:
        return str(self._device)

    def native_fourcc(self) -> None:
        return None


def virtual(tmp_path: Path) -> FrameSink:
    import pyvirtualcam

    pyvirtualcam.register_backend("recorder", RecordingBackend)
    return VirtualSink(SIZE, 30, backend="recorder")


def file(tmp_path: Path) -> FrameSink:
    tags = file_metadata("test", "1")
    return FileSink(tmp_path / "out.mp4", size_px=SIZE, fps=30, metadata=tags)


def preview(tmp_path: Path) -> FrameSink:
    if sys.platform.startswith("linux") and not os.environ.get("DISPLAY"):
        pytest.skip("no display; tests/stages/sinks/test_preview_real.py runs this under Xvfb")
    return PreviewSink(SIZE)


def watched() -> Audience:
    audience = Audience()
    audience.subscribe(lambda picture: None)
    return audience


SINKS: dict[str, Callable[[Path], FrameSink]] = {
    "memory": lambda tmp_path: MemorySink(SIZE),
    "none": lambda tmp_path: NullSink(SIZE),
    "file": file,
    "virtual": virtual,
    "any camera": lambda tmp_path: AnyCameraSink(SIZE, 30, lambda line: None),
    "pipewire": lambda tmp_path: PipeWireSink(SIZE, 30),
    "preview": preview,
    "page": lambda tmp_path: PageSink(SIZE, 30, watched()),
}
NEED_PIPEWIRE = {"any camera", "pipewire"}
# Kind of stream to the fixture that has an address of a receiver.
STREAMS = {"rtmp": "rtmp_address", "udp": "udp_address", "whip": "whip_address"}
ROWS = [
    pytest.param(kind, id=kind, marks=[pytest.mark.real] if kind == "preview" else [])
    for kind in (*SINKS, *STREAMS)
]


def labelled(index: int = 0, size_px: tuple[int, int] = SIZE) -> LabelledFrame:
    image = np.full((size_px[1], size_px[0], 3), 90, np.uint8)
    return LABEL.label(GeneratedFrame(image, index * STEP_NS, index, Presence.TRACKED))


@pytest.fixture(scope="module")
def pipewire() -> Iterator[PipeWireSession]:
    """The service alone: nobody reads here (tests/stages/sinks/test_pipewire_real.py does)."""
    with PipeWireSession(managed=False) as session:
        yield session


@pytest.fixture(scope="module")
def rtmp_address() -> Iterator[str]:
    with RtmpServer() as server:
        yield f"{server.address}/key"


@pytest.fixture(scope="module")
def udp_address() -> str:
    return f"udp://127.0.0.1:{free_port(socket.SOCK_DGRAM)}"


@pytest.fixture(scope="module")
def whip_address() -> Iterator[str]:
    pytest.importorskip("aiortc", reason="needs aiortc: scripts/setup webrtc")
    from tests.stages.sinks.streaming.whip_server import WhipServer

    with WhipServer() as server:
        yield server.address


@pytest.fixture(params=ROWS)
def sink(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[FrameSink]:
    if request.param in NEED_PIPEWIRE:
        for key, value in request.getfixturevalue("pipewire").environment.items():
            monkeypatch.setenv(key, value)
        monkeypatch.setattr(any_camera, "list_outputs", list)
    if request.param in STREAMS:
        made = make(request.getfixturevalue(STREAMS[request.param]))
    else:
        made = SINKS[request.param](tmp_path)
    yield made
    made.__exit__(None, None, None)


def test_takes_frames_and_can_be_entered_again(sink: FrameSink) -> None:
    for _ in range(2):
        with sink as entered:
            assert entered is sink
            for index in range(3):
                sink.write(labelled(index))


def test_may_be_left_twice_and_before_it_was_entered(sink: FrameSink) -> None:
    sink.__exit__(None, None, None)
    with sink:
        sink.write(labelled())
    sink.__exit__(None, None, None)
    sink.__exit__(ValueError, ValueError("on its way"), None)


def test_has_one_name_for_the_user(sink: FrameSink) -> None:
    name = sink.name
    assert name.partition(":")[0] in sink_kinds()
    for _ in range(2):
        with sink:
            assert sink.name == name  # counters go by it


def test_refuses_a_frame_before_it_is_entered(sink: FrameSink) -> None:
    with pytest.raises(RuntimeError, match="entered"):
        sink.write(labelled())


def test_refuses_a_frame_after_it_was_left(sink: FrameSink) -> None:
    with sink:
        pass
    with pytest.raises(RuntimeError, match="entered"):
        sink.write(labelled())


def test_refuses_another_size_and_says_both(sink: FrameSink) -> None:
    with sink, pytest.raises(SinkError, match=r"160×120.*found 320×240"):
        sink.write(labelled(size_px=(320, 240)))


def test_refuses_a_frame_that_is_not_labelled(sink: FrameSink) -> None:
    frame: Any = GeneratedFrame(np.zeros((120, 160, 3), np.uint8), 0, 0, Presence.TRACKED)
    with sink, pytest.raises(TypeError, match=r"LabelledFrame.*GeneratedFrame"):
        sink.write(frame)


def test_leaves_the_frame_as_it_was(sink: FrameSink) -> None:
    frame = labelled()
    before = frame.image.copy()
    with sink:
        sink.write(frame)
    np.testing.assert_array_equal(frame.image, before)


def test_takes_a_read_only_picture(sink: FrameSink) -> None:
    frame = labelled()
    frame.image.flags.writeable = False
    with sink:
        sink.write(frame)


def make(spec: str, **options: Any) -> FrameSink:
    return create_sink(spec, size_px=SIZE, fps=30, clock=ManualClock(), **options)


@pytest.mark.parametrize(
    ("spec", "kind"),
    [
        ("memory", MemorySink),
        ("none", NullSink),
        ("virtual", AnyCameraSink),
        ("virtual:/dev/video9", VirtualSink),
        ("pipewire", PipeWireSink),
        ("pipewire:My camera", PipeWireSink),
        ("preview", PreviewSink),
        ("file:a:b.mp4", FileSink),
        ("udp://239.1.2.3:5004", StreamSink),
    ],
)
def test_registry_makes_what_was_named(spec: str, kind: type) -> None:
    made = make(spec, metadata=file_metadata("test", "1"))
    assert isinstance(made, kind)
    assert made.name == spec


@pytest.mark.parametrize(
    ("spec", "hint"),
    [
        ("virtul", "'virtual'"),
        ("Preview", "'preview'"),
        ("", "known"),
        ("talk.mp4", "'file:talk.mp4'"),
        ("/dev/video9", "'virtual:/dev/video9'"),
        ("file", "needs a path"),
        ("file:", "needs a path"),
        ("none:x", "takes nothing"),
    ],
)
def test_registry_names_what_was_meant(spec: str, hint: str) -> None:
    with pytest.raises(UsageError, match=hint):
        make(spec)


def test_only_the_label_makes_labelled_frames() -> None:
    """``Seal`` is called, and ``LabelledFrame`` made, in avatar/stages/label alone."""
    callers = set()
    for package in ("avatar", "engines", "calibrate"):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and _called(node) in {"Seal", "LabelledFrame"}:
                    callers.add(path.parent.relative_to(ROOT).as_posix())
    assert callers == {"avatar/stages/label"}


def _called(node: ast.Call) -> str:
    function = node.func
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
