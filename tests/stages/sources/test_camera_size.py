"""What a camera is asked for, heard by a capture that is none."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest

from avatar.core.clock import ManualClock, MonotonicClock
from avatar.core.errors import UsageError
from avatar.core.options import Options
from avatar.sessions.live import open_camera
from avatar.stages.sources import camera, create_source


class Capture:
    """A camera of 1920×1080 and 640×480 that takes the nearest to what it is asked for."""

    def __init__(self) -> None:
        self.asked: dict[int, float] = {}

    def isOpened(self) -> bool:
        return True

    def set(self, what: int, value: float) -> bool:
        self.asked[what] = value
        return True

    def grab(self) -> bool:
        return True

    def retrieve(self) -> tuple[bool, Any]:
        wide = self.size_px[0] > 1280
        return True, np.zeros((1080, 1920, 3) if wide else (480, 640, 3), np.uint8)

    def release(self) -> None:
        pass

    @property
    def size_px(self) -> tuple[float, float]:
        return self.asked[cv2.CAP_PROP_FRAME_WIDTH], self.asked[cv2.CAP_PROP_FRAME_HEIGHT]


@pytest.fixture
def capture(monkeypatch: pytest.MonkeyPatch) -> Capture:
    made = Capture()
    monkeypatch.setattr(camera, "open_capture", lambda target: made)
    monkeypatch.setattr(camera, "_check_usable", lambda target: None)
    return made


@pytest.mark.parametrize(
    ("given", "asked", "seen"),
    [
        ({}, (640, 480), (640, 480)),
        ({"camera_size": "1280x720"}, (1280, 720), (640, 480)),
        ({"camera_size": "native"}, None, (1920, 1080)),
    ],
)
def test_cameras_are_asked_for_the_size_that_was_chosen(
    capture: Capture,
    given: dict[str, str],
    asked: tuple[int, int] | None,
    seen: tuple[int, int],
) -> None:
    options = Options(camera="0", **given)  # type: ignore[arg-type]
    with open_camera(options, MonotonicClock(), print) as source:
        frame = source.read()
        while frame is None:
            frame = source.read()
    assert frame.image.shape[1::-1] == seen
    if asked is None:
        assert min(capture.size_px) > 10_000, "more than any camera has, so that it takes its most"
    else:
        assert capture.size_px == asked


def test_the_demonstration_has_the_usual_size_where_a_camera_would_give_its_largest() -> None:
    with create_source("demo", size_px=None, clock=ManualClock()) as source:
        frame = source.read()
    assert frame is not None and frame.image.shape == (480, 640, 3)


@pytest.mark.parametrize("size", ["largest", "1281x720", "native720"])
def test_other_sizes_are_refused(size: str) -> None:
    with pytest.raises(UsageError, match="--camera-size: expected"):
        Options(camera_size=size)
