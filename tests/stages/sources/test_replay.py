from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from avatar.core.clock import ManualClock
from avatar.core.errors import SourceError
from avatar.core.frames import Face, FaceTrack
from avatar.stages.sources.replay import ReplaySource, load_track, save_track


def make_face(seed: int) -> Face:
    random = np.random.default_rng(seed)
    return Face(
        random.normal(300, 90, (478, 3)).astype(np.float32),
        random.random(52).astype(np.float32),
        random.normal(0, 1, (4, 4)).astype(np.float32),
        (640 + seed, 480),
    )


@given(present=st.lists(st.booleans(), max_size=6))
@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_tracks_come_back_as_they_were(tmp_path: Path, present: list[bool]) -> None:
    tracks = [
        FaceTrack(10**15 + n * 33, n + 5, make_face(n) if there else None)
        for n, there in enumerate(present)
    ]
    path = tmp_path / "track.npz"
    save_track(path, tracks)
    again = load_track(path)
    assert [(t.timestamp_ns, t.index) for t in again] == [(t.timestamp_ns, t.index) for t in tracks]
    for before, after in zip(tracks, again, strict=True):
        assert after.camera is None
        assert (before.face is None) == (after.face is None)
        if before.face is not None and after.face is not None:
            assert np.array_equal(before.face.landmarks_px, after.face.landmarks_px)
            assert np.array_equal(before.face.blendshapes, after.face.blendshapes)
            assert np.array_equal(before.face.pose, after.face.pose)
            assert before.face.image_size_px == after.face.image_size_px


def save_arrays(path: Path, **changes: object) -> None:
    """Write a good track whose arrays are replaced by ``changes``; None leaves one out."""
    save_track(path, [FaceTrack(1, 0, make_face(0)), FaceTrack(2, 1, None)])
    with np.load(path) as stored:
        arrays = {name: stored[name] for name in stored.files} | changes
    with path.open("wb") as file:
        np.savez(file, **{name: a for name, a in arrays.items() if a is not None})


@pytest.mark.parametrize(
    "changes",
    [
        {"format": None},
        {"format": np.array(99)},
        {"format": np.array([1, 1])},
        {"pose": None},
        {"present": np.array([True, True])},
        {"present": np.array(True)},
        {"present": np.array([1, 0])},
        {"timestamp_ns": np.array([1])},
        {"index": np.array([0.5, 1.5])},
        {"landmarks_px": np.zeros((1, 468, 3), np.float32)},
        {"landmarks_px": np.zeros((1, 478, 3))},
        {"blendshapes": np.array([{"jawOpen": 1}], object)},
    ],
)
def test_a_wrong_layout_is_an_error_that_names_the_file(
    tmp_path: Path, changes: dict[str, object]
) -> None:
    path = tmp_path / "track.npz"
    save_arrays(path, **changes)
    with pytest.raises(SourceError, match=r"track\.npz: expected a recorded track"):
        load_track(path)


def test_damaged_files_are_errors(tmp_path: Path) -> None:
    path = tmp_path / "track.npz"
    save_arrays(path)
    whole = path.read_bytes()
    for contents in (
        b"",
        b"hello",
        whole[: len(whole) // 2],
        whole[:200] + bytes(len(whole) - 200),
    ):
        path.write_bytes(contents)
        with pytest.raises(SourceError, match="expected a recorded track"):
            load_track(path)
    np.save(tmp_path / "array.npy", np.zeros(3))
    with pytest.raises(SourceError, match="expected a recorded track"):
        load_track(tmp_path / "array.npy")
    with pytest.raises(SourceError, match="no such file"):
        load_track(tmp_path / "none.npz")
    with pytest.raises(SourceError, match="expected a recorded track"):
        load_track(tmp_path)


def test_no_frames_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        ReplaySource([], 30.0, ManualClock())


def test_a_rate_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="more than 0"):
        ReplaySource([np.zeros((2, 2, 3), np.uint8)], 0.0, ManualClock())


def test_a_slow_rate_gives_none_every_quarter_of_a_second() -> None:
    clock = ManualClock()
    with ReplaySource([np.zeros((2, 2, 3), np.uint8)], 1.0, clock, loop=True) as source:
        assert source.read() is not None
        pauses = [source.read() for _ in range(3)]
        assert pauses == [None, None, None]
        assert clock.now_ns() == 750_000_000
        frame = source.read()
    assert frame is not None
    assert frame.timestamp_ns == 1_000_000_000
