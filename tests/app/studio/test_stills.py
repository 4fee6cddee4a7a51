"""The room Still: sliders become pictures, files are the command's, no other file is read."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from avatar.app.avatars import add_photo
from avatar.app.studio.gallery import Gallery
from avatar.app.studio.stills import GROUPS, StillRoom, sliders, within
from avatar.core.errors import PhotoError, UsageError
from avatar.core.home import Home
from avatar.core.options import declared
from avatar.sessions.still import draw_still
from avatar.sessions.still_request import StillRequest
from avatar.stages.generate.photo import builtin_photo, load_photo


@pytest.fixture
def room(home: Home) -> Iterator[StillRoom]:
    gallery = Gallery(home, ("builtin",), None, lambda line: None)
    room = StillRoom(home, gallery, None, lambda: ("KI", "bottom-left"), lambda line: None)
    yield room
    room.close()


def shown(data: bytes) -> np.ndarray[Any, Any]:
    with Image.open(io.BytesIO(data)) as picture:
        return np.asarray(picture.convert("RGB"), np.int16)


def test_there_is_a_slider_for_every_option_that_moves_the_face() -> None:
    moving = {name for name, option in declared(StillRequest).items() if option.bounds}
    assert {slider["name"] for slider in sliders()} == moving - {"frames"}
    assert [slider["group"] for slider in sliders()] == [g for g in GROUPS for _ in GROUPS[g]]
    assert json.dumps(sliders())


def test_a_slider_changes_the_face_and_its_return_brings_the_photograph_back(
    room: StillRoom,
) -> None:
    rest = shown(room.picture({"photo": "builtin"}))
    smile = shown(room.picture({"photo": "builtin", "smile": 1.0, "turn": 15}))
    assert np.abs(smile - rest).mean() > 1
    np.testing.assert_array_equal(shown(room.picture({"photo": "builtin", "smile": 0})), rest)


def test_the_label_stands_where_the_studio_has_it(room: StillRoom, home: Home) -> None:
    made = shown(room.picture({"photo": "builtin"}))
    plain = draw_still(
        StillRequest(photo=builtin_photo(), label_text="KI", label_corner="bottom-left"),
        home, lambda line: None,
    )  # fmt: skip
    if made.shape == plain.image.shape:
        assert np.abs(made - plain.image.astype(np.int16)).mean() < 3
    height, width = made.shape[:2]
    corner = made[-height // 8 :, : width // 5]
    assert corner.min() < 60 and corner.max() > 200


@pytest.mark.parametrize(("kind", "name"), [("png", "PNG"), ("jpg", "JPEG"), ("webp", "WEBP")])
def test_a_file_has_the_photographs_size_and_says_what_it_is(
    room: StillRoom, kind: str, name: str
) -> None:
    data, suffix = room.saved({"photo": "builtin", "kind": kind, "jaw": 0.5, "frames": 3})
    height, width = load_photo(builtin_photo()).shape[:2]
    with Image.open(io.BytesIO(data)) as picture:
        assert (picture.format, picture.size) == (name, (3 * width, height))
    assert suffix == f".{kind}" and b"AIGC" in data and b"DigitalSourceType" in data


def test_a_large_photograph_is_drawn_small_and_saved_large(room: StillRoom, home: Home) -> None:
    with Image.open(builtin_photo()) as photo:
        photo.resize((2400, 2400 * photo.height // photo.width)).save(home_file(home, "big.png"))
    add_photo(home_file(home, "big.png"), name="big", home=home, say=lambda line: None)
    height, width = shown(room.picture({"photo": "big", "smile": 1})).shape[:2]
    assert height == 720 and width < 1280
    with Image.open(io.BytesIO(room.saved({"photo": "big"})[0])) as picture:
        assert picture.width == 2400
    # Another photograph under the same name is another picture.
    before = room.picture({"photo": "big"})
    add_photo(builtin_photo(), name="big", home=home, say=lambda line: None, force=True)
    assert shown(room.picture({"photo": "big"})).shape != shown(before).shape


def home_file(home: Home, name: str) -> Path:
    home.data.mkdir(parents=True, exist_ok=True)
    return home.data / name


def test_pictures_are_never_enlarged_and_keep_their_shape() -> None:
    assert within((600, 400), (1280, 720)) == (600, 400)
    assert within((4000, 3000), (1280, 720)) == (960, 720)
    assert within((3000, 1000), (1280, 720)) == (1280, 426)


def test_another_faces_expression_is_taken_and_forgotten(room: StillRoom, tmp_path: Path) -> None:
    rest = room.picture({"photo": "builtin"})
    path = tmp_path / "other.jpg"
    with Image.open(builtin_photo()) as photo:
        photo.convert("RGB").rotate(12).save(path)
    like = room.like(path)
    tilted = shown(room.picture({"photo": "builtin", "like": like}))
    assert np.abs(tilted - shown(rest)).mean() > 1
    assert room.picture({"photo": "builtin", "like": "avatar:builtin"})
    with pytest.raises(UsageError, match="choose it again"):
        room.picture({"photo": "builtin", "like": "face:0"})
    Image.new("RGB", (300, 300), (90, 140, 90)).save(tmp_path / "grass.png")
    with pytest.raises(PhotoError, match=r"human face in grass\.png"):
        room.like(tmp_path / "grass.png")


@pytest.mark.parametrize(
    "values",
    [
        {}, {"photo": 3}, {"photo": "/etc/passwd"}, {"photo": "../builtin"}, {"photo": "nobody"},
        {"photo": "builtin", "smile": 7}, {"photo": "builtin", "smile": "x"},
        {"photo": "builtin", "turn": float("nan")}, {"photo": "builtin", "like": "avatar:/etc"},
        {"photo": "builtin", "like": "face:"}, {"photo": "builtin", "smile": None},
    ],
)  # fmt: skip
def test_what_a_page_may_not_ask_for_is_refused(room: StillRoom, values: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        room.picture(values)


def test_no_option_but_a_slider_comes_from_a_page(room: StillRoom, tmp_path: Path) -> None:
    """An output, another label and a face model are not the page's to say."""
    out = tmp_path / "a.png"
    values = {"photo": "builtin", "out": str(out), "label_text": " ", "force": True}
    assert room.picture(values) == room.picture({"photo": "builtin"})
    assert not out.exists()
    with pytest.raises(UsageError):
        room.saved({"photo": "builtin", "kind": "png/../../x"})
