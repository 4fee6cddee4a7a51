"""A face put into a film: every frame, its sound, its label, and nobody else's face."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from avatar.core.errors import SourceError, UsageError
from avatar.core.frames import CameraFrame, UInt8Image
from avatar.core.home import Home
from avatar.sessions import swap as swapping
from avatar.sessions.swap import SwapPainter, beyond_recognition, make_swap
from avatar.sessions.swap_request import SwapRequest
from avatar.stages.generate.photo import builtin_photo
from avatar.stages.label import VisibleLabel
from tests.sessions.test_film import write_film

FPS, FRAMES = 25, 14
SIZE_PX = (384, 384)
ME = str(builtin_photo())


def stage(portrait: UInt8Image, shift_px: float = 0.0, turn_deg: float = 0.0) -> UInt8Image:
    """Return the built-in portrait as a film's frame, moved aside."""
    scale = SIZE_PX[0] / portrait.shape[1]
    matrix = cv2.getRotationMatrix2D((SIZE_PX[0] / 2, SIZE_PX[1] / 2), turn_deg, 1.0)
    matrix = matrix @ np.array([[scale, 0, shift_px], [0, scale, 0], [0, 0, 1]])
    moved = cv2.warpAffine(portrait, matrix, SIZE_PX, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved, np.uint8)


@pytest.fixture(scope="module")
def frames(portrait: UInt8Image) -> list[UInt8Image]:
    return [stage(portrait, 2.0 * k, 0.5 * k) for k in range(FRAMES)]


@pytest.fixture(scope="module")
def film(frames: list[UInt8Image], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("swap") / "film.mp4"
    return write_film(path, frames, range(FRAMES), FPS, sound=True)


def swap(home: Home, film: Path, out: Path, **options: Any) -> tuple[int, list[str]]:
    said: list[str] = []
    given: dict[str, Any] = {"face": ME, "rights": ("self",), **options}
    status = make_swap(SwapRequest(film=film, out=out, **given), home, said.append)
    return status, said


def read(path: Path) -> list[UInt8Image]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def test_every_frame_is_there_with_sound_label_and_record(
    home: Home, film: Path, frames: list[UInt8Image], tmp_path: Path
) -> None:
    out = tmp_path / "new.mp4"
    status, said = swap(home, film, out, rights=("face=self", "film=granted"))
    assert status == 0
    made = read(out)
    assert len(made) == FRAMES and made[0].shape == frames[0].shape
    corner = np.s_[: SIZE_PX[1] // 8, SIZE_PX[0] * 3 // 4 :]
    assert all(np.abs(m[corner].astype(int) - f[corner]).max() > 60
               for m, f in zip(made, frames, strict=True))  # fmt: skip
    with av.open(str(out)) as container:
        assert container.streams.audio
        assert "AIGC" in container.metadata
        assert "film granted" in container.metadata["comment"]
    record = json.loads((tmp_path / "new.mp4.swap.json").read_text("utf-8"))
    assert record["film"]["right"] == "granted" and record["faces"][0]["right"] == "self"
    assert record["id"] in json.loads(_tags(out)["AIGC"])["ProduceID"]
    assert any("1 person in 1 shot" in line for line in said)


def _tags(path: Path) -> dict[str, str]:
    with av.open(str(path)) as container:
        return dict(container.metadata)


def test_ones_own_face_changes_little_and_nothing_beside_it(
    home: Home, film: Path, frames: list[UInt8Image], tmp_path: Path
) -> None:
    swap(home, film, tmp_path / "new.mp4")
    made = read(tmp_path / "new.mp4")
    assert len(made) == FRAMES
    for image, before in zip(made, frames, strict=True):
        difference = np.abs(image.astype(int) - before).mean(axis=-1)
        assert difference[SIZE_PX[1] // 8 :].mean() < 6
        assert difference[-SIZE_PX[1] // 6 :].mean() < 4, "the shoulders, coded twice"


def test_no_label_cannot_be_asked_for() -> None:
    with pytest.raises(TypeError):
        SwapRequest(face=ME, film=Path("a.mp4"), out=Path("b.mp4"), label=False)  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"rights": ()}, "--rights"),
        ({"rights": ("face=self",)}, "film"),
        ({"rights": ("stolen",)}, "self, granted"),
        ({"face": None}, "--face"),
        ({"who": ("a.jpg=1",)}, "--who"),
        ({"face": None, "who": ("a.jpg",)}, "FACE=PERSON"),
        ({"face": None, "who": ("a.jpg=1", "b.jpg=1")}, "two faces"),
        ({"person": "0"}, "--person"),
        ({"keep": "hat"}, "--keep"),
        ({"out": None}, "--out"),
        ({"film": None}, "a film"),
        ({"seconds": 0.0}, "--seconds"),
    ],
)
def test_what_cannot_be_is_refused_with_what_to_do(options: dict[str, Any], words: str) -> None:
    given = {"face": ME, "film": Path("a.mp4"), "out": Path("b.mp4"), "rights": ("self",)}
    with pytest.raises(UsageError, match=words):
        SwapRequest(**given | options)


