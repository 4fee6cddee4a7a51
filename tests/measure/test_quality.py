import importlib.metadata
import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avatar.core.errors import MissingDependencyError, UsageError
from avatar.core.face.topology import FACE_OVAL
from avatar.core.frames import Face, GeneratedFrame, Motion, Presence, UInt8Image, still
from avatar.core.home import Home
from avatar.measure.quality import metrics, quality
from avatar.measure.quality.detectors import FaceMeter
from avatar.measure.quality.measure import (
    Effort,
    GenerateTimes,
    Measurement,
    OtherRun,
    QualityBench,
    SampleFrame,
    SelfRun,
    StillRun,
)
from avatar.measure.quality.media import Picture, find_clips, find_pictures
from avatar.measure.quality.probe import Probe
from avatar.measure.quality.report import page, rows, summary, table
from tests.measure.pages import Page
from tests.stages.sources.films import make_film, number_of

TINY = Effort(self_frames=2, other_frames=3, drivers=1, pictures=1, still=1, speed_frames=2)
needs_dlib = pytest.mark.skipif(
    importlib.util.find_spec("dlib") is None, reason="the extra `quality` is not installed"
)


@pytest.fixture(scope="module")
def meter() -> FaceMeter:
    return FaceMeter()


def a_face(centre: tuple[float, float], radius: float, side_px: int) -> Face:
    """A face whose oval is a circle, with the chin at its lowest point."""
    turns = np.linspace(0, 2 * np.pi, len(FACE_OVAL), endpoint=False)
    points = np.zeros((478, 3), np.float32)
    points[:, :2] = centre
    points[FACE_OVAL, 0] += radius * np.sin(turns)
    points[FACE_OVAL, 1] -= radius * np.cos(turns)
    return Face(points, np.zeros(52, np.float32), np.eye(4, dtype=np.float32), (side_px, side_px))


# Figures


def test_equal_pictures_do_not_differ() -> None:
    grey = np.full((8, 8, 3), 100, np.uint8)
    assert metrics.l1(grey, grey) == 0
    assert metrics.l1(grey, grey + np.uint8(51)) == pytest.approx(0.2)
    assert metrics.psnr_db(0.0) == metrics.PSNR_LIMIT_DB
    assert metrics.psnr_db(255.0**2) == pytest.approx(0.0)


def test_keypoint_distance_is_the_mean_over_coordinates() -> None:
    points = np.zeros((68, 2), np.float32)
    assert metrics.keypoint_distance(points, points + np.float32([3, 1])) == pytest.approx(2.0)


@given(st.lists(st.floats(-1, 1), min_size=4, max_size=20), st.floats(0.1, 5))
def test_correlation_knows_no_scale(values: list[float], gain: float) -> None:
    found = metrics.correlation(values, [gain * value + 3 for value in values])
    assert found is None or found == pytest.approx(1.0, abs=1e-3)


def test_correlation_of_what_never_changes_is_unknown() -> None:
    assert metrics.correlation([0.5] * 10, list(range(10))) is None
    assert metrics.correlation([0.0, 1.0], [0.0, 1.0]) is None


def test_background_leaves_out_both_heads_and_all_below_a_chin() -> None:
    photo, drawn = a_face((100, 100), 30, 256), a_face((140, 90), 30, 256)
    kept = metrics.background(photo, drawn)
    assert not kept[100, 100] and not kept[90, 140]
    assert not kept[100, 100 - 45] and kept[100, 100 - 52]
    assert kept[118, 20] and not kept[125:].any()
    assert kept[10, 10]
    assert not kept[0, 100] and not kept[0, 140]  # a hat stands above


def test_the_back_of_a_turned_head_is_no_background() -> None:
    face = a_face((100, 100), 30, 256)
    turn = np.array([[0.7, 0, -0.7], [0, 1, 0], [0.7, 0, 0.7]], np.float32)
    pose = np.eye(4, dtype=np.float32)
    pose[:3, :3] = turn  # looks to the left of the picture, so the back is on the right
    turned = Face(face.landmarks_px, face.blendshapes, pose, face.image_size_px)
    assert metrics.background(face)[100, 160]
    assert not metrics.background(turned)[100, 160]
    assert metrics.background(turned)[100, 40]


