"""What a driver asks for beside moving: expressions on a key, and templates played in a call.

Both lie over what a retargeter says of the driver, come and go by easing, and leave nothing behind:
whoever shows an expression can go on speaking, and after a template it is the driver again, from
wherever the head is then.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

from avatar.core.curves import eased
from avatar.core.face.rotation import rotation_from_vector
from avatar.core.frames import BLENDSHAPE_INDEX, FaceTrack, Float32, Motion
from avatar.core.stages import Retargeter
from avatar.stages.motion.expressions import ExpressionBasis, Look
from avatar.stages.motion.keyed import KeyedExpression, keyed_expression
from avatar.stages.motion.retarget import blend

PLAY_EASE_S = 0.4
"""A template takes the head over, and hands it back, within so long."""
# A gap between two pictures counts as so much at the most: what was to be seen is not left out.
_MOST_STEP_S = 0.25


class Play(Protocol):
    """Motion of a known length that is played once."""

    @property
    def seconds(self) -> float:
        """Return how long it lasts."""
        ...

    def motion(self, basis: ExpressionBasis, t_s: float) -> Motion:
        """Return its relative motion at a moment, with displacements of ``basis``'s face."""
        ...


@dataclass
class _Shown:
    """An expression, or a play, that comes, stays and goes."""

    ease_s: float
    until_s: float | None  # of its own time; None: until it is let go
    t_s: float = 0.0
    share: float = 0.0
    let_go: bool = False

    def go_on(self, elapsed_s: float) -> None:
        self.t_s += elapsed_s
        if self.until_s is not None and self.t_s >= self.until_s:
            self.let_go = True
        step = elapsed_s / self.ease_s
        self.share = max(self.share - step, 0.0) if self.let_go else min(self.share + step, 1.0)

    @property
    def is_over(self) -> bool:
        return self.let_go and self.share == 0.0


@dataclass
class _Expression(_Shown):
    name: str = ""
    does: KeyedExpression = field(default_factory=lambda: KeyedExpression(Look()))


@dataclass
class _Playing(_Shown):
    play: Play | None = None


class Acting:
    """What is asked for, and how far it has come.

    Asked from any thread; ``over`` belongs to the thread that draws. One object outlives the
    retargeters that a session exchanges.
    """

    def __init__(self) -> None:
        self._asked: deque[Callable[[], None]] = deque()
        self._expressions: list[_Expression] = []
        self._plays: list[_Playing] = []
        self._last_ns: int | None = None

    def express(self, name: str, held: bool | None = None) -> None:
        """Show an expression over the driver's face; another one goes.

        ``held``: True: until it is let go; False: let it go; None: for a moment, and again for a
        moment whenever it is asked for meanwhile. Raises ``UsageError`` for an unknown name.
        """
        does = keyed_expression(name)
        self._asked.append(lambda: self._express(name, does, held))

    def hold(self) -> None:
        """Let what is shown stay; what is held goes."""
        self._asked.append(self._hold)

    def play(self, play: Play) -> None:
        """Play something once, in place of the driver's motion; what is played at present goes."""
        self._asked.append(lambda: self._play(play))

    def stop_playing(self) -> None:
        """Hand back to the driver now."""
        self._asked.append(self._stop_playing)

    @property
    def is_playing(self) -> bool:
        """Return whether something is played that was not told to end."""
        return any(not one.let_go for one in self._plays)

    def over(self, motion: Motion, basis: Callable[[], ExpressionBasis], now_ns: int) -> Motion:
        """Return ``motion`` with what is asked for over it; the same object where nothing is.

        ``basis``: asked for the expressions on the shape that displacements are measured on.
        """
        elapsed_s = 0.0 if self._last_ns is None else (now_ns - self._last_ns) / 1e9
        self._last_ns = now_ns
        elapsed_s = min(max(elapsed_s, 0.0), _MOST_STEP_S)
        while self._asked:
            self._asked.popleft()()
        for shown in (*self._plays, *self._expressions):
            shown.go_on(elapsed_s)
        self._plays = [one for one in self._plays if not one.is_over]
        self._expressions = [one for one in self._expressions if not one.is_over]
        if self._plays or self._expressions:
            motion = self._drawn_over(motion, basis())
        return motion

    def _drawn_over(self, motion: Motion, basis: ExpressionBasis) -> Motion:
        for playing in self._plays:
            assert playing.play is not None
            played = playing.play.motion(basis, playing.t_s)
            motion = _handed_over(motion, played, eased(playing.share))
        for shown in self._expressions:
            look = shown.does.at(shown.t_s)
            motion = _shown_over(motion, basis, look, eased(shown.share))
            if shown.does.parts_lips and shown.share > 0:
                motion = _without_picture(motion)
        return motion

    def _express(self, name: str, does: KeyedExpression, held: bool | None) -> None:
        same = next((one for one in self._expressions if one.name == name), None)
        if held is False:
            if same is not None:
                same.let_go = True
            return
        for one in self._expressions:
            one.let_go = one is not same
        if same is None:
            same = _Expression(does.ease_s, None, name=name, does=does)
            self._expressions.append(same)
        same.until_s = None if held else same.t_s + does.ease_s + does.shown_s

    def _hold(self) -> None:
        for one in self._expressions:
            if one.let_go:
                continue
            if one.until_s is None:
                one.let_go = True
            else:
                one.until_s = None

    def _play(self, play: Play) -> None:
        self._stop_playing()
        until_s = max(play.seconds - PLAY_EASE_S, PLAY_EASE_S)
        self._plays.append(_Playing(PLAY_EASE_S, until_s, play=play))

    def _stop_playing(self) -> None:
        for one in self._plays:
            one.let_go = True


