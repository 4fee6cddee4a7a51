import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avatar.core.errors import UsageError
from avatar.core.frames import Float32, UInt8Image
from avatar.core.home import Home
from avatar.measure.looks import looks
from avatar.measure.looks.measure import Looks, LooksBench, LooksEffort, LooksRun, SeenFrame
from avatar.measure.looks.report import page, rows, summary, table
from avatar.measure.looks.signals import FLOORS, Teeth, expression, real_mouths, teeth
from avatar.measure.quality.media import find_clips, find_pictures
from tests.measure.pages import Page

needs_dlib = pytest.mark.skipif(
    importlib.util.find_spec("dlib") is None, reason="the extra `quality` is not installed"
)


def a_face(gap_px: float = 20.0, wide_px: float = 60.0, brow_px: float = 24.0) -> Float32:
    """dlib's points of a face 160 pixels wide in a picture of 256: those that are looked at."""
    points = np.full((68, 2), 128.0, np.float32)
    points[0], points[16] = (48, 110), (208, 110)
    points[2], points[14], points[4], points[12] = (52, 140), (204, 140), (66, 180), (190, 180)
    points[31], points[35] = (116, 140), (140, 140)
    left, right = 128 - wide_px / 2, 128 + wide_px / 2
    points[48], points[54] = (left, 180), (right, 180)
    upper, lower = 180 - gap_px / 2, 180 + gap_px / 2
    points[60:68] = [
        (left + 6, 180), (112, upper), (128, upper), (144, upper),
        (right - 6, 180), (144, lower), (128, lower), (112, lower),
    ]  # fmt: skip
    for brow, lid, x in ((19, 37, 92), (24, 44, 164)):
        points[brow], points[lid] = (x, 100 - brow_px), (x, 100)
    return points


def a_picture(mouth: tuple[int, int, int], right: tuple[int, int, int] | None = None) -> UInt8Image:
    """Skin with a mouth of one colour, or with another one on the picture's right."""
    picture = np.full((256, 256, 3), (190, 150, 130), np.uint8)
    picture[165:196, 90:166] = mouth
    if right is not None:
        picture[165:196, 128:166] = right
    return picture


# Signals


@given(st.floats(0.5, 4.0), st.floats(-40.0, 40.0))
def test_an_expression_knows_neither_size_nor_place(scale: float, shift: float) -> None:
    points = a_face()
    moved = expression((points * np.float32(scale) + np.float32(shift)).astype(np.float32))
    assert moved == pytest.approx(expression(points), rel=1e-3)


def test_each_signal_is_of_its_own_movement() -> None:
    rest = expression(a_face())
    wider = expression(a_face(wide_px=72.0))
    assert wider["smile"] > rest["smile"] and wider["brow"] == pytest.approx(rest["brow"])
    opened = expression(a_face(gap_px=40.0))
    assert opened["opening"] == pytest.approx(2 * rest["opening"])
    assert opened["smile"] == pytest.approx(rest["smile"])
    raised = expression(a_face(brow_px=32.0))
    assert raised["brow"] > rest["brow"] and raised["smile"] == pytest.approx(rest["smile"])


def test_shut_lips_show_no_teeth() -> None:
    assert teeth(a_picture((240, 240, 240)), a_face(gap_px=3.0)) is None
    assert teeth(a_picture((240, 240, 240)), a_face(gap_px=20.0)) is not None


def test_teeth_are_told_by_light_colour_and_sides() -> None:
    grey = teeth(a_picture((170, 170, 170)), a_face())
    white = teeth(a_picture((250, 250, 250)), a_face())
    pink = teeth(a_picture((230, 150, 170)), a_face())
    lights = np.random.default_rng(1).integers(-40, 40, (256, 256, 1))
    sides = a_picture((170, 175, 210), (205, 172, 125)).astype(np.int64) + lights
    two = teeth(np.clip(sides, 0, 255).astype(np.uint8), a_face())
    assert grey is not None and white is not None and pink is not None and two is not None
    assert white.light > grey.light > 0.9
    assert grey.chroma < 1 < 20 < pink.chroma
    assert grey.sides < 1 < 20 < two.sides


def test_a_face_at_the_picture_s_edge_is_judged_without_its_lost_cheek() -> None:
    points = a_face() - np.array([60, 0], np.float32)
    assert teeth(a_picture((170, 170, 170)), points) is not None


