"""The generator around the networks: what it looks at, keeps, eases and shares."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from avatar.core.errors import EngineError
from avatar.core.face.head import decompose
from avatar.core.frames import CameraFrame, Face, FaceTrack, Motion, Presence, UInt8Image, still
from avatar.core.options import PUBLISHED, Options
from avatar.stages.generate.deck import Deck
from avatar.stages.generate.framing import View, make_canvas
from avatar.stages.generate.neural.crop import face_crop
from avatar.stages.generate.neural.generator import NeuralGenerator
from avatar.stages.generate.neural.networks import Networks
from avatar.stages.motion.retarget import FaceRetargeter
from engines.torch import reference
from tests.stages.generate.neural.toys import FAMILIES, centroid, toy_generator, toys

SIZE_PX = (320, 240)
FRAME_NS = 40_000_000
PLAIN = Options(stitching=False)


@pytest.fixture(params=PUBLISHED)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def counts() -> dict[str, int]:
    return {}


@pytest.fixture
def generator(
    name: str, portrait: UInt8Image, portrait_face: Face, tmp_path: Path, counts: dict[str, int]
) -> Iterator[NeuralGenerator]:
    with toy_generator(
        name,
        portrait,
        portrait_face,
        "photo",
        SIZE_PX,
        PLAIN,
        cache=tmp_path,
        networks=toys(counts),
    ) as made:
        yield made


def seen(image: UInt8Image, face: Face, index: int = 0) -> FaceTrack:
    timestamp_ns = index * FRAME_NS
    return FaceTrack(timestamp_ns, index, face, CameraFrame(image, timestamp_ns, index))


def driven(track: FaceTrack, reference: FaceTrack) -> Motion:
    motion = still(track.timestamp_ns, track.index, Presence.TRACKED)
    return replace(motion, track=track, reference=reference)


def darker(image: UInt8Image) -> UInt8Image:
    """The same picture with its right half darker: the toys see what is bright go left."""
    out = image.copy()
    out[:, image.shape[1] // 2 :] //= 3
    return out


def expected_px(
    name: str, portrait: UInt8Image, driver: UInt8Image, face: Face
) -> tuple[float, float]:
    """How far the toys move the face on the canvas when the driver's picture becomes ``driver``.

    They move the photograph's square by what the bright part of the driver's square moved.
    """
    family = FAMILIES[name](PLAIN)
    watched = face_crop(face, family.driver_scale, family.driver_shift, upright=True)
    square = face_crop(face, family.source_scale, family.source_shift)
    assert watched is not None and square is not None
    moved = centroid(watched.cut(driver, 256)) - centroid(watched.cut(portrait, 256))
    drawn = make_canvas(portrait, face, "photo", SIZE_PX, View()).face
    zoom = np.ptp(drawn.landmarks_px[:468, 0]) / np.ptp(face.landmarks_px[:468, 0])
    x, y = moved * square.side / 2 * zoom
    return float(x), float(y)


def shown_px(before: UInt8Image, after: UInt8Image, middle: Face) -> tuple[int, int]:
    """How far the middle of the face, at ``middle`` in ``before``, went; fails unless it is seen.

    A correlation of whole pictures would find the background, which stays.
    """
    points = middle.landmarks_px[:468, :2]
    (x0, y0), (x1, y1) = (
        (points.min(axis=0) + 14).astype(int),
        (points.max(axis=0) - 14).astype(int),
    )
    a, b = (cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in (before, after))
    found = cv2.matchTemplate(b, a[y0:y1, x0:x1], cv2.TM_CCOEFF_NORMED)
    _, likeness, _, (x, y) = cv2.minMaxLoc(found)
    assert likeness > 0.9, "the avatar's face is not there"
    return x - int(x0), y - int(y0)


@pytest.fixture
def on_canvas(portrait: UInt8Image, portrait_face: Face) -> Face:
    return make_canvas(portrait, portrait_face, "photo", SIZE_PX, View()).face


def apart(a: UInt8Image, b: UInt8Image) -> float:
    return float(np.abs(a.astype(int) - b).mean())


def test_a_photograph_that_does_not_move_comes_back_as_it_is(
    generator: NeuralGenerator, portrait: UInt8Image, portrait_face: Face
) -> None:
    """Cut, encoded, drawn and pasted: not a tenth of a pixel beside its place."""
    image = generator.generate(still(0, 0, Presence.TRACKED)).image
    canvas = make_canvas(portrait, portrait_face, "photo", SIZE_PX, View()).image
    assert apart(image, canvas) < 1
    soft = [cv2.GaussianBlur(i.mean(axis=2), (0, 0), 3) for i in (image, canvas)]
    assert np.abs(cv2.phaseCorrelate(*soft)[0]).max() < 0.1


@pytest.mark.parametrize("driver", ["darker", "noise"])
def test_the_drivers_picture_moves_the_avatar_and_never_shows(
    driver: str, name: str, generator: NeuralGenerator, portrait: UInt8Image, portrait_face: Face,
    on_canvas: Face,
) -> None:  # fmt: skip
    then = seen(portrait, portrait_face)
    rest = generator.generate(driven(then, then)).image
    noise = np.random.default_rng(0).integers(0, 256, portrait.shape).astype(np.uint8)
    now = darker(portrait) if driver == "darker" else noise
    picture = generator.generate(driven(seen(now, portrait_face, 1), then)).image
    # Whatever the driver's picture is, the canvas holds the photograph's face, elsewhere.
    expected = expected_px(name, portrait, now, portrait_face)
    assert expected[0] < -8
    assert shown_px(rest, picture, on_canvas) == pytest.approx(expected, abs=2)


def test_the_reference_is_looked_at_when_it_changes_and_only_then(
    generator: NeuralGenerator, portrait: UInt8Image, portrait_face: Face, counts: dict[str, int],
    name: str,
) -> None:  # fmt: skip
    model = (
        "run liveportrait/motion_extractor" if name == "liveportrait" else "run fomm/kp_detector"
    )
    first, other = seen(portrait, portrait_face), seen(darker(portrait), portrait_face, 1)
    before = counts[model]
    generator.generate(driven(first, first))
    assert counts[model] == before + 1, "the reference itself is not looked at twice"
    generator.generate(driven(other, first))
    generator.generate(driven(replace(other, index=2), first))
    assert counts[model] == before + 3
    generator.generate(driven(replace(first, index=3), other))
    assert counts[model] == before + 5


def test_a_held_face_keeps_its_picture_without_drawing_again(
    generator: NeuralGenerator, portrait: UInt8Image, portrait_face: Face, counts: dict[str, int],
    name: str,
) -> None:  # fmt: skip
    then, now = seen(portrait, portrait_face), seen(darker(portrait), portrait_face, 1)
    generator.generate(driven(then, then))
    shown = generator.generate(driven(now, then)).image
    drawn = counts[f"run {name}/frame"]
    held = replace(driven(now, then), presence=Presence.HELD, track=None, timestamp_ns=2 * FRAME_NS)
    assert np.array_equal(generator.generate(held).image, shown)
    assert counts[f"run {name}/frame"] == drawn
    assert generator.seen is None


def test_a_lost_face_goes_back_to_the_photograph_without_a_jump(
    generator: NeuralGenerator, portrait: UInt8Image, portrait_face: Face
) -> None:
    then, now = seen(portrait, portrait_face), seen(darker(portrait), portrait_face, 1)
    rest = generator.generate(driven(then, then)).image
    shown = generator.generate(driven(now, then)).image
    far = apart(shown, rest)
    idle = [
        generator.generate(still((2 + k) * FRAME_NS, 2 + k, Presence.IDLE)).image for k in range(40)
    ]
    assert apart(idle[0], shown) < 0.3 * far
    assert apart(idle[-1], rest) < 0.1 * far
    steps = [apart(a, b) for a, b in pairwise(idle)]
    assert max(steps) < 0.35 * far


def test_tracks_without_pictures_move_by_their_geometry(
    generator: NeuralGenerator, portrait_face: Face, on_canvas: Face
) -> None:
    rest = generator.generate(still(0, 0, Presence.TRACKED)).image
    moved = replace(
        still(FRAME_NS * 50, 1, Presence.TRACKED),
        translation=np.array([0.3, 0], np.float32),
        track=FaceTrack(0, 0, portrait_face),
    )
    generator.generate(replace(moved, timestamp_ns=FRAME_NS))
    # A translation counts in head units.
    expected = (0.3 * decompose(on_canvas).scale_px, 0)
    picture = generator.generate(moved).image
    assert shown_px(rest, picture, on_canvas) == pytest.approx(expected, abs=1)


def test_a_reference_without_a_picture_gives_way_to_the_first_picture(
    name: str, generator: NeuralGenerator, portrait: UInt8Image, portrait_face: Face,
    on_canvas: Face,
) -> None:  # fmt: skip
    measured = FaceTrack(0, 0, portrait_face)
    first, now = seen(portrait, portrait_face), seen(darker(portrait), portrait_face, 1)
    rest = generator.generate(driven(first, measured)).image
    assert generator.seen is not None
    picture = generator.generate(driven(now, measured)).image
    expected = expected_px(name, portrait, darker(portrait), portrait_face)
    assert shown_px(rest, picture, on_canvas) == pytest.approx(expected, abs=2)


def test_landmarks_that_are_no_face_are_not_looked_at(
    generator: NeuralGenerator, portrait: UInt8Image, portrait_face: Face
) -> None:
    broken = replace(portrait_face, landmarks_px=np.full((478, 3), np.nan, np.float32))
    track = seen(portrait, broken)
    picture = generator.generate(driven(track, track)).image
    rest = generator.generate(still(0, 0, Presence.TRACKED)).image
    assert np.array_equal(picture, rest)


def test_the_live_loops_retargeter_hands_on_the_reference(
    generator: NeuralGenerator, portrait: UInt8Image, portrait_face: Face
) -> None:
    retargeter = FaceRetargeter(smoothing="off")
    tracks = [seen(portrait, portrait_face, k) for k in range(3)]
    for track in tracks:
        motion = retargeter.retarget(track, track.timestamp_ns)
        assert motion.reference is not None
        assert motion.reference.camera is not None
        generator.generate(motion)
        assert generator.seen is not None


def test_a_view_moves_the_picture_without_encoding_again(
    generator: NeuralGenerator, counts: dict[str, int], portrait: UInt8Image, portrait_face: Face
) -> None:
    rest = generator.generate(still(0, 0, Presence.TRACKED)).image
    before = dict(counts)
    generator.set_view(View(zoom=1.5))
    assert generator.view == View(zoom=1.5)
    picture = generator.generate(still(0, 0, Presence.TRACKED)).image
    canvas = make_canvas(portrait, portrait_face, "photo", SIZE_PX, View(zoom=1.5)).image
    assert apart(picture, canvas) < 2 < 20 < apart(rest, canvas)
    assert counts == before


def test_features_are_kept_from_start_to_start(
    name: str, portrait: UInt8Image, portrait_face: Face, tmp_path: Path
) -> None:
    once = "liveportrait/appearance_feature_extractor" if name == "liveportrait" else "fomm/source"
    pictures, runs = [], []
    for _ in range(2):
        counts: dict[str, int] = {}
        with toy_generator(
            name, portrait, portrait_face, size_px=SIZE_PX, cache=tmp_path, networks=toys(counts)
        ) as generator:
            pictures.append(generator.generate(still(0, 0, Presence.TRACKED)).image)
        runs.append(counts.get(f"run {once}", 0))
        assert counts.get(f"opened {once}", 0) == counts.get(f"closed {once}", 0)
    assert runs == [1, 0]
    assert np.array_equal(*pictures)


def test_avatars_of_a_deck_share_networks_and_close_them_at_the_end(
    name: str, portrait: UInt8Image, portrait_face: Face, tmp_path: Path, counts: dict[str, int]
) -> None:
    networks = toys(counts)
    one, other = (
        toy_generator(name, photo, portrait_face, cache=tmp_path, networks=networks)
        for photo in (portrait, darker(portrait))
    )
    with Deck(["one", "other"], [one, other]) as deck:
        first = deck.generate(still(0, 0, Presence.TRACKED)).image
        deck.step(1)
        assert apart(deck.generate(still(0, 0, Presence.TRACKED)).image, first) > 1
        assert counts[f"opened {name}/frame"] == 1
        assert f"closed {name}/frame" not in counts
    assert counts[f"closed {name}/frame"] == 1
    with pytest.raises(EngineError, match="closed"):
        networks.infer(f"{name}/frame", {})


@pytest.mark.slow
def test_the_first_order_networks_themselves_move_a_photograph(
    portrait: UInt8Image, portrait_face: Face, tmp_path: Path
) -> None:
    """The real graph with seeded weights: not a face, but moved by the driver and repeatable."""
    pytest.importorskip("torch", reason="the reference networks are PyTorch's")
    from engines.networks.seeded import seeded

    parts = {part: seeded(part) for part in ("fomm/kp_detector", "fomm/generator")}
    networks = Networks(lambda model: reference(model, parts), "seeded")
    generator = toy_generator(
        "fomm", portrait, portrait_face, size_px=SIZE_PX, cache=tmp_path, networks=networks
    )
    then, now = seen(portrait, portrait_face), seen(portrait[:, ::-1].copy(), portrait_face, 50)
    with generator:
        rest = generator.generate(driven(then, then)).image
        moved = generator.generate(driven(now, then)).image
        again = generator.generate(driven(replace(now, index=51), then)).image
    assert apart(moved, rest) > 5
    assert np.array_equal(moved, again)
