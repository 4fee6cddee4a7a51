"""``avatar still``: a photograph with another expression, as a picture."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Self

import numpy as np

from avatar import __version__
from avatar.core.errors import UsageError
from avatar.core.face.head import decompose
from avatar.core.face.rotation import vector_from_rotation
from avatar.core.files import expanded
from avatar.core.frames import (
    BLENDSHAPE_NAMES,
    Face,
    GeneratedFrame,
    LabelledFrame,
    Presence,
    UInt8Image,
)
from avatar.core.home import Home
from avatar.core.option_values import parse_face
from avatar.core.outputs import check_output
from avatar.library.face_model import find_face_model
from avatar.sessions.avatars import AvatarPhoto, open_one
from avatar.sessions.engines.portrait import default_mattes
from avatar.sessions.still_request import StillRequest
from avatar.stages.generate.portrait import PortraitGenerator, PortraitSettings
from avatar.stages.label import VisibleLabel, check_still_size, write_still
from avatar.stages.motion.expressions import EXPRESSIONS, ExpressionBasis, Look

Say = Callable[[str], None]


class StillMaker:
    """One photograph that is given expressions. A context manager; of one thread at a time.

    ``size_px``: of its pictures, (width, height); None keeps the photograph's own.
    """

    def __init__(
        self, person: AvatarPhoto, home: Home, size_px: tuple[int, int] | None = None
    ) -> None:
        self.person = person
        settings = PortraitSettings(mouth="teeth", mattes=default_mattes(home))
        self._generator = PortraitGenerator(
            person.photo, person.face, "photo", size_px, settings, person.matte
        )
        self._basis: ExpressionBasis | None = None

    def __enter__(self) -> Self:
        self._generator.__enter__()
        self._basis = ExpressionBasis(decompose(self._generator.canvas.face).shape)
        return self

    def __exit__(self, *error: object) -> None:
        self._generator.__exit__(*error)

    def draw(self, look: Look) -> UInt8Image:
        """Return the photograph with a look, uint8 (H, W, 3) RGB, without its label."""
        assert self._basis is not None, "it is entered first"
        return self._generator.generate(self._basis.motion(look, 0, 0)).image


def make_still(request: StillRequest, home: Home, say: Say) -> int:
    """Write the picture that was asked for; return the exit status.

    Raises ``UsageError``, ``PhotoError`` and ``SinkError``.
    """
    out = checked_out(request, "--out")
    frame = draw_still(request, home, say)
    save_still(frame, out)
    height, width = frame.image.shape[:2]
    say(f"{out}: {width}×{height}")
    return 0


def checked_out(request: StillRequest, option: str) -> Path:
    """Return where the picture goes, ``option`` to the user. Raises ``UsageError``."""
    out = expanded(request.out)
    read = [expanded(path) for path in (request.photo, request.like) if path is not None]
    check_output(out, option, force=request.force, others=read)
    return out


def save_still(frame: LabelledFrame, out: Path) -> None:
    """Write a picture with what files say of themselves. Raises ``SinkError``."""
    write_still(frame, out, f"webcam-avatar {__version__}")


def draw_still(request: StillRequest, home: Home, say: Say) -> LabelledFrame:
    """Return the picture that was asked for, with its label.

    The photograph keeps its size, and what is not near the face its pixels. Raises ``UsageError``
    and ``PhotoError``.
    """
    model = find_face_model(request.face_model, home)
    person = open_one(request.photo, model, home, say, _one(request.face))
    if request.out is not None:
        height, width = person.photo.shape[:2]
        check_still_size(expanded(request.out), (width * request.frames, height))
    begun = Look()
    if request.like is not None:
        other = open_one(request.like, model, home, say)
        begun = look_like(other.face, person.face)
    with StillMaker(person, home) as maker:
        return drawn(maker, request, begun)


def drawn(maker: StillMaker, request: StillRequest, begun: Look) -> LabelledFrame:
    """Return what is asked for of an open photograph, beginning with ``begun``, with its label."""
    look = asked(request, begun)
    return labelled(request, [maker.draw(look.weaker(share)) for share in _shares(request.frames)])


def asked(request: StillRequest, begun: Look) -> Look:
    """Return what the options say, on top of ``begun``."""
    scores = dict(begun.scores)

    def add(amount: float, *names: str) -> None:
        for name in names:
            scores[name] = float(np.clip(scores.get(name, 0.0) + amount, 0, 1))

    def way(amount: float, more: tuple[str, ...], less: tuple[str, ...]) -> None:
        add(max(amount, 0.0), *more)
        add(max(-amount, 0.0), *less)

    way(request.lids, _sides("eyeBlink"), _sides("eyeWide"))
    add(request.wink_left, "eyeBlinkLeft")
    add(request.wink_right, "eyeBlinkRight")
    way(request.brows, (*_sides("browOuterUp"), "browInnerUp"), _sides("browDown"))
    add(request.brows_inner, "browInnerUp")
    add(request.smile + request.smile_left, "mouthSmileLeft")
    add(request.smile + request.smile_right, "mouthSmileRight")
    add(request.frown, *_sides("mouthFrown"))
    add(request.jaw, "jawOpen")
    add(request.pout, "mouthPucker")
    add(request.press, *_sides("mouthPress"))
    add(request.puff, "cheekPuff")
    way(
        request.look,
        ("eyeLookOutLeft", "eyeLookInRight"),
        ("eyeLookInLeft", "eyeLookOutRight"),
    )
    way(request.look_down, _sides("eyeLookDown"), _sides("eyeLookUp"))
    return Look(
        scores,
        begun.yaw_deg + request.turn,
        begun.pitch_deg + request.nod,
        begun.roll_deg + request.tilt,
        request.across,
        request.down,
        request.zoom,
    )


def look_like(other: Face, own: Face) -> Look:
    """Return what makes the face ``own`` look like ``other``: its expression and its pose.

    What ``own`` already does of an expression is not done again.
    """
    more = np.clip(other.blendshapes - own.blendshapes, 0, 1)
    scores = {
        name: float(more[BLENDSHAPE_NAMES.index(name)])
        for name in EXPRESSIONS
        if more[BLENDSHAPE_NAMES.index(name)] > 0.02
    }
    turn = decompose(other).rotation @ decompose(own).rotation.T
    pitch, yaw, roll = np.degrees(vector_from_rotation(turn))
    return Look(scores, float(yaw), float(pitch), float(roll))


def _shares(frames: int) -> list[float]:
    return [1.0] if frames == 1 else [k / (frames - 1) for k in range(frames)]


def _sides(name: str) -> tuple[str, str]:
    return f"{name}Left", f"{name}Right"


def _one(face: str) -> int:
    number = parse_face(face)
    if not isinstance(number, int):
        raise UsageError("--face all: a still has one face; name its number")
    return number


def labelled(request: StillRequest, images: list[UInt8Image]) -> LabelledFrame:
    """Return the pictures side by side, each with its label."""
    label = VisibleLabel(request.label_text, request.label_corner, (len(images), 1))
    image = np.concatenate(images, axis=1) if len(images) > 1 else images[0]
    return label.label(GeneratedFrame(np.ascontiguousarray(image), 0, 0, Presence.TRACKED))