def test_the_range_of_real_mouths_is_theirs() -> None:
    assert real_mouths([]) is None
    real = real_mouths([Teeth(0.9 + 0.01 * k, 5.0 + k, 1.0) for k in range(20)])
    assert real is not None
    assert real.outside(Teeth(1.0, 10.0, 0.5)).tolist() == [False, False, False]
    assert real.outside(Teeth(1.3, 0.0, 9.0)).tolist() == [True, False, True]
    assert real.outside(Teeth(0.5, 40.0, 0.0)).tolist() == [True, True, False]


# Runs


def a_run(gain: float = 0.5, frames: int = 20) -> LooksRun:
    tile = np.full((512, 512, 3), 90, np.uint8)
    run = LooksRun("c", "<p>", frames=frames, identity=[0.02, 0.03])
    for key, floor in FLOORS.items():
        run.driver[key] = np.linspace(0, 10 * floor, frames).tolist()
        run.avatar[key] = [0.3 + gain * value for value in run.driver[key]]
    run.teeth = [(3, Teeth(1.0, 9.0, 1.0)), (7, Teeth(1.6, 9.0, 1.0))]
    run.shown = [SeenFrame(7, tile, tile, "7: <caption>")]
    return run


def a_result(*runs: LooksRun) -> Looks:
    real = real_mouths([Teeth(0.9, 8.0, 1.0), Teeth(1.1, 12.0, 2.0)])
    return Looks("portrait", real, 2, list(runs), 1)


def test_what_follows_has_its_correlation_and_slope() -> None:
    found = a_run(0.5).follows("smile")
    assert found == pytest.approx((1.0, 0.5))
    still = a_run(0.0).follows("brow")
    assert still is not None and still[0] == 0.0


def test_a_driver_who_does_not_move_has_no_correlation() -> None:
    run = a_run()
    run.driver["smile"] = [0.4] * 20
    assert run.follows("smile") is None
    assert a_run(frames=6).follows("smile") is None


def test_rows_hold_values_against_their_bars() -> None:
    found = {row.key: row for row in rows(a_result(a_run(0.5), a_run(0.9)))}
    assert found["teeth"].value == pytest.approx(0.5) and found["teeth"].met is False
    assert "light 0.50" in found["teeth"].worst
    assert found["smile_correlation"].met
    assert found["smile_slope"].value == pytest.approx(0.7) and found["smile_slope"].met is False
    assert found["brow_slope"].met and found["brow_slope"].bar_text == "0.6 to 1.1"
    assert found["identity"].met and found["grey_levels"].met
    over = {row.key: row for row in rows(a_result(a_run(1.3)))}
    assert over["brow_slope"].met is False


def test_nothing_measured_is_said_and_passes_no_bar() -> None:
    empty = Looks("portrait")
    assert all(row.met is None for row in rows(empty))
    assert table(empty).row_count == len(rows(empty))


def test_json_and_page_are_whole() -> None:
    result = a_result(a_run())
    figures = json.loads(json.dumps(summary(result, {"quick": True})))
    assert figures["pairs"][0]["teeth_outside"] == [7]
    assert figures["pairs"][0]["smile"]["slope"] == pytest.approx(0.5)
    shown = Page(page(result))
    assert "c → <p>: teeth 1 of 2" in shown.text
    assert shown.count("img") == 1 and "generated" in shown.text


def test_folders_are_asked_for(home: Home, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="expected --clips FOLDER"):
        looks("portrait", None, None, home)


@needs_dlib
@pytest.mark.slow
def test_a_real_clip_and_a_real_photograph(
    shared_media: Path, face_model: Path, home: Home
) -> None:
    clips = [clip for clip in find_clips(shared_media / "clips") if clip.name == "d18"]
    pictures = find_pictures(shared_media / "photos", face_model, home, lambda line: None)[:1]
    ticks: list[None] = []
    bench = LooksBench(
        "portrait", face_model, home, LooksEffort(9, 1, 1), lambda: ticks.append(None), {}
    )
    result = bench.measure(clips, pictures)
    assert len(ticks) == bench.frame_count(clips, pictures)
    run = result.runs[0]
    assert run.frames == 9 and run.lost == 0 and len(run.identity) == 9
    assert run.follows("opening") is not None
    assert result.real is not None and result.grey_levels is not None
    assert page(result).count("<img") == 1
