"""What ``avatar doctor`` looks at of the user's own: folders, and a photograph."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from avatar.core.errors import AvatarError
from avatar.core.face.bounds import face_px
from avatar.core.home import Home
from avatar.library.face_model import find_face_model
from avatar.measure.checks import Check

ROOM_MB = 500


def check_folders(home: Home) -> list[Check]:
    """Check that avatars, profiles and caches can be kept, and that there is room for them."""
    wanted = {"Data folder": home.data, "Cache folder": home.cache}
    return [_check_folder(name, folder) for name, folder in wanted.items()]


def _check_folder(name: str, folder: Path) -> Check:
    """Write into ``folder``, or into the nearest above it that is there: nothing is made."""
    place = next(path for path in (folder, *folder.parents) if os.path.lexists(path))
    try:
        with tempfile.TemporaryFile(dir=place):
            free_mb = shutil.disk_usage(place).free // 1_000_000
    except OSError as error:
        remedy = f"make {place} a folder that you may write in, or set HOME to another"
        return Check(name, "fail", f"{folder} cannot be written: {error.strerror}", remedy)
    detail = f"{folder}, {free_mb} MB free"
    if free_mb < ROOM_MB:
        return Check(name, "warn", f"{detail}, expected {ROOM_MB} or more", "free some space")
    return Check(name, "ok", detail)


def check_avatar(avatar: str, home: Home, face_model: Path | None = None) -> Check:
    """Check that a photograph, or a stored avatar, can be brought to life."""
    from avatar.core.machine import Machine
    from avatar.core.options import Options
    from avatar.sessions.engines import open_engine

    said: list[str] = []
    try:
        model = find_face_model(face_model, home, allow_download=False)
        engine = open_engine(Options(avatar=(avatar,)), said.append, home, Machine.of_process())
        photo = engine.open_avatar(avatar, model, said.append)
    except AvatarError as error:
        return Check("Avatar", "fail", str(error))
    height, width = photo.photo.shape[:2]
    detail = f"{photo.name}, {width}×{height}, the face {face_px(photo.face):.0f} pixels high"
    return Check("Avatar", "ok", "; ".join([detail, *said]))
