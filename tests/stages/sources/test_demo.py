"""The drawn driver must be a driver: the real tracker has to follow what it performs."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avatar.core.clock import ManualClock
from avatar.stages.sources.demo import LOOP_S, DemoSource, performance
from avatar.stages.sources.illustration import Illustrator, Performance


@pytest.fixture(scope="module")
def tracked(face_model: Path) -> dict[str, Any]:
    """One whole loop at 30 fps through MediaPipe, as (performed, seen) rows."""
    mp = pytest.importorskip("mediapipe", reason="what looks at the drawn face")
    from mediapipe.tasks.python import BaseOptions, vision

    options = vision.FaceLandmarkerOptions(
        base_options=BaseOptions(model_asset_path=str(face_model)),
        running_mode=vision.RunningMode.VIDEO,
        output_face_blendshapes=True,
        output_facial_transformation_matrixes=True,
    )
    frames = round(LOOP_S * 30)
    rows, lost = [], 0
    with (
        vision.FaceLandmarker.create_from_options(options) as landmarker,
        DemoSource((640, 480), 30.0, ManualClock()) as source,
    ):
        for tick in range(frames):
            frame = source.read()
            assert frame is not None
            picture = mp.Image(image_format=mp.ImageFormat.SRGB, data=frame.image)
            result = landmarker.detect_for_video(picture, frame.timestamp_ns // 1_000_000)
            if result.face_landmarks:
                rows.append((performance(tick / 30), _seen(result)))
            else:
                lost += 1
    return {"rows": rows, "lost": lost, "frames": frames}


def _seen(result: Any) -> dict[str, float]:
    shapes = {c.category_name: c.score for c in result.face_blendshapes[0]}
    pose = result.facial_transformation_matrixes[0]

    def both(name: str) -> float:
        return float((shapes[f"{name}Left"] + shapes[f"{name}Right"]) / 2)

    return {
        "jaw_open": shapes["jawOpen"],
        "blink": both("eyeBlink"),
        "smile": both("mouthSmile"),
        "brow_raise": shapes["browInnerUp"],
        "gaze_x": shapes["eyeLookInRight"] - shapes["eyeLookOutRight"],
        "yaw_deg": math.degrees(math.atan2(pose[0, 2], pose[2, 2])),
        "pitch_deg": math.degrees(math.atan2(pose[1, 2], pose[2, 2])),
        "roll_deg": -math.degrees(math.atan2(pose[1, 0], pose[0, 0])),
    }


def test_tracker_finds_the_face(tracked: dict[str, Any]) -> None:
    assert tracked["lost"] <= 0.01 * tracked["frames"]


@pytest.mark.parametrize(
    ("field", "least"),
    [
        ("jaw_open", 0.90),
        ("blink", 0.85),
        ("smile", 0.80),
        ("brow_raise", 0.80),
        ("gaze_x", 0.70),
        ("yaw_deg", 0.95),
        ("pitch_deg", 0.80),
        ("roll_deg", 0.95),
    ],
)
def test_tracked_face_follows_the_performance(
    tracked: dict[str, Any], field: str, least: float
) -> None:
    performed = np.array([getattr(p, field) for p, _ in tracked["rows"]])
    seen = np.array([s[field] for _, s in tracked["rows"]])
    correlation = float(np.corrcoef(performed, seen)[0, 1])
    assert correlation >= least, f"{field} was seen from {seen.min():.2f} to {seen.max():.2f}"


@given(st.floats(0, 1000))
def test_performance_is_periodic_and_in_range(t_s: float) -> None:
    now, next_turn = performance(t_s), performance(t_s + LOOP_S)
    for field in dataclasses.fields(Performance):
        value = getattr(now, field.name)
        assert value == pytest.approx(getattr(next_turn, field.name), abs=1e-6)
        if field.name in ("jaw_open", "smile", "blink", "brow_raise", "pucker"):
            assert 0 <= value <= 1
        elif field.name.startswith("gaze"):
            assert -1 <= value <= 1
        else:
            assert abs(value) <= 25


@given(st.floats(0, 1))
def test_performance_begins_neutral(t_s: float) -> None:
    assert performance(t_s) == Performance()


@given(st.floats(0, LOOP_S))
def test_performance_never_jumps(t_s: float) -> None:
    before, after = performance(t_s), performance(t_s + 1e-4)
    for field in dataclasses.fields(Performance):
        assert getattr(after, field.name) == pytest.approx(getattr(before, field.name), abs=0.02)


@pytest.mark.parametrize("size_px", [(64, 64), (320, 180), (1280, 720), (480, 640)])
def test_every_size_is_drawn(size_px: tuple[int, int]) -> None:
    illustrator = Illustrator(size_px)
    for t_s in np.arange(0, LOOP_S, 1.7):
        image = illustrator.draw(performance(float(t_s)))
        assert image.shape == (size_px[1], size_px[0], 3)
        assert image.dtype == np.uint8
        assert image.flags.c_contiguous


def test_same_moment_is_the_same_picture() -> None:
    first = Illustrator((320, 240)).draw(performance(2.9))
    again = Illustrator((320, 240)).draw(performance(2.9))
    assert np.array_equal(first, again)


def test_too_small_a_picture_is_refused() -> None:
    with pytest.raises(ValueError, match="64"):
        DemoSource((32, 32), 30.0, ManualClock())
