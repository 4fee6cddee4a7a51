"""Faces that nobody may use: the picture and photographs much like it are refused."""

from __future__ import annotations

import json
import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from avatar.core.errors import PhotoError, UsageError
from avatar.core.frames import UInt8Image
from avatar.core.home import Home
from avatar.library.face_model import find_face_model
from avatar.library.protected_faces import ProtectedFaces, picture_hash
from avatar.sessions.avatars import open_one
from avatar.sessions.protection import protect, refuse_protected
from avatar.sessions.swap import make_swap
from avatar.sessions.swap_request import SwapRequest
from avatar.stages.generate.photo import builtin_photo
from avatar.stages.generate.swap.layout import FaceSheet
from avatar.stages.track.networks import FaceNetworks


def silent(line: str) -> None:
    """Say nothing."""


@pytest.fixture(scope="module")
def layout(face_model: Path) -> FaceSheet:
    with FaceNetworks(face_model) as networks:
        return FaceSheet(networks.canonical.points)


def saved(path: Path, picture: UInt8Image) -> Path:
    cv2.imwrite(str(path), picture[..., ::-1])
    return path


def refused(path: Path, layout: FaceSheet, home: Home) -> bool:
    photo = open_one(path, find_face_model(None, home), home, silent)
    try:
        refuse_protected(photo, layout, home)
    except PhotoError as error:
        assert "avatar faces unprotect" in str(error)
        return True
    return False


def test_the_picture_and_what_is_much_like_it_are_refused_until_it_is_undone(
    home: Home, layout: FaceSheet, portrait: UInt8Image, tmp_path: Path
) -> None:
    me = saved(tmp_path / "me.png", portrait)
    assert not refused(me, layout, home)
    assert protect(me, None, home, silent) == "me"
    darker = (cv2.resize(portrait, None, fx=0.8, fy=0.8) * 0.8).astype(np.uint8)
    cut = np.ascontiguousarray(portrait[20:, 30:])
    for k, other in enumerate((portrait, darker, cut)):
        assert refused(saved(tmp_path / f"{k}.jpg", other), layout, home), k
    ProtectedFaces(home).remove("me")
    assert not refused(me, layout, home)


def test_other_people_are_not_refused(home: Home, layout: FaceSheet, shared_media: Path) -> None:
    photos = sorted((shared_media / "photos").glob("*.jpg"))
    protect(photos[0], "one", home, silent)
    assert [refused(photo, layout, home) for photo in photos] == [True, False, False, False]


def test_no_film_is_made_with_a_protected_face(home: Home, tmp_path: Path) -> None:
    protect(builtin_photo(), "me", home, silent)
    film = tmp_path / "film.mp4"
    film.write_bytes(b"")
    request = SwapRequest(
        face=str(builtin_photo()), film=film, out=tmp_path / "new.mp4", rights=("self",)
    )
    with pytest.raises(PhotoError, match="protected"):
        make_swap(request, home, silent)


def test_nothing_passes_a_record_that_is_broken(home: Home, layout: FaceSheet) -> None:
    path = ProtectedFaces(home).path("me")
    path.parent.mkdir(parents=True)
    path.write_text("{}", "utf-8")
    photo = open_one(builtin_photo(), find_face_model(None, home), home, silent)
    with pytest.raises(UsageError, match="unprotect"):
        refuse_protected(photo, layout, home)


def test_who_is_not_there_cannot_be_removed(home: Home) -> None:
    with pytest.raises(UsageError, match="faces list"):
        ProtectedFaces(home).remove("nobody")


def test_the_hash_stands_saving_and_resizing(portrait: UInt8Image) -> None:
    small = np.asarray(cv2.resize(portrait, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA))
    differing = bin(picture_hash(portrait) ^ picture_hash(small)).count("1")
    assert differing <= 4
    flipped = bin(picture_hash(portrait) ^ picture_hash(portrait[:, ::-1].copy())).count("1")
    assert flipped > 12


def test_a_second_face_of_a_name_does_not_let_the_first_be_used(
    home: Home, portrait: UInt8Image, tmp_path: Path
) -> None:
    me = saved(tmp_path / "photo.png", portrait)
    protect(me, None, home, silent)
    kept = ProtectedFaces(home).path("photo").read_bytes()
    with pytest.raises(UsageError, match="name another --name"):
        protect(me, None, home, silent)
    assert ProtectedFaces(home).path("photo").read_bytes() == kept
    assert protect(me, "other", home, silent) == "other"


@pytest.mark.parametrize("damage", ['"hash":"zzzzzzzzzzzzzzzz"', '"hash":"+0x00000000000_0"'])
def test_a_kept_face_with_odd_letters_is_refused(
    home: Home, layout: FaceSheet, portrait: UInt8Image, tmp_path: Path, damage: str
) -> None:
    me = saved(tmp_path / "me.png", portrait)
    protect(me, None, home, silent)
    path = ProtectedFaces(home).path("me")
    path.write_text(re.sub(r'"hash":\s*"[^"]*"', damage, path.read_text()))
    with pytest.raises(UsageError, match="unprotect"):
        refused(me, layout, home)


@pytest.mark.parametrize("side", [8, 9])
def test_a_kept_face_of_another_size_is_refused(
    home: Home, layout: FaceSheet, portrait: UInt8Image, tmp_path: Path, side: int
) -> None:
    me = saved(tmp_path / "me.png", portrait)
    protect(me, None, home, silent)
    path = ProtectedFaces(home).path("me")
    kept = json.loads(path.read_text())
    path.write_text(
        json.dumps(kept | {"side": side, "traits": [0.0] * 2 * side**2, "hash": "0" * 16})
    )
    with pytest.raises(UsageError, match="unprotect"):
        refused(me, layout, home)
