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
    plain = {"labelled": False, "acknowledge_disclosure_duty": True}
    with avatar.Driver(photo, motion="absolute", frame="photo", smoothing="off", **plain) as driver:
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


NONSENSE = [
    None, [], [[1, 2, 3]], "photo.jpg", 0, np.zeros((0, 0, 3), np.uint8),
    np.zeros((0, 640, 3), np.uint8), np.zeros((1, 1, 3), np.uint8), np.zeros((480, 640), np.uint8),
    np.zeros((480, 640, 4), np.uint8), np.full((480, 640, 3), np.nan), np.array(5, np.uint8),
    np.zeros((480, 640, 3), object), np.zeros((1, 20_000, 3), np.uint8),
]  # fmt: skip
TIMES = [None, "1", float("nan"), float("inf"), 1.5, -1, 2**63, 2**80, [1], True]


def test_nonsense_is_one_clear_error_and_the_driver_goes_on(
    performance: list[UInt8Image],
) -> None:
    plain = play(performance[:3])
    with avatar.Driver("builtin", size_px=(320, 240)) as driver:
        drawn = [driver.step(performance[0], 0)]
        for wrong in NONSENSE:
            with pytest.raises(UsageError, match=r"Driver\.step: expected a picture .* found "):
                driver.step(wrong, FRAME_NS)  # type: ignore[arg-type]
        for time in TIMES:
            with pytest.raises(UsageError, match=r"Driver\.step: expected timestamp_ns .* found "):
                driver.step(performance[1], time)  # type: ignore[arg-type]
        drawn += [driver.step(performance[k], np.int64(k * FRAME_NS)) for k in (1, 2)]
        for late in (2 * FRAME_NS, 0):
            with pytest.raises(UsageError, match="above that of the call before"):
                driver.step(performance[2], late)
    for frame, expected in zip(drawn, plain, strict=True):
        assert frame is not None
        assert np.array_equal(frame.image, expected)


@pytest.mark.parametrize("wrong", [*NONSENSE[:3], *NONSENSE[4:], "", "a\0b", b"x", ("builtin",)])
def test_an_avatar_that_is_none_is_refused(wrong: object) -> None:
    with pytest.raises(UsageError, match=r"Driver: expected avatar as .*, found "):
        avatar.Driver(wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["home", "machine", "driving", "neural"])
def test_a_home_is_a_home(name: str) -> None:
    with pytest.raises(UsageError, match=rf"Driver: expected {name} as .*, found 'somewhere'"):
        avatar.Driver("builtin", **{name: "somewhere"})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "size", [(1, 1), (20_000, 64), (0, 0), (320,), "320x240", 320, (float("nan"), 240), (-2, 2)]
)
def test_sizes_that_are_none_are_refused(size: object) -> None:
    with pytest.raises(UsageError, match="size_px"):
        avatar.Driver("builtin", size_px=size)  # type: ignore[arg-type]


def test_pictures_carry_the_label_unless_the_duty_is_acknowledged(
    performance: list[UInt8Image], home: avatar.Home
) -> None:
    with pytest.raises(UsageError, match="acknowledge_disclosure_duty"):
        avatar.Driver("builtin", labelled=False)
    for wrong in (0, None, "no"):
        with pytest.raises(UsageError):
            avatar.Driver("builtin", labelled=wrong)  # type: ignore[arg-type]
    pictures = {}
    for labelled in (True, False):
        with avatar.Driver(
            "builtin", size_px=(320, 240), home=home, labelled=labelled,
            acknowledge_disclosure_duty=not labelled,
        ) as driver:  # fmt: skip
            frame = driver.step(performance[0], 0)
        assert frame is not None
        assert frame.label_text == ("AI" if labelled else "")
        assert home.disclosure_log.exists() is not labelled
        pictures[labelled] = frame.image
    different = np.argwhere((pictures[True] != pictures[False]).any(2))
    assert len(different)
    assert (different.min(0) >= (0, 160)).all(), "the label stands in the top right corner"
    assert (different.max(0) < (80, 320)).all()
