"""A hand or a microphone before the mouth: seen at once, and the avatar's mouth rests."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from avatar.core.face.topology import INNER_LIPS, LIPS_MIDDLE
from avatar.core.frames import BLENDSHAPE_INDEX, CameraFrame, Face, FaceTrack, Motion, UInt8Image
from avatar.core.speech import Articulation
from avatar.measure.bench import load_frames
from avatar.stages.generate.portrait import PortraitGenerator, PortraitSettings
from avatar.stages.motion.hidden_mouth import MouthSight
from avatar.stages.motion.retarget import FaceRetargeter
from avatar.stages.motion.spoken import VoiceDriven
from avatar.stages.track.own import OwnTracker
from tests.stages.motion.faces import with_jaw_open

FPS = 30
THINGS = {"microphone": (30, 30, 32), "foam": (20, 200, 60), "cup": (228, 224, 216)}


def covered(image: UInt8Image, face: Face, thing: str, reach: float = 0.22) -> UInt8Image:
    """Return ``image`` with a thing before the mouth of ``face``; a hand has the face's skin."""
    points = face.landmarks_px[:, :2]
    out, middle = image.copy(), points[INNER_LIPS].mean(axis=0)
    width = float(np.linalg.norm(points[234] - points[454]))
    if thing != "hand":
        at = tuple(int(v) for v in middle + np.array([0, 0.05 * width]))
        cv2.circle(out, at, round(reach * width), THINGS[thing], -1, cv2.LINE_AA)
        return out
    skin = [image[int(y), int(x)] for x, y in points[[151, 9, 8, 107, 336, 50, 280]]]
    colour = np.median(skin, axis=0)
    for k in range(4):
        at = tuple(int(v) for v in middle + np.array([0, 0.16 * (k - 1.2) * width]))
        axes = (round(0.42 * width), round(0.09 * width))
        finger = tuple(int(v) for v in colour * (0.97 - 0.05 * k))
        cv2.ellipse(out, at, axes, 0, 0, 360, finger, -1, cv2.LINE_AA)
    return out


def in_light(
    image: UInt8Image, gains: tuple[float, float, float], noise: float, k: int
) -> UInt8Image:
    trembling = np.random.default_rng(k).normal(0, noise, image.shape)
    lit = image * np.array(gains, np.float32) + trembling
    return np.clip(lit, 0, 255).astype(np.uint8)


def sights(image: UInt8Image, face: Face, things: list[str | None]) -> list[bool]:
    """Return whether the mouth was seen in each of a camera's frames, with its noise."""
    sight = MouthSight()
    return [
        sight.sees(
            in_light(covered(image, face, thing) if thing else image, (1, 1, 1), 3, k),
            face, round(k * 1e9 / FPS),
        )
        for k, thing in enumerate(things)
    ]  # fmt: skip


@pytest.mark.parametrize("thing", [*THINGS, "hand"])
def test_a_thing_before_the_mouth_is_seen_in_its_first_frame_and_after_a_while_it_is_gone(
    portrait: UInt8Image, portrait_face: Face, thing: str
) -> None:
    seen = sights(portrait, portrait_face, [None] * 20 + [thing] * 20 + [None] * 20)
    assert all(seen[:20])
    assert not any(seen[20:40])
    back = seen.index(True, 40)
    assert 45 <= back <= 52
    assert all(seen[back:])


@pytest.mark.parametrize("thing", ["microphone", "hand"])
def test_something_that_flickers_does_not_make_it_flicker(
    portrait: UInt8Image, portrait_face: Face, thing: str
) -> None:
    things = [thing if k >= 20 and k % 4 < 2 else None for k in range(60)]
    assert not any(sights(portrait, portrait_face, things)[20:])


