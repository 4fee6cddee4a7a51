from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from avatar.core.clock import ManualClock
from avatar.core.frames import CameraFrame
from avatar.core.options import Options
from avatar.sessions.live import open_camera
from avatar.stages.sources.demo import DemoSource
from avatar.stages.sources.rate import RateWatch
from tests.stages.sources.films import make_film

PICTURE = np.zeros((4, 4, 3), np.uint8)


class Camera:
    """Gives pictures at ``fps``, after a first second at ``at_first``."""

    name = "camera 0"

    def __init__(self, fps: float, at_first: float = 5.0) -> None:
        self._fps, self._at_first = fps, at_first
        self._time_s, self._index = 0.0, -1

    def __enter__(self) -> Camera:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def read(self) -> CameraFrame | None:
        self._index += 1
        self._time_s += 1 / (self._at_first if self._time_s < 1 else self._fps)
        return CameraFrame(PICTURE, round(self._time_s * 1e9), self._index)


@pytest.mark.parametrize(
    ("fps", "asked", "is_said"),
    [(5, 30, True), (15, 30, True), (19, 60, True), (24, 30, False), (30, 30, False),
     (25, 60, False), (10, 10, False)],
)  # fmt: skip
def test_a_slow_camera_is_said_once(fps: float, asked: float, is_said: bool) -> None:
    said: list[str] = []
    with RateWatch(Camera(fps), asked, said.append) as camera:
        frames = [camera.read() for _ in range(400)]
    assert None not in frames
    assert len(said) == is_said
    assert all(f"camera 0 gives {fps} pictures a second" in line for line in said)


def test_of_a_slow_film_nothing_is_advised() -> None:
    said: list[str] = []
    with RateWatch(Camera(5), 30, said.append, is_film=True) as film:
        for _ in range(100):
            film.read()
    assert said == ["camera 0 has 5 pictures a second: the avatar sees you no more often than that"]


def test_a_film_in_the_camera_s_place_says_that_it_begins_again(tmp_path: Path) -> None:
    film = make_film(tmp_path / "clip.mp4")
    said: list[str] = []
    config = Options(camera=str(film))
    with open_camera(config, ManualClock(), said.append) as source:
        assert [source.read() is not None for _ in range(30)] == [True] * 30
    assert len(said) == 1
    assert "clip.mp4 is a film" in said[0] and "begins again at its end" in said[0]
    said.clear()
    demo = open_camera(replace(config, camera="demo"), ManualClock(), said.append)
    assert demo.name == DemoSource((64, 64), 30, ManualClock()).name
    assert said == []
