"""A drawn driver who acts for some seconds, for what is driven by a clip."""

from __future__ import annotations

from pathlib import Path

import pytest

from avatar.learn.generator.watch import WatchedClip, watch
from avatar.stages.sources.demo import performance
from avatar.stages.sources.illustration import Illustrator
from tests.sessions.test_film import write_film

DRIVER_PX = (480, 400)
DRIVER_FRAMES = 84


@pytest.fixture(scope="session")
def driving_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    illustrator = Illustrator(DRIVER_PX)
    frames = [illustrator.draw(performance(1.0 + k / 25)) for k in range(DRIVER_FRAMES)]
    path = tmp_path_factory.mktemp("driver") / "driving.mp4"
    return write_film(path, frames, range(DRIVER_FRAMES))


@pytest.fixture(scope="session")
def driver(driving_clip: Path, face_model: Path) -> WatchedClip:
    return watch(driving_clip, face_model)