@pytest.mark.parametrize(
    ("gains", "noise"),
    [((0.3, 0.3, 0.3), 3.0), ((1.25, 1.0, 0.65), 3.0), ((0.7, 1.0, 1.3), 3.0), ((1, 1, 1), 12.0)],
)
def test_other_light_hides_no_mouth(
    portrait: UInt8Image, portrait_face: Face, gains: tuple[float, float, float], noise: float
) -> None:
    sight = MouthSight()
    for k in range(60):
        lit = in_light(portrait, gains if k >= 20 else (1, 1, 1), noise if k >= 20 else 3, k)
        assert sight.sees(lit, portrait_face, round(k * 1e9 / FPS)), k


def test_a_mouth_outside_of_the_picture_is_not_seen(
    portrait: UInt8Image, portrait_face: Face
) -> None:
    lips = portrait_face.landmarks_px[INNER_LIPS, 1].min()
    high = np.ascontiguousarray(portrait[: int(lips) - 8])
    cut = replace(portrait_face, image_size_px=(high.shape[1], high.shape[0]))
    assert not MouthSight().sees(high, cut, 0)


def test_a_new_driver_has_lips_of_their_own(portrait: UInt8Image, portrait_face: Face) -> None:
    """Painted as the first driver's were not: a thing for the first one, usual for the next."""
    painted = covered(portrait, portrait_face, "microphone", reach=0.16)
    sight = MouthSight()
    for k in range(20):
        assert sight.sees(portrait, portrait_face, round(k * 1e9 / FPS))
    assert not sight.sees(painted, portrait_face, 700_000_000)
    sight.forget()
    assert sight.sees(painted, portrait_face, 733_000_000)


def performed(
    image: UInt8Image, face: Face, thing: str, absolute: bool = False
) -> Iterator[tuple[int, Motion]]:
    """Yield (frame, motion): talking, then something before the mouth, then talking again."""
    retargeter = FaceRetargeter("absolute" if absolute else "relative", "off", "first")
    for k in range(120):
        hidden = 40 <= k < 80
        # Landmarks of a hidden mouth are anything.
        jaw = 60.0 if hidden else 8 + 8 * np.sin(k / 3)
        now = with_jaw_open(face, float(jaw) * (k > 2))
        scores = face.blendshapes.copy()
        scores[BLENDSHAPE_INDEX["jawOpen"]] = 0.9 if hidden else 0.3
        now = replace(now, blendshapes=scores)
        picture = covered(image, face, thing) if hidden else image
        stamp = round(k * 1e9 / FPS)
        frame = CameraFrame(picture, stamp, k)
        yield k, retargeter.retarget(FaceTrack(stamp, k, now, frame), stamp)


def gap(motion: Motion) -> float:
    """Return the lips' distance beyond the resting one, head units."""
    shape = motion.expression - (motion.neutral if motion.absolute else 0)
    upper, lower = shape[list(LIPS_MIDDLE), 1]
    return float(upper - lower)


@pytest.mark.parametrize("absolute", [False, True])
@pytest.mark.parametrize("thing", ["microphone", "hand"])
def test_a_hidden_mouth_comes_to_rest_and_back_without_a_jump(
    portrait: UInt8Image, portrait_face: Face, thing: str, absolute: bool
) -> None:
    motions = [m for _, m in performed(portrait, portrait_face, thing, absolute)]
    gaps = [gap(motion) for motion in motions]
    talking = np.abs(np.diff(gaps[5:40])).max()
    assert [motion.mouth_seen for motion in motions[35:45]] == [True] * 5 + [False] * 5
    assert np.abs(np.diff(gaps[38:110])).max() < 1.6 * talking
    assert np.abs(gaps[55:80]).max() < 0.05 * max(gaps[5:40])
    assert all(m.blendshapes[BLENDSHAPE_INDEX["jawOpen"]] < 0.02 for m in motions[55:80])
    assert gaps[105:120] == pytest.approx(
        [gap(m) for _, m in performed(portrait, portrait_face, thing, absolute)][105:120]
    )
    assert max(gaps[105:120]) > 0.8 * max(gaps[5:40])
    # What is drawn has no picture of the thing.
    assert all((m.track is None or m.track.camera is None) for m in motions if not m.mouth_seen)
    assert all(m.track is not None and m.track.camera is not None for m in motions[100:])


