import json
from pathlib import Path

import numpy as np
import pytest

from avatar.core.errors import UsageError
from avatar.core.frames import Face
from avatar.core.home import Home
from avatar.measure.motion import metrics, motion
from avatar.measure.motion.measure import MotionBench
from avatar.measure.motion.tracks import made_up
from tests.measure.pages import Page
from tests.stages.sources.films import make_film


def wave(times_s: np.ndarray) -> np.ndarray:
    return np.sin(2 * np.pi * 0.7 * times_s) + 0.3 * np.sin(2 * np.pi * 1.9 * times_s)


@pytest.mark.parametrize("shift_ms", [-55.0, -12.0, 0.0, 4.0, 18.0, 80.0])
def test_the_lag_is_found_to_a_fraction_of_a_frame(shift_ms: float) -> None:
    times = np.arange(240) / 30
    found = metrics.lag_ms(wave(times - shift_ms / 1000), wave(times), 30)
    assert found == pytest.approx(shift_ms, abs=1.0)


def test_overshoot_and_dips_are_shares_of_the_movement() -> None:
    step = np.concatenate([np.zeros(20), np.linspace(0, 1, 10), np.ones(20), np.zeros(20)])
    beyond = step.copy()
    beyond[30] = 1.08
    assert metrics.overshoots(beyond, step, 0.2)[0] == pytest.approx(0.08)
    blink = np.ones(40)
    blink[[19, 20, 21]] = 0.5, 0.1, 0.5
    half = 1 - 0.5 * (1 - blink)
    # A dip has a rise on either side of it; the lower one is its rim.
    blink[5], blink[35] = 1.3, 1.25
    assert metrics.dips_kept(half, blink, 0.2) == [pytest.approx(0.7 / 1.15)]


def test_roughness_is_the_noise_of_a_slow_movement() -> None:
    rng = np.random.default_rng(0)
    slow = np.linspace(0, 20, 400)[:, None, None] + rng.normal(0, 0.5, (400, 50, 2))
    assert metrics.roughness_px(slow).mean() == pytest.approx(0.5 * 2**0.5, rel=0.05)
    assert metrics.still_frames(slow * 0.2).all()
    assert not metrics.still_frames(slow * 8).any()


def test_every_bar_is_met_where_the_truth_is_known(portrait_face: Face) -> None:
    result = MotionBench(portrait_face, "light", 25.0).measure(made_up(portrait_face))
    off, still = result.figures["off"], result.figures["filter"]
    ahead = result.figures["filter + prediction"]
    assert off.behind_ms == pytest.approx(25, abs=1)
    for figures in (still, ahead):
        assert figures.jitter_px is not None
        assert off.jitter_px is not None
        assert figures.jitter_px < min(0.3, 0.6 * off.jitter_px)
        assert figures.overshoot is not None
        assert max(figures.overshoot) <= 0.05
        assert figures.blink_kept is not None
        assert min(figures.blink_kept) >= 0.95
        assert figures.closure_kept is not None
        assert min(figures.closure_kept) >= 0.95
        assert abs(figures.mouth_lag_ms or 0) <= 10
    assert still.lag_ms is not None
    assert abs(still.lag_ms) <= 10
    assert ahead.behind_ms is not None
    assert abs(ahead.behind_ms) <= 10


@pytest.mark.slow
def test_the_command_reports_writes_and_draws(tmp_path: Path, home: Home) -> None:
    plot, figures = tmp_path / "motion.html", tmp_path / "motion.json"
    assert (
        motion("demo", None, home, smoothing="light", quick=True, json_path=figures, plot=plot) == 0
    )
    summary = json.loads(figures.read_text())
    assert {bar["met"] for bar in summary["bars"]} == {True}
    assert set(summary["tracks"]) == {"still", "still, dim", "made up", "made up, 15 fps"}
    assert "made up, 15 fps" in Page(plot.read_text()).text


@pytest.mark.parametrize("name", ["clip.m4v", "clip.MP4", "clip.3gp"])
def test_every_kind_of_film_in_a_folder_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, portrait_face: Face, name: str, home: Home
) -> None:
    still = made_up(portrait_face)
    monkeypatch.setattr("avatar.measure.motion.still_photograph", lambda *_, **__: still)
    monkeypatch.setattr(MotionBench, "measure", lambda *_: None)
    make_film(tmp_path / name, form="mp4")
    (tmp_path / ".hidden.mp4").write_bytes(b"no film")
    with pytest.raises(UsageError, match=rf"{name}: expected a clip of a face"):
        motion("demo", tmp_path, home, smoothing="light")


def test_what_cannot_be_measured_is_refused_at_once(tmp_path: Path, home: Home) -> None:
    with pytest.raises(UsageError, match="--smoothing light or strong"):
        motion("demo", None, home, smoothing="off")
    with pytest.raises(UsageError, match="found none in"):
        motion("demo", tmp_path, home, smoothing="light")
    with pytest.raises(UsageError, match=r"\.png or \.html"):
        motion("demo", None, home, smoothing="light", plot=tmp_path / "a.gif")
