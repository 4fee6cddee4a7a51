from pathlib import Path

import numpy as np
import pytest

import avatar
from avatar.core.clock import ManualClock
from avatar.core.errors import PhotoError, UsageError
from avatar.core.frames import UInt8Image
from avatar.stages.sources import create_source

FRAME_NS = 33_333_333


@pytest.fixture(scope="module")
def performance() -> list[UInt8Image]:
    frames = []
    with create_source("demo", clock=ManualClock()) as source:
        while len(frames) < 45:
            frame = source.read()
            if frame is not None:
                frames.append(frame.image)
    return frames


def play(frames: list[UInt8Image], **options: object) -> list[UInt8Image]:
    with avatar.Driver("builtin", size_px=(320, 240), **options) as driver:  # type: ignore[arg-type]
        drawn = [driver.step(frame, k * FRAME_NS) for k, frame in enumerate(frames)]
    assert all(frame is not None for frame in drawn)
    return [frame.image for frame in drawn if frame is not None]


def test_every_frame_comes_back_and_twice_the_same(performance: list[UInt8Image]) -> None:
    first, second = play(performance), play(performance)
    assert len(first) == len(performance)
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    assert any(not np.array_equal(first[0], later) for later in first)


def test_nothing_is_drawn_before_a_face_was_seen(performance: list[UInt8Image]) -> None:
    empty = np.full((480, 640, 3), 90, np.uint8)
    with avatar.Driver("builtin", size_px=(320, 240)) as driver:
        assert driver.step(empty, 0) is None
        assert driver.step(performance[0], FRAME_NS) is not None
        held = driver.step(empty, 2 * FRAME_NS)
    assert held is not None


def test_sizes_default_to_the_photo_or_a_square() -> None:
    with avatar.Driver("builtin", frame="photo") as driver:
        frame = driver.step(np.asarray(_hopper()), 0)
        assert frame is not None
        assert frame.image.shape == (600, 512, 3)
    with avatar.Driver("builtin") as driver:
        frame = driver.step(np.asarray(_hopper()), 0)
        assert frame is not None
        assert frame.image.shape == (512, 512, 3)


def _hopper() -> UInt8Image:
    from avatar.stages.generate.photo import builtin_photo, load_photo

    return load_photo(builtin_photo())


def test_absolute_motion_with_the_photo_itself_changes_nothing_much() -> None:
    photo = _hopper()
    with avatar.Driver(photo, motion="absolute", frame="photo", smoothing="off") as driver:
        frame = driver.step(photo, 0)
    assert frame is not None
    assert np.abs(frame.image.astype(int) - photo).mean() < 1.5


def test_mistakes_are_errors_that_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="portrait"):
        avatar.Driver("builtin", engine="magic")
    with pytest.raises(PhotoError, match="found nothing"):
        avatar.Driver(tmp_path / "absent.png").__enter__()
    closed = avatar.Driver("builtin")
    with pytest.raises(UsageError, match="closed"):
        closed.step(np.zeros((480, 640, 3), np.uint8), 0)