def test_jitter_is_the_restlessness_and_not_the_place() -> None:
    import cv2

    noise = np.random.default_rng(3).integers(0, 255, (32, 32, 3), np.uint8)
    texture = cv2.resize(noise, (256, 256), interpolation=cv2.INTER_CUBIC)
    face = a_face((128, 128), 90, 256)

    def moved(x: float) -> UInt8Image:
        matrix = np.array([[1, 0, x], [0, 1, 0]], np.float64)
        return np.asarray(cv2.warpAffine(texture, matrix, (256, 256)), np.uint8)

    still_px = metrics.jitter_px([moved(0.0)] * 6, face)
    assert still_px < 0.01
    # Back and forth by half a pixel about the middle: RMS 0.5.
    swaying = [moved(0.5 if k % 2 else -0.5) for k in range(10)]
    assert metrics.jitter_px(swaying, face) == pytest.approx(0.5, abs=0.08)


# The table


def a_result(l1: float, lost: int) -> Measurement:
    tile = np.full((256, 256, 3), 90, np.uint8)
    sample = SampleFrame(tile, tile + np.uint8(9), "a <caption>")
    return Measurement(
        "portrait",
        [SelfRun("c", [l1, l1], [0.5, 0.7], [0.1, 0.2], folded=0, samples=[sample])],
        [
            OtherRun("c", "<p>", 30, [0.2, 0.3], 0.95, None, lost, 40.0, 0, tile, [sample]),
            OtherRun("c", "q", 30, [0.2], 0.99, 0.97, 0, 36.0, None, tile, [sample]),
        ],
        [StillRun("c", "q", 0.3), StillRun("c", "p", 0.4)],
        [
            GenerateTimes("512×512", "portrait", [5.0, 6.0, 7.0]),
            GenerateTimes("1280×720", "photo", []),
        ],
    )


def test_rows_hold_values_against_their_bars() -> None:
    table_rows = {row.key: row for row in rows(a_result(0.02804, lost=3))}
    assert table_rows["l1"].met
    assert table_rows["akd_px"].value == pytest.approx(0.6)
    assert table_rows["lost"].met is False
    assert table_rows["lost"].worst == "worst 3: c → <p>"
    assert table_rows["blink"].value == pytest.approx(0.97)
    assert table_rows["background_db"].value == 36.0
    assert table_rows["background_db"].met
    assert table_rows["jitter_px"].value == pytest.approx((0.125) ** 0.5)
    assert table_rows["folded"].met
    assert table_rows["portrait_ms"].value == 6.0
    assert table_rows["photo_ms"].met is None


def test_nothing_measured_is_said_and_passes_no_bar() -> None:
    for row in rows(Measurement("portrait")):
        assert row.met is None
        assert row.value_text == "not counted"
    assert table(Measurement("portrait")).row_count == 12


def test_json_and_page_are_whole() -> None:
    result = a_result(0.04, lost=0)
    figures = json.loads(json.dumps(summary(result, {"quick": True})))
    assert figures["what"] == {"engine": "portrait", "quick": True}
    assert figures["other_identity"][1]["picture"] == "q"
    shown = page(result)
    assert "c → <p>" in Page(shown).text and "a <caption>" not in shown
    assert shown.count("data:image/jpeg;base64,") == 3
    assert "<p>:" not in shown and "&lt;p&gt;" in shown
    assert "generated" in shown


# Media


def test_folders_are_asked_for_and_looked_at(tmp_path: Path, home: Home) -> None:
    with pytest.raises(UsageError, match="--clips FOLDER"):
        quality("portrait", None, None, home)
    with pytest.raises(UsageError, match="found none at"):
        find_clips(tmp_path / "absent")
    with pytest.raises(UsageError, match="none in"):
        find_clips(tmp_path)
    with pytest.raises(UsageError, match="portrait"):
        quality("magic", tmp_path, tmp_path, home)


def test_frames_are_taken_evenly(tmp_path: Path) -> None:
    make_film(tmp_path / "a.mp4", count=12, fps=25)
    clip = find_clips(tmp_path)[0]
    assert clip.length == 12
    assert clip.later(40) == list(range(1, 12))
    assert clip.later(3) == [1, 6, 11]
    assert clip.strided(3) == [3, 6, 9]
    assert clip.strided(40) == list(range(1, 12))
    shots = clip.shots([0, 3, 9])
    assert [number_of(shot.image) for shot in shots] == [0, 3, 9]
    assert [shot.timestamp_ns for shot in shots] == pytest.approx([0, 120e6, 360e6], abs=1e6)
    assert shots[0].image.shape == (512, 512, 3)