def test_a_hidden_mouth_is_no_reference(portrait: UInt8Image, portrait_face: Face) -> None:
    """However neutral the rest of the face; one that was asked for waits until it is seen."""
    retargeter = FaceRetargeter("relative", "off")
    smiling = portrait_face.blendshapes.copy()
    smiling[BLENDSHAPE_INDEX["mouthSmileLeft"]] = 0.8
    hidden = covered(portrait, portrait_face, "cup")
    references = []
    for k in range(60):
        stamp = round(k * 1e9 / FPS)
        image = hidden if 20 <= k < 40 else portrait
        face = portrait_face if 20 <= k < 40 else replace(portrait_face, blendshapes=smiling)
        if k == 30:
            retargeter.take_reference()
        track = FaceTrack(stamp, k, face, CameraFrame(image, stamp, k))
        references.append(retargeter.retarget(track, stamp).neutral)
    assert all(neutral is references[0] for neutral in references[:40])
    assert references[59] is not references[0], "taken when it was seen again"


def test_nothing_of_the_thing_is_drawn(portrait: UInt8Image, portrait_face: Face) -> None:
    """A green foam before an open mouth: the avatar's own mouth has no green in any frame."""
    settings = PortraitSettings(mouth="driver")
    with PortraitGenerator(portrait, portrait_face, "portrait", (320, 240), settings) as generator:
        for k, motion in performed(portrait, portrait_face, "foam"):
            if 36 <= k < 100:
                picture = generator.generate(motion).image.astype(int)
                green = picture[..., 1] - picture[..., [0, 2]].max(axis=2)
                assert green.max() < 25, k


def test_a_hidden_mouth_follows_the_voice_where_there_is_one(
    portrait: UInt8Image, portrait_face: Face
) -> None:
    def voice(now_ns: int, frame_ns: int) -> Articulation:
        return Articulation(now_ns, True, 0.8, 0.0, 0.0, 0.0, 0.5)

    class Seen:
        """Hands on what was made already."""

        motion: Motion

        def retarget(self, track: FaceTrack | None, now_ns: int) -> Motion:
            return self.motion

        def take_reference(self) -> None: ...

    seen = Seen()
    driven = VoiceDriven(seen, voice, "auto", portrait_face.landmarks_px)
    opened = {}
    for k, motion in performed(portrait, portrait_face, "microphone"):
        seen.motion = motion
        opened[k] = gap(driven.retarget(None, motion.timestamp_ns)), gap(motion)
    assert opened[39][0] == pytest.approx(opened[39][1]), "while it is seen it is the driver's"
    assert opened[75][0] > opened[75][1] + 0.1
    assert opened[119][0] == pytest.approx(opened[119][1], abs=0.02)


@pytest.mark.parametrize("clip", ["d0", "d3", "d9", "d10", "d11", "d14", "d18", "d19"])
def test_no_ordinary_clip_hides_a_mouth(clip: str, shared_media: Path, face_model: Path) -> None:
    path = shared_media / "clips" / f"{clip}.mp4"
    if not path.is_file():
        pytest.skip(f"no clip {path}")
    frames = list(load_frames(str(path), FPS)[:240:4])
    sight = MouthSight()
    with OwnTracker(face_model) as tracker:
        for k, image in enumerate(frames):
            frame = CameraFrame(image, round(4 * k * 1e9 / FPS), k)
            face = tracker.track(frame).face
            assert face is None or sight.sees(image, face, frame.timestamp_ns), k
            if k == len(frames) - 1 and face is not None:
                hidden = covered(image, face, "microphone")
                assert not sight.sees(hidden, face, frame.timestamp_ns + 33_000_000)