def test_who_is_not_there_gets_no_face(home: Home, film: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="person 2"):
        swap(home, film, tmp_path / "new.mp4", person="2")
    assert not (tmp_path / "new.mp4").exists()


def test_the_film_itself_is_never_the_output(home: Home, film: Path) -> None:
    with pytest.raises(UsageError, match="same file"):
        swap(home, film, film, force=True)


def test_an_older_record_beside_the_film_is_kept(home: Home, film: Path, tmp_path: Path) -> None:
    (tmp_path / "new.mp4.swap.json").write_text("precious")
    with pytest.raises(UsageError, match="--force"):
        swap(home, film, tmp_path / "new.mp4")
    assert (tmp_path / "new.mp4.swap.json").read_text() == "precious"


@pytest.mark.parametrize("text", ["", "AI" * 200])
def test_a_label_that_cannot_be_drawn_is_refused_before_the_film_is_looked_through(
    home: Home, film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setattr(swapping, "find_people", pytest.fail)
    with pytest.raises(UsageError, match="label"):
        swap(home, film, tmp_path / "new.mp4", label_text=text)


def test_a_film_without_a_face_is_an_error(home: Home, tmp_path: Path) -> None:
    grey = [np.full((256, 256, 3), 128, np.uint8)] * 4
    film = write_film(tmp_path / "grey.mp4", grey, range(4), FPS)
    with pytest.raises(SourceError, match="expected a face"):
        swap(home, film, tmp_path / "new.mp4")


def test_the_list_shows_who_is_there(home: Home, film: Path, tmp_path: Path) -> None:
    said: list[str] = []
    sheet = tmp_path / "people.png"
    request = SwapRequest(film=film, out=sheet, list=True)
    assert make_swap(request, home, said.append) == 0
    assert cv2.imread(str(sheet)).shape[0] == 192, "one row"
    assert any(line.startswith("person 1:") for line in said)


class _Plan:
    """A plan of four frames; in the first and the third somebody is lost."""

    def lost(self, index: int) -> bool:
        return index in (0, 2)

    def draw(self, image: UInt8Image, index: int) -> UInt8Image:
        return np.full_like(image, 10 * index)


@pytest.mark.parametrize("how", ["film", "hold", "blur"])
def test_a_face_that_is_lost_is_shown_held_or_blurred(portrait: UInt8Image, how: str) -> None:
    request = SwapRequest(
        face=ME, film=Path("a.mp4"), out=Path("b.mp4"), rights=("self",), when_lost=how
    )
    camera = [CameraFrame(portrait, k, k) for k in range(4)]
    shown = [f.image for f in SwapPainter(_Plan(), request, VisibleLabel()).frames(iter(camera))]
    below = [image[portrait.shape[0] // 4 :] for image in shown]
    assert (below[1] == 10).all() and (below[3] == 30).all()
    if how == "film":
        assert (below[0] == 0).all() and (below[2] == 20).all()
    else:  # before there is anything to hold, it is blurred
        blurred = beyond_recognition(portrait)[portrait.shape[0] // 4 :]
        assert (below[0] == blurred).all()
        assert (below[2] == (10 if how == "hold" else blurred)).all()


def test_beyond_recognition_nothing_fine_is_left(portrait: UInt8Image) -> None:
    blurred = beyond_recognition(portrait)
    assert blurred.shape == portrait.shape
    fine = blurred.astype(np.float32) - cv2.GaussianBlur(blurred, (0, 0), 4)
    assert np.abs(fine).mean() < 0.5


@pytest.mark.parametrize("asked", [{}, {"list": True}])
@pytest.mark.parametrize("kind", ["empty", "text", "folder", "pipe", "absent"])
def test_what_is_no_film_is_refused_in_words(
    home: Home, tmp_path: Path, kind: str, asked: dict[str, Any]
) -> None:
    film = tmp_path / "film.mp4"
    if kind in ("empty", "text"):
        film.write_text("" if kind == "empty" else "schema_version = 1\n" * 99)
    elif kind == "folder":
        film.mkdir()
    elif kind == "pipe":
        if not hasattr(os, "mkfifo"):
            pytest.skip("needs POSIX")
        os.mkfifo(film)
    with pytest.raises(SourceError):
        swap(home, film, tmp_path / ("out.png" if asked else "out.mp4"), **asked)
