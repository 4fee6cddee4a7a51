"""Protecting faces: nobody at this computer puts them into a film."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from avatar.core.errors import PhotoError
from avatar.core.frames import Float32
from avatar.core.home import Home
from avatar.library.face_model import find_face_model
from avatar.library.protected_faces import ProtectedFace, ProtectedFaces
from avatar.sessions.avatars import AvatarPhoto, open_one
from avatar.stages.generate.swap.layout import FaceSheet
from avatar.stages.generate.swap.likeness import ALIKE, likeness, traits
from avatar.stages.generate.swap.person import SIDE, seen_share
from avatar.stages.track.networks import FaceNetworks


def protect(photo: Path, name: str | None, home: Home, say: Callable[[str], None]) -> str:
    """Keep the photograph's largest face from being used; return its name.

    Raises ``PhotoError`` and ``UsageError`` as ``open_one``.
    """
    model = find_face_model(None, home)
    found = open_one(photo, model, home, say)
    with FaceNetworks(model) as networks:
        layout = FaceSheet(networks.canonical.points)
    name = name or photo.stem
    ProtectedFaces(home).add(name, ProtectedFace.of(_traits(found, layout), found.photo))
    return name


def refuse_protected(photo: AvatarPhoto, layout: FaceSheet, home: Home) -> None:
    """Raise ``PhotoError`` where the photograph's face, or the picture itself, is protected."""
    faces = ProtectedFaces(home)
    names = faces.names()
    if not names:
        return
    own = _traits(photo, layout)
    for name in names:
        kept = faces.read(name, own.shape[0])
        if kept.same_picture(photo.photo) or likeness(own, kept.as_traits()) >= ALIKE:
            raise PhotoError(
                f"{photo.name}: expected a face that may be used, found one that is taken for "
                f"{name}, who is protected at this computer. Use another photograph; whoever "
                f"protected it can undo that: avatar faces unprotect {name}"
            )


def _traits(photo: AvatarPhoto, layout: FaceSheet) -> Float32:
    points = photo.face.landmarks_px
    sheet = layout.unwrap(photo.photo, points, SIDE)
    return traits(layout, sheet, seen_share(layout, points))