class ActedRetargeter:
    """A retargeter that lets ``acting`` lie over another one's motion.

    ``shape``: float32 (478, 3), the avatar's own, for as long as no driver was seen.
    """

    def __init__(self, inner: Retargeter, acting: Acting, shape: Float32) -> None:
        self._inner, self._acting, self._shape = inner, acting, shape
        self._basis: ExpressionBasis | None = None

    def take_reference(self) -> None:
        """See ``Retargeter``."""
        self._inner.take_reference()

    def retarget(self, track: FaceTrack | None, now_ns: int) -> Motion:
        """Return the inner motion with what is asked for over it."""
        motion = self._inner.retarget(track, now_ns)
        return self._acting.over(motion, lambda: self._basis_for(motion), now_ns)

    def _basis_for(self, motion: Motion) -> ExpressionBasis:
        """Return the expressions on the driver's shape, or the avatar's where none is known."""
        shape = motion.neutral if motion.neutral.any() else self._shape
        if self._basis is None or self._basis.shape is not shape:
            self._basis = ExpressionBasis(shape)
        return self._basis


def _handed_over(motion: Motion, played: Motion, share: float) -> Motion:
    """Return ``motion`` with ``share`` of it given over to what is played, 0 to 1."""
    if motion.absolute:
        played = _absolute(motion, played)
    mixed = replace(
        blend(motion, played, share),
        timestamp_ns=motion.timestamp_ns,
        index=motion.index,
        presence=motion.presence,
        neutral=motion.neutral,
        track=motion.track,
        reference=motion.reference,
    )
    # The inside of the driver's mouth is no other mouth's.
    return _without_picture(mixed) if share > 0 else mixed


def _absolute(motion: Motion, played: Motion) -> Motion:
    """Return relative motion as absolute, about the driver's own place and face at rest."""
    rest = motion.neutral if motion.neutral.any() else motion.expression
    return replace(
        played,
        absolute=True,
        expression=rest + played.expression,
        translation=motion.translation + played.translation * np.float32(motion.scale),
        scale=motion.scale * played.scale,
        gaze=motion.gaze,
    )


def _shown_over(motion: Motion, basis: ExpressionBasis, look: Look, share: float) -> Motion:
    """Return ``motion`` with ``share`` of an expression over it, 0 to 1."""
    shown = basis.motion(look, 0, 0)
    mix = np.float32(share)
    missing = {name: share * gap for name, gap in _missing(motion, look.scores).items()}
    scores = motion.blendshapes.copy()
    for name, gap in missing.items():
        scores[BLENDSHAPE_INDEX[name]] += np.float32(gap)
    part = look.weaker(share)
    turn = np.radians([part.pitch_deg, part.yaw_deg, part.roll_deg]).astype(np.float32)
    unit = np.float32(motion.scale if motion.absolute else 1.0)
    return replace(
        motion,
        expression=(motion.expression + basis.displacement(missing)).astype(np.float32),
        rotation=(rotation_from_vector(turn) @ motion.rotation).astype(np.float32),
        translation=motion.translation + np.array([part.x, part.y], np.float32) * unit,
        blendshapes=np.clip(scores, 0, 1).astype(np.float32),
        eye_closure=_lids(motion.eye_closure, shown.eye_closure, mix),
        gaze=(motion.gaze + shown.gaze * mix).astype(np.float32),
    )


def _missing(motion: Motion, wanted: Mapping[str, float]) -> dict[str, float]:
    """Return by how much each score falls short; what is to be 0 and is not has a negative one."""
    face = motion.reference.face if motion.reference is not None else None
    done = motion.blendshapes if face is None else motion.blendshapes - face.blendshapes
    seen = {name: float(np.clip(done[BLENDSHAPE_INDEX[name]], 0, 1)) for name in wanted}
    return {
        name: max(score - seen[name], 0.0) if score else -seen[name]
        for name, score in wanted.items()
    }


def _lids(seen: Float32, asked: Float32, mix: np.float32) -> Float32:
    """Return lids that are at least as far shut as asked; wide ones blink as the driver's do."""
    shut = np.maximum(seen, asked)
    wide = seen + asked * (1 - np.clip(seen, 0, 1))
    return np.asarray(seen + (np.where(asked > 0, shut, wide) - seen) * mix, np.float32)


def _without_picture(motion: Motion) -> Motion:
    """Return ``motion`` without the driver's picture: his mouth is not the one that is drawn."""
    if motion.track is None or motion.track.camera is None:
        return motion
    return replace(motion, track=replace(motion.track, camera=None))
