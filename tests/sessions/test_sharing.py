"""``avatar.make_clip`` and ``avatar.make_still``: the documented examples run, errors are words."""

from __future__ import annotations

import inspect
import textwrap
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

import avatar
from avatar.core.errors import PhotoError, UsageError
from avatar.core.home import Home
from avatar.core.options import declared
from avatar.sessions.clip_request import SIZES_PX, ClipRequest
from avatar.sessions.still_request import StillRequest


@pytest.fixture(autouse=True)
def here(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small pictures in a folder of their own, for a user who has nothing yet."""
    for shape, size_px in {"1:1": (192, 192), "16:9": (384, 216), "9:16": (216, 384)}.items():
        monkeypatch.setitem(SIZES_PX, shape, size_px)
    monkeypatch.setattr(Home, "of_user", lambda: home)
    monkeypatch.chdir(tmp_path)


def examples(function: Any) -> str:
    """Return the code of a docstring's examples."""
    _, _, code = inspect.getdoc(function).partition("Examples::")
    return textwrap.dedent(code)


def test_the_examples_of_clips_run() -> None:
    exec(examples(avatar.make_clip), {"avatar": avatar})
    sizes = {}
    for name in ("hey.mp4", "two.mp4"):
        with av.open(name) as film:
            sizes[name] = film.streams.video[0].width, film.streams.video[0].height
            assert film.streams.audio and "AIGC" in film.metadata
    assert sizes == {"hey.mp4": (216, 384), "two.mp4": (192, 192)}


def test_the_examples_of_stills_run() -> None:
    found: dict[str, Any] = {"avatar": avatar}
    exec(examples(avatar.make_still), found)
    assert found["frame"].image.shape == (found["height"], found["width"], 3)
    with Image.open("wink.png") as picture:
        assert picture.size == (found["width"], found["height"])
        assert "AIGC" in picture.info


def test_a_picture_is_labelled_whether_it_is_written_or_not() -> None:
    frame = avatar.make_still("builtin", "a.png", jaw=0.5)
    with Image.open("a.png") as picture:
        np.testing.assert_array_equal(np.asarray(picture), frame.image)
    assert type(frame).__name__ == "LabelledFrame"


def test_progress_is_heard_of_every_picture() -> None:
    heard: list[tuple[int, int]] = []
    out = avatar.make_clip(
        "builtin", "a.gif", end=0.5, progress=lambda done, all: heard.append((done, all))
    )
    assert out == Path("a.gif") and out.is_file()
    assert heard == [(k, 15) for k in range(1, 16)]


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda: avatar.make_still("builtin", smille=1), "unknown key `smille`. Did .* `smile`"),
        (lambda: avatar.make_still("builtin", smile=3), "expected 0 to 1, found 3"),
        (lambda: avatar.make_still("builtin", smile="much"), "`smile`: expected"),
        (lambda: avatar.make_still("builtin", photo="b.jpg"), "multiple values"),
        (lambda: avatar.make_still("builtin", "a.bmp"), "ends in .png"),
        (lambda: avatar.make_clip([], "a.mp4"), "expected a photograph"),
        (lambda: avatar.make_clip("builtin", "a.mp4", template="heyy"), "Did you mean `hey`"),
        (lambda: avatar.make_clip("nobody", "a.mp4"), "nobody"),
    ],
)
def test_what_cannot_be_is_said_at_once(call: Any, expected: str) -> None:
    with pytest.raises((UsageError, TypeError), match=expected):
        call()


def test_the_photograph_without_a_face_is_named() -> None:
    Image.new("RGB", (300, 300), (90, 140, 90)).save("grass.png")
    with pytest.raises(PhotoError, match="grass"):
        avatar.make_clip(["builtin", "grass.png"], "a.mp4")
    Path("a.png").write_bytes(b"precious")
    with pytest.raises(UsageError, match="force"):
        avatar.make_still("builtin", "a.png")
    assert Path("a.png").read_bytes() == b"precious"


@pytest.mark.parametrize(
    ("function", "table"), [(avatar.make_clip, ClipRequest), (avatar.make_still, StillRequest)]
)
def test_the_signature_shows_every_option(function: Any, table: type) -> None:
    assert set(declared(table)) <= set(inspect.signature(function).parameters)