def test_pictures_without_a_face_are_left_out(tmp_path: Path, face_model: Path, home: Home) -> None:
    from PIL import Image

    Image.new("RGB", (200, 200), "green").save(tmp_path / "meadow.png")
    said: list[str] = []
    with pytest.raises(UsageError, match="found none"):
        find_pictures(tmp_path, face_model, home, said.append)
    assert said[0].startswith("meadow.png is left out")


@pytest.mark.parametrize("centre", [(300.0, 300.0), (60.0, 90.0), (590.0, 420.0)])
def test_a_square_stays_inside_the_picture(centre: tuple[float, float]) -> None:
    photo = np.zeros((480, 640, 3), np.uint8)
    y, x = (min(round(v), limit) for v, limit in zip(centre[::-1], (479, 639), strict=True))
    photo[max(0, y - 5) : y + 5, max(0, x - 5) : x + 5] = 255
    square = Picture("p", photo, a_face(centre, 50, 640)).square(256)
    assert square.shape == (256, 256, 3)
    assert square.max() > 200
    huge = Picture("p", photo, a_face(centre, 400, 640)).square(256)
    assert huge.shape == (256, 256, 3)


# The probe


class Drawing:
    size_px = (4, 4)

    def __enter__(self) -> "Drawing":
        return self

    def __exit__(self, *_: object) -> None: ...

    def generate(self, motion: Motion) -> GeneratedFrame:
        picture = np.zeros((4, 4, 3), np.uint8)
        return GeneratedFrame(picture, motion.timestamp_ns, motion.index, motion.presence)


class Folding(Drawing):
    def folded(self, motion: Motion) -> int:
        return 2


def test_the_probe_counts_folds_where_the_engine_can() -> None:
    motion = still(0, 0, Presence.TRACKED)
    plain, counting = Probe(Drawing()), Probe(Folding())
    for probe in (plain, counting):
        assert probe.generate(motion).image.shape == (4, 4, 3)
        probe.generate(motion)
    assert plain.folded is None
    assert counting.folded == 4
    assert len(plain.times_ms) == 2


# Detectors


def test_without_the_extra_the_line_that_installs_it_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "dlib", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'webcam-avatar\[quality\]'"):
        FaceMeter()


@needs_dlib
def test_without_the_models_the_line_that_installs_them_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(importlib.metadata, "files", lambda name: [])
    with pytest.raises(MissingDependencyError, match="shape_predictor_68"):
        FaceMeter()


@needs_dlib
def test_a_face_is_itself(meter: FaceMeter, portrait: UInt8Image, portrait_face: Face) -> None:
    small = Picture("hopper", portrait, portrait_face).square(256)
    box = meter.box(small, lambda: None)
    assert box is not None
    found = meter.measure(small, box)
    assert found.points_px.shape == (68, 2)
    mirrored = np.ascontiguousarray(small[:, ::-1])
    other = meter.measure(mirrored, meter.box(mirrored, lambda: None))
    assert metrics.descriptor_distance(found.descriptor, found.descriptor) == 0
    assert metrics.descriptor_distance(found.descriptor, other.descriptor) < 0.4


@needs_dlib
def test_where_dlib_sees_no_face_the_landmarks_give_the_box(
    meter: FaceMeter, portrait_face: Face
) -> None:
    blank = np.zeros((600, 512, 3), np.uint8)
    assert meter.box(blank, lambda: None) is None
    box = meter.box(blank, lambda: portrait_face)
    nose = portrait_face.landmarks_px[4]
    assert box.left() < nose[0] < box.right() and box.top() < nose[1] < box.bottom()


# The whole


@needs_dlib
@pytest.mark.slow
def test_real_clips_are_measured_in_every_row(
    shared_media: Path, face_model: Path, home: Home
) -> None:
    clips = [clip for clip in find_clips(shared_media / "clips") if clip.name == "d18"]
    pictures = find_pictures(shared_media / "avatars", face_model, home, lambda line: None)
    assert "llama-no-human-face" not in [picture.name for picture in pictures]
    ticks: list[None] = []
    bench = QualityBench(
        "portrait", face_model, home, TINY, lambda: ticks.append(None), lambda line: None
    )
    few = pictures[:1]
    result = bench.measure(clips, clips, few)
    assert len(ticks) == bench.frame_count(clips, clips, few)
    known = {row.key for row in rows(result) if row.value is not None}
    assert known >= {"l1", "akd_px", "aed", "identity", "lost", "jitter_px", "portrait_ms"}
    assert page(result).count("<img") == 2
