"""Expressions on a key and templates in a call: they come, stay and go, and never jump."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avatar.core.errors import UsageError
from avatar.core.face.head import decompose
from avatar.core.face.rotation import rotation_from_vector, vector_from_rotation
from avatar.core.face.topology import MOUTH_CORNERS
from avatar.core.frames import (
    BLENDSHAPE_INDEX,
    BLENDSHAPE_NAMES,
    CameraFrame,
    Face,
    FaceTrack,
    Float32,
    Motion,
    Presence,
    still,
)
from avatar.stages.motion.acting import PLAY_EASE_S, ActedRetargeter, Acting
from avatar.stages.motion.choreography import load_choreography
from avatar.stages.motion.expressions import EXPRESSIONS, ExpressionBasis
from avatar.stages.motion.keyed import KEYED
from avatar.stages.motion.performance import FACE, FACE_SHAPES, seen_of
from avatar.stages.motion.plays import ChoreographyPlay, RecordedPlay
from avatar.stages.motion.template import TemplateRecorder, load_template
from tests import ROOT

STEP_S = 1 / 30
WAVE = load_choreography(ROOT / "avatar/stages/motion/choreographies/wave.toml")
EASED_FASTEST = 1.5  # the steepest place of t²·(3 − 2t)


class Driven:
    """A retargeter without a driver: hands out what it is given."""

    def __init__(self, motion: Motion) -> None:
        self.motion = motion

    def take_reference(self) -> None:
        """Nothing to take."""

    def retarget(self, track: FaceTrack | None, now_ns: int) -> Motion:
        return replace(self.motion, timestamp_ns=now_ns)


class Bench:
    """An acted retargeter on a clock of its own."""

    def __init__(self, face: Face, **scores: float) -> None:
        self.shape = decompose(face).shape
        values = np.zeros(len(BLENDSHAPE_NAMES), np.float32)
        for name, score in scores.items():
            values[BLENDSHAPE_INDEX[name]] = score
        tracked = still(0, 0, Presence.TRACKED)
        picture = CameraFrame(np.zeros((8, 8, 3), np.uint8), 0, 0)
        self.inner = Driven(
            replace(
                tracked,
                neutral=self.shape,
                blendshapes=values,
                track=FaceTrack(0, 0, face, camera=picture),
            )
        )
        self.acting = Acting()
        self.retargeter = ActedRetargeter(self.inner, self.acting, self.shape)
        self.now_ns = 0

    def step(self, seconds: float = STEP_S) -> Motion:
        self.now_ns += round(seconds * 1e9)
        return self.retargeter.retarget(None, self.now_ns)

    def after(self, seconds: float) -> Motion:
        for _ in range(round(seconds / STEP_S)):
            motion = self.step()
        return motion


@pytest.fixture
def bench(portrait_face: Face) -> Bench:
    return Bench(portrait_face)


def score(motion: Motion, name: str) -> float:
    return float(motion.blendshapes[BLENDSHAPE_INDEX[name]])


def shown(motion: Motion) -> float:
    return float(np.abs(motion.expression).max())


def test_nothing_asked_changes_nothing(bench: Bench) -> None:
    given_motion = bench.inner.motion
    bench.inner.retarget = lambda track, now_ns: given_motion  # type: ignore[method-assign]
    assert bench.step() is given_motion


@pytest.mark.parametrize("name", KEYED)
def test_an_expression_comes_stays_and_goes(bench: Bench, name: str) -> None:
    does = KEYED[name]
    assert set(does.look.scores) <= set(EXPRESSIONS)
    bench.step()
    bench.acting.express(name)
    first = bench.step()
    there = bench.after(does.ease_s + 0.1)
    assert shown(first) < shown(there)
    assert shown(there) + float(np.abs(there.eye_closure).max()) > 0.03
    assert shown(bench.after(does.shown_s - 0.2)) > 0.5 * shown(there), "still there"
    gone = bench.after(2 * does.ease_s + 0.2)
    assert not gone.expression.any() and not gone.eye_closure.any()
    assert np.allclose(gone.rotation, np.eye(3), atol=1e-6)


def test_a_held_one_stays_until_it_is_let_go(bench: Bench) -> None:
    bench.acting.express("smile", held=True)
    assert score(bench.after(30.0), "mouthSmileLeft") == pytest.approx(0.95)
    bench.acting.express("smile", held=False)
    assert score(bench.after(0.4), "mouthSmileLeft") == 0


def test_a_key_held_down_repeats_itself_and_keeps_it_there(bench: Bench) -> None:
    for _ in range(20):
        bench.acting.express("smile")
        motion = bench.after(0.5)
    assert score(motion, "mouthSmileLeft") == pytest.approx(0.95)


def test_hold_keeps_what_is_shown_and_lets_it_go(bench: Bench) -> None:
    bench.acting.express("sad")
    bench.after(0.5)
    bench.acting.hold()
    assert score(bench.after(20.0), "browInnerUp") == pytest.approx(0.9)
    bench.acting.hold()
    assert score(bench.after(0.5), "browInnerUp") == 0


def test_another_one_takes_its_place(bench: Bench) -> None:
    bench.acting.express("smile", held=True)
    bench.after(1.0)
    bench.acting.express("surprise", held=True)
    motion = bench.after(1.0)
    assert score(motion, "mouthSmileLeft") == 0
    assert score(motion, "browInnerUp") == pytest.approx(0.9)


def test_who_smiles_already_is_not_made_to_grin(portrait_face: Face) -> None:
    bench = Bench(portrait_face, mouthSmileLeft=0.9, mouthSmileRight=0.9, jawOpen=0.4)
    bench.acting.express("smile", held=True)
    motion = bench.after(1.0)
    assert score(motion, "mouthSmileLeft") == pytest.approx(0.95, abs=1e-5)
    assert score(motion, "jawOpen") == pytest.approx(0.4), "speaking goes on"
    grown = ExpressionBasis(bench.shape).displacement({"mouthSmileLeft": 0.95})
    corners = list(MOUTH_CORNERS)
    moved = float(np.abs(motion.expression[corners]).max())
    assert moved < 0.2 * float(np.abs(grown[corners]).max())


def test_who_is_sad_does_not_smile(portrait_face: Face) -> None:
    bench = Bench(portrait_face, mouthSmileLeft=0.7, mouthSmileRight=0.7)
    bench.acting.express("sad", held=True)
    motion = bench.after(1.0)
    assert score(motion, "mouthSmileLeft") == pytest.approx(0, abs=1e-6)


def test_a_wink_shuts_one_eye_and_blinks_go_on(bench: Bench) -> None:
    bench.acting.express("wink", held=True)
    assert bench.after(0.5).eye_closure.tolist() == pytest.approx([1, 0])
    bench.inner.motion = replace(bench.inner.motion, eye_closure=np.ones(2, np.float32))
    assert bench.step().eye_closure.tolist() == pytest.approx([1, 1])
    bench.acting.express("surprise", held=True)
    assert bench.after(0.6).eye_closure.tolist() == pytest.approx([1, 1]), "wide eyes blink, too"


def test_a_mouth_that_opens_has_nothing_of_the_drivers_closed_one(bench: Bench) -> None:
    bench.acting.express("smile", held=True)
    track = bench.after(0.5).track
    assert track is not None and track.camera is not None, "a smile keeps the driver's own mouth"
    bench.acting.express("laugh", held=True)
    track = bench.after(0.5).track
    assert track is not None and track.camera is None


def test_an_unknown_name_is_told_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"smile, surprise.*found 'smle'.*Did you mean `smile`"):
        Acting().express("smle")


def test_in_absolute_motion_too(bench: Bench) -> None:
    there = replace(
        bench.inner.motion, absolute=True, expression=bench.shape,
        translation=np.array([320, 240], np.float32), scale=90.0,
    )  # fmt: skip
    bench.inner.motion = there
    bench.acting.express("shy", held=True)
    bench.acting.play(ChoreographyPlay(WAVE))
    motion = bench.after(1.0)
    assert motion.absolute and motion.scale == pytest.approx(90, rel=0.02)
    assert np.abs(motion.translation - there.translation).max() < 30
    assert 0.03 < np.abs(motion.expression - bench.shape).max() < 1


def test_a_template_is_played_once_and_hands_back(bench: Bench) -> None:
    play = ChoreographyPlay(WAVE)
    bench.acting.play(play)
    bench.step()
    turned = max(
        float(np.abs(vector_from_rotation(bench.step().rotation)).max())
        for _ in range(round((play.seconds - 0.1) / STEP_S))
    )
    assert math.degrees(turned) > 5
    bench.after(0.2)
    assert not bench.acting.is_playing
    assert not bench.step().expression.any()


def test_it_can_be_taken_back_in_the_middle(bench: Bench) -> None:
    bench.acting.play(ChoreographyPlay(WAVE))
    bench.after(1.0)
    assert bench.acting.is_playing
    bench.acting.stop_playing()
    bench.after(PLAY_EASE_S + STEP_S)
    assert not bench.step().expression.any()


def test_a_recording_plays_what_was_recorded(bench: Bench, tmp_path: Path) -> None:
    recorded = recording(bench.shape, tmp_path / "nod.npz")
    play = RecordedPlay(load_template(recorded, {FACE: FACE_SHAPES}, FACE))
    assert play.seconds == pytest.approx(2.0)
    basis = ExpressionBasis(bench.shape)
    for k in (0, 7, 29, 59):
        motion = play.motion(basis, k / 30)
        assert math.degrees(vector_from_rotation(motion.rotation)[0]) == pytest.approx(k, abs=1e-3)
    assert math.degrees(vector_from_rotation(play.motion(basis, 0.25).rotation)[0]) == (
        pytest.approx(7.5, abs=1e-3)
    )
    bench.acting.play(play)
    assert math.degrees(vector_from_rotation(bench.after(1.0).rotation)[0]) > 20


def recording(shape: Float32, path: Path) -> Path:
    """Write two seconds in which the head turns down by a degree a frame, with a gap."""
    recorder = TemplateRecorder(FACE, 30, FACE_SHAPES)
    for k in range(60):
        turn = rotation_from_vector(np.radians([k, 0, 0]).astype(np.float32))
        seen = replace(still(0, k, Presence.TRACKED), rotation=turn, neutral=shape)
        recorder.add(round(k / 30 * 1e9), None if k == 15 else seen_of(seen))
    recorder.save(path)
    return path


def moving(shape: Float32) -> Callable[[float], Motion]:
    """Return a driver who turns, speaks and blinks, by the time in seconds."""
    basis = ExpressionBasis(shape)

    def at(t_s: float) -> Motion:
        turn = 0.4 * np.sin(np.array([1.1, 1.7, 0.6]) * t_s)
        scores: Mapping[str, float] = {"jawOpen": 0.3 + 0.3 * math.sin(5 * t_s)}
        motion = still(0, 0, Presence.TRACKED)
        return replace(
            motion,
            neutral=shape,
            expression=basis.displacement(scores),
            rotation=rotation_from_vector(turn.astype(np.float32)),
        )

    return at


ASKED = st.one_of(
    st.tuples(st.just("express"), st.sampled_from(sorted(KEYED))),
    st.tuples(st.sampled_from(["play", "stop", "hold", "nothing"]), st.just("")),
)


@settings(max_examples=25, deadline=None)
@given(st.lists(ASKED, min_size=3, max_size=8))
def test_whatever_is_asked_head_and_mouth_take_no_step(
    portrait_face: Face, asked: list[tuple[str, str]]
) -> None:
    """No picture is further from the one before than driver and easing together can move."""
    bench = Bench(portrait_face)
    driver, play = moving(bench.shape), ChoreographyPlay(WAVE)
    acts: dict[str, Callable[[str], None]] = {
        "express": lambda name: bench.acting.express(name),
        "play": lambda _: bench.acting.play(play),
        "stop": lambda _: bench.acting.stop_playing(),
        "hold": lambda _: bench.acting.hold(),
        "nothing": lambda _: None,
    }
    # Angles up to 40° and 25°, over the shortest easing; lips by the widest expression.
    most_turn = 2 * math.radians(65) * EASED_FASTEST * STEP_S / PLAY_EASE_S
    most_move = 2.0 * EASED_FASTEST * STEP_S / 0.15
    before: Motion | None = None
    frame = 0
    for what, name in [*asked, ("nothing", ""), ("nothing", "")]:
        acts[what](name)
        for _ in range(20):
            bench.inner.motion = driver(frame * STEP_S)
            motion = bench.step()
            frame += 1
            if before is not None:
                turn = vector_from_rotation(motion.rotation @ before.rotation.T)
                assert float(np.linalg.norm(turn)) < most_turn
                assert float(np.abs(motion.expression - before.expression).max()) < most_move
            before = motion


def test_handing_back_moves_no_faster_than_taking_over(portrait_face: Face) -> None:
    """Over the whole of a template, begin and end, head and lips keep to a person's pace."""
    bench = Bench(portrait_face)
    driver, play = moving(bench.shape), ChoreographyPlay(WAVE)
    bench.acting.play(play)
    steps = []
    before: Motion | None = None
    for frame in range(round((play.seconds + 1) / STEP_S)):
        bench.inner.motion = driver(frame * STEP_S)
        motion = bench.step()
        if before is not None:
            turn = np.linalg.norm(vector_from_rotation(motion.rotation @ before.rotation.T))
            lips = np.abs(motion.expression - before.expression).max()
            steps.append((math.degrees(float(turn)), float(lips)))
        before = motion
    turns, moves = zip(*steps, strict=True)
    assert max(turns) < 8, "240° a second: a quick turn of a head"
    assert max(moves) < 0.12
