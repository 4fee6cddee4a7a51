"""Retargeting: a face track in, the avatar's motion out; it holds, idles and returns smoothly."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from avatar.core.choices import MotionMode, Reference, Smoothing
from avatar.core.curves import eased
from avatar.core.face.head import (
    HeadShape,
    decompose,
    decompose_like,
    head_rotation,
    iris_offset,
    mouth_width,
)
from avatar.core.face.rotation import rotation_from_vector, vector_from_rotation
from avatar.core.face.topology import LIPS_MIDDLE
from avatar.core.frames import (
    BLENDSHAPE_INDEX,
    BLENDSHAPE_NAMES,
    Face,
    FaceTrack,
    Float32,
    Motion,
    Presence,
    still,
)
from avatar.core.person import Person
from avatar.stages.motion.between import SLOW_STEP_NS, Between
from avatar.stages.motion.driving import UNCHANGED, Driven, Driving
from avatar.stages.motion.expression import KnownPerson, LearningEyes, usual_closure
from avatar.stages.motion.gaze import gaze_change, look_down, yoked
from avatar.stages.motion.hidden_mouth import MouthAtRest, MouthSight
from avatar.stages.motion.idle import idle_blink, idle_rotation, idle_translation
from avatar.stages.motion.rest import relaxed
from avatar.stages.motion.smooth import HeadSmoother
from avatar.stages.motion.usable_face import in_size, plausible

HOLD_NS = 500_000_000
REFERENCE_SEARCH_NS = 2_000_000_000
CLOCK_JUMP_NS = 1_000_000_000
_TRANSITION_NS = 350_000_000
# What a slow camera saw is reached in so long at the most.
_GLIDE_NS = 120_000_000
_BLINKS = [BLENDSHAPE_INDEX[f"eyeBlink{side}"] for side in ("Left", "Right")]
# Expressions count against a neutral face; looking somewhere does not.
_EXPRESSIVE = [
    i for i, name in enumerate(BLENDSHAPE_NAMES) if name != "_neutral" and "eyeLook" not in name
]


def blend(a: Motion, b: Motion, share: float) -> Motion:
    """Return the motion ``share`` of the way from ``a`` to ``b``, with all else of ``b``."""
    if a.absolute != b.absolute:
        return b
    turn = vector_from_rotation(b.rotation @ a.rotation.T)
    mix = np.float32(share)
    return replace(
        b,
        expression=a.expression + (b.expression - a.expression) * mix,
        rotation=rotation_from_vector(turn * mix) @ a.rotation,
        translation=a.translation + (b.translation - a.translation) * mix,
        scale=a.scale + (b.scale - a.scale) * share,
        blendshapes=a.blendshapes + (b.blendshapes - a.blendshapes) * mix,
        eye_closure=a.eye_closure + (b.eye_closure - a.eye_closure) * mix,
        gaze=a.gaze + (b.gaze - a.gaze) * mix,
    )


def neutrality(face: Face) -> float:
    """Return how far ``face`` is from a neutral look into the camera; 0 is perfectly neutral."""
    head = decompose(face)
    turned = float(np.linalg.norm(vector_from_rotation(head.rotation)))
    # Parted lips and half-shut eyes weigh more than their scores say: taken for neutral, they
    # would keep the avatar's mouth shut and its eyes open for good.
    upper, lower = head.shape[list(LIPS_MIDDLE)]
    parted = float(np.linalg.norm(upper - lower) / max(mouth_width(head.shape), 1e-3))
    shut = float(face.blendshapes[_BLINKS].sum())
    expressive = float(face.blendshapes[_EXPRESSIVE].sum())
    return expressive + 2.0 * turned + 8.0 * parted + 2.0 * shut


def difference(face: Face, other: Face) -> float:
    """Return how differently two people hold and move their faces, free of their proportions.

    The sum over the expressions' blendshapes, and twice the angle between the heads in radians.
    """
    turn = head_rotation(face) @ head_rotation(other).T
    apart = np.abs(face.blendshapes[_EXPRESSIVE] - other.blendshapes[_EXPRESSIVE]).sum()
    return float(apart) + 2.0 * float(np.linalg.norm(vector_from_rotation(turn)))


@dataclass(frozen=True, eq=False)
class _Reference:
    """The driver's face that stands for the photograph's."""

    head: HeadShape
    look_down: Float32
    track: FaceTrack


class FaceRetargeter:
    """The retargeter for one driver.

    ``mode``: relative keeps the photograph's own shape and pose and adds the driver's change
    since a reference; absolute reproduces the driver's own landmarks. The reference is the
    most neutral face of the first two tracked seconds, and of the next moment after
    ``take_reference``.
    ``smoothing``: strength of the 1€ filters on shape, pose and blendshapes.
    ``reference``: ``auto`` as said; ``first`` and ``key`` take the first tracked face, whatever
    its look, and change it only when asked to.
    ``person``: what is known of the driver; ``profile`` takes its resting face and pose as the
    reference, and the first tracked face's place. ``driving``: how far the avatar goes along.
    ``delay_s``: asked for every face: how much later than its capture it will be seen. Pose and
    place are predicted by that much. ``watches_mouth``: whether a mouth that something hides comes
    to rest (``MouthSight``); not for engines that look at the driver's picture themselves.
    """

    def __init__(
        self,
        mode: MotionMode = "relative",
        smoothing: Smoothing = "light",
        reference: Reference = "auto",
        *,
        person: Person | None = None,
        driving: Driving = UNCHANGED,
        delay_s: Callable[[], float] = lambda: 0.0,
        watches_mouth: bool = True,
    ) -> None:
        self._absolute = mode == "absolute"
        self._smooth = HeadSmoother(smoothing, person.noise if person is not None else None)
        self._person = person
        self._known = KnownPerson(person) if person is not None else None
        self._eyes = LearningEyes()
        self._delay_s = delay_s
        self._drive = Driven(driving)
        self._reference: _Reference | None = None
        self._size_px = (0, 0)  # of the picture that places and sizes are counted in
        self._reference_score = np.inf
        self._search_until_ns: int | None = None
        self._searches = reference == "auto"
        self._rests = reference == "profile"
        if self._rests and person is None:
            raise ValueError("reference: expected a person for `profile`, found None")
        self._asked = False
        self._wanted: Face | None = None
        self._wanted_score = np.inf
        self._last_seen_ns: int | None = None
        self._last_face: Motion | None = None
        self._idle_since_ns: int | None = None
        self._shown: Motion | None = None
        self._from: Motion | None = None
        self._transition_from_ns = 0
        self._transition_ns = _TRANSITION_NS
        self._glides = False
        # From the first time on that a motion between two camera frames is asked for.
        self._between: Between | None = None
        self._step_ns: int | None = None  # between the last two faces in a row
        self._sight = MouthSight() if watches_mouth else None
        self._mouth = MouthAtRest()
        self._whose = 0  # ``FaceTrack.person`` of the last face

    def take_reference(self) -> None:
        """Take the next tracked face as the reference; safe from any thread."""
        self._wanted = None
        self._asked = True

    def search_reference(self, photo: Face | None) -> None:
        """From now on take every face that looks more like ``photo`` as the reference.

        ``photo``: the avatar's face: where the driver does as it does, both move alike from there.
        None ends the search. Safe from any thread.
        """
        self._wanted_score = np.inf
        self._wanted = photo

    def drive(self, driving: Driving) -> None:
        """Go along differently far from the next face on; the reference stays. From any thread."""
        self._drive = Driven(driving)

    @property
    def searching(self) -> bool:
        """Return whether a better reference is being looked for."""
        return self._wanted is not None

    def begin_with(self, track: FaceTrack) -> None:
        """Keep the face of ``track`` as the reference; to be called before the first frame.

        For recordings, whose most neutral face can be looked for before anything is drawn.
        """
        if track.face is not None and plausible(track.face):
            self._reference = self._relaxed_reference(track, track.face)
            self._reference_score = 0.0
            self._size_px = track.face.image_size_px

    def retarget(self, track: FaceTrack | None, now_ns: int) -> Motion:
        """Return the motion for ``now_ns``; ``track`` is None when no camera frame came.

        Shortly after a face it is that face's motion carried on (``Presence.PREDICTED``). A face of
        impossible numbers counts as no face, and a track that is older than the last one as none. A
        clock that jumped back by more than a second counts as a new one.
        """
        if track is not None and self._is_stale(track.timestamp_ns):
            track = None
        face = track.face if track is not None else None
        if track is not None and face is not None and plausible(face):
            motion = self._tracked(track, face, now_ns)
        elif track is None:
            motion = self._carried_on(now_ns) or self._untracked(-1, now_ns)
        else:
            self._step_ns = None
            motion = self._untracked(track.index, now_ns)
        self._shown = self._smooth_jump(motion, now_ns)
        return self._drive(self._shown, self._reference.head if self._reference else None)

    def _is_stale(self, timestamp_ns: int) -> bool:
        """Return whether a track comes too late to be of use, and remember the newest."""
        last_ns = self._last_seen_ns
        if last_ns is not None and last_ns - CLOCK_JUMP_NS < timestamp_ns <= last_ns:
            return True
        if last_ns is not None and timestamp_ns < last_ns:
            # A new clock: what was timed by the old one is over.
            self._from = self._idle_since_ns = None
            self._search_until_ns = timestamp_ns if self._search_until_ns is not None else None
            if self._last_face is not None:
                self._last_face = replace(self._last_face, timestamp_ns=timestamp_ns)
        self._last_seen_ns = timestamp_ns
        return False

    def _tracked(self, track: FaceTrack, face: Face, now_ns: int) -> Motion:
        if track.person != self._whose:
            self._meet(track.person, now_ns)
        returned = self._last_face is not None and self._idle_since_ns is not None
        if returned or self._last_face is None:
            self._smooth.reset()
            self._begin_transition(now_ns)
        self._idle_since_ns = None
        seen = self._sees(track)
        if seen or self._reference is None:  # of a mouth that is hidden nothing is known
            self._update_reference(track, face, now_ns)
        face = in_size(face, self._size_px)
        make = self._absolute_motion if self._absolute else self._relative_motion
        last, self._last_face = self._last_face, self._mouth(make(track, face), seen)
        self._step_ns = 0 if last is None else track.timestamp_ns - last.timestamp_ns
        if self._between is not None:
            self._between.see(self._last_face)
            if self._from is None and SLOW_STEP_NS < self._step_ns < HOLD_NS:
                self._begin_transition(now_ns, min(self._step_ns, _GLIDE_NS), glides=True)
        return self._last_face

    def _sees(self, track: FaceTrack) -> bool:
        """Return whether the mouth is seen; that of a track without a picture is."""
        if self._sight is None or track.face is None or track.camera is None:
            return True
        return self._sight.sees(track.camera.image, track.face, track.timestamp_ns)

    def _meet(self, person: int, now_ns: int) -> None:
        """Look for the reference again, and what else is one person's: it is somebody else."""
        self._whose = person
        self._smooth.reset()
        self._begin_transition(now_ns)
        self._eyes, self._between = LearningEyes(), None
        if self._sight is not None:
            self._sight.forget()
        self._reference, self._reference_score = None, np.inf
        self._search_until_ns = None

    def _carried_on(self, now_ns: int) -> Motion | None:
        """Return the motion between the last face and the next; None where there is no such."""
        if self._step_ns is None:
            return None
        if self._between is None:
            self._between = Between()
            if self._last_face is not None:
                self._between.see(self._last_face)
        return self._between.at(now_ns)

    def _untracked(self, index: int, now_ns: int) -> Motion:
        """Hold the last face for half a second, then idle from it gently."""
        if self._last_face is None:
            self._idle_since_ns = self._idle_since_ns or now_ns
            return self._idle(now_ns, index, (now_ns - self._idle_since_ns) / 1e9)
        lost_ns = now_ns - self._last_face.timestamp_ns
        if lost_ns < HOLD_NS:
            return replace(
                self._last_face,
                timestamp_ns=now_ns,
                index=index,
                presence=Presence.HELD,
                track=None,
            )
        if self._idle_since_ns is None:
            self._idle_since_ns = now_ns
            self._begin_transition(now_ns, 3 * _TRANSITION_NS)
        return self._idle(now_ns, index, (now_ns - self._idle_since_ns) / 1e9)

    def _idle(self, now_ns: int, index: int, t_s: float) -> Motion:
        """Breathe and blink around the photograph, or in absolute mode where the driver was."""
        blink = np.full(2, idle_blink(t_s), np.float32)
        rest = still(now_ns, index, Presence.IDLE)
        if self._absolute and self._last_face is not None:
            last = self._last_face
            return replace(
                last,
                timestamp_ns=now_ns,
                index=index,
                presence=Presence.IDLE,
                rotation=idle_rotation(t_s) @ last.rotation,
                translation=last.translation + idle_translation(t_s) * np.float32(last.scale),
                eye_closure=blink,
                track=None,
            )
        return replace(
            rest,
            rotation=idle_rotation(t_s),
            translation=idle_translation(t_s),
            eye_closure=blink,
        )

    def _update_reference(self, track: FaceTrack, face: Face, now_ns: int) -> None:
        if self._search_until_ns is None:
            self._search_until_ns = now_ns + (REFERENCE_SEARCH_NS if self._searches else -1)
        asked, self._asked = self._asked, False
        score = neutrality(face) if asked or now_ns <= self._search_until_ns else np.inf
        if self._is_better_match(face):
            asked = True
        if self._reference is None or asked or score < 0.9 * self._reference_score:
            # Absolute motion does not depend on the reference: nothing jumps.
            if self._reference is not None and not self._absolute:
                self._begin_transition(now_ns)
                self._smooth.reset()
            if self._reference is None or not self._absolute:
                self._size_px = face.image_size_px
            self._reference = self._made_reference(track, face, asked)
            self._reference_score = score
            if asked:
                self._search_until_ns = now_ns

    def _made_reference(self, track: FaceTrack, face: Face, asked: bool) -> _Reference:
        head = decompose(face)
        if self._person is None or not self._rests or asked:
            # Who asks for a moment wants it as it is.
            if self._searches and not asked and not self._absolute:
                return self._relaxed_reference(track, face)
            return _Reference(head, look_down(face), track)
        rest = HeadShape(
            self._person.neutral, self._person.rest_rotation, head.centre_px, head.scale_px
        )
        return _Reference(rest, self._person.rest_look_down, track)

    def _relaxed_reference(self, track: FaceTrack, face: Face) -> _Reference:
        """Return the face as a reference, without what its scores say it does."""
        head, rested = relaxed(decompose(face), face)
        return _Reference(head, look_down(face), replace(track, face=rested))

    def _is_better_match(self, face: Face) -> bool:
        """Return whether ``face`` looks more like the wanted one than any before."""
        wanted = self._wanted
        if wanted is None:
            return False
        score = difference(face, wanted)
        if score >= 0.9 * self._wanted_score:
            return False
        self._wanted_score = score
        return True

    def _relative_motion(self, track: FaceTrack, face: Face) -> Motion:
        assert self._reference is not None
        reference = self._reference.head
        head = decompose_like(face, reference.shape)
        head, blendshapes = self._smooth(
            head, face.blendshapes, track.timestamp_ns, self._delay_s()
        )
        shift_px = head.centre_px[:2] - reference.centre_px[:2]
        expression = head.shape - reference.shape
        if self._known is not None:
            blendshapes = self._known.scores(blendshapes, head.shape)
            expression = self._known.expression(expression)
            shut = self._known.closure(head.shape, self._known.scores(face.blendshapes, head.shape))
        else:
            shut = self._eyes(head.shape, reference.shape, face.blendshapes, track.timestamp_ns)
        moved = gaze_change(face, head.shape, reference.shape, self._reference.look_down)
        return Motion(
            timestamp_ns=track.timestamp_ns,
            index=track.index,
            presence=Presence.TRACKED,
            absolute=False,
            expression=expression,
            neutral=reference.shape,
            rotation=head.rotation @ reference.rotation.T,
            translation=shift_px / np.float32(reference.scale_px),
            scale=head.scale_px / reference.scale_px,
            blendshapes=blendshapes,
            eye_closure=shut,
            gaze=yoked(moved, head.rotation, shut),
            track=track,
            reference=self._reference.track,
        )

    def _absolute_motion(self, track: FaceTrack, face: Face) -> Motion:
        assert self._reference is not None
        reference = self._reference.head
        head, blendshapes = self._smooth(
            decompose(face), face.blendshapes, track.timestamp_ns, self._delay_s()
        )
        if self._known is not None:
            blendshapes = self._known.scores(blendshapes, head.shape)
            shut = self._known.closure(head.shape, self._known.scores(face.blendshapes, head.shape))
        else:
            shut = usual_closure(head.shape, reference.shape, face.blendshapes)
        return Motion(
            timestamp_ns=track.timestamp_ns,
            index=track.index,
            presence=Presence.TRACKED,
            absolute=True,
            expression=head.shape,
            neutral=reference.shape,
            rotation=head.rotation,
            translation=np.ascontiguousarray(head.centre_px[:2]),
            scale=head.scale_px,
            blendshapes=blendshapes,
            eye_closure=shut,
            gaze=iris_offset(head.shape),
            track=track,
            reference=self._reference.track,
        )

    def _begin_transition(
        self, now_ns: int, length_ns: int = _TRANSITION_NS, *, glides: bool = False
    ) -> None:
        """From now on ease, or glide evenly, from what is shown to what comes."""
        self._from, self._glides = self._shown, glides
        self._transition_from_ns, self._transition_ns = now_ns, length_ns

    def _smooth_jump(self, motion: Motion, now_ns: int) -> Motion:
        if self._from is None:
            return motion
        t = (now_ns - self._transition_from_ns) / self._transition_ns
        if not 0.0 <= t < 1.0:
            self._from = None
            return motion
        return blend(self._from, motion, t if self._glides else eased(t))
