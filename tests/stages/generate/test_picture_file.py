from __future__ import annotations

import io
import os
import re
import struct
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageFile

from avatar.core.errors import PhotoError
from avatar.core.frames import UInt8Image
from avatar.stages.generate import picture_file
from avatar.stages.generate.photo import MAX_SIDE_PX, load_photo
from avatar.stages.generate.picture_file import (
    FORMATS,
    SENT_FORMATS,
    check_picture,
    has_heif,
)
from avatar.stages.generate.picture_limits import MAX_PIXELS, MOST_BYTES, count_scans
from tests import ROOT
from tests.stages.generate.heic import make_heic
from tests.stages.generate.odd_pictures import DAMAGED, bomb, exchanged_profile, scene

SCENE = scene()


def apart(a: UInt8Image, b: UInt8Image) -> float:
    """Return how far two pictures are from each other on average, 0 to 255."""
    assert a.shape == b.shape
    return float(np.abs(a.astype(int) - b).mean())


@pytest.mark.parametrize("name", DAMAGED)
def test_of_damaged_metadata_the_orientation_is_enough(tmp_path: Path, name: str) -> None:
    turned = np.ascontiguousarray(np.rot90(SCENE))
    Image.fromarray(turned).save(tmp_path / "a.jpg", exif=DAMAGED[name], quality=100)
    assert apart(load_photo(tmp_path / "a.jpg"), SCENE) < 4


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.tif", "a.avif"])
def test_every_kind_of_file_is_turned_once(tmp_path: Path, name: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    turned = Image.fromarray(SCENE)
    for how in BACK.get(orientation, ()):
        turned = turned.transpose(Image.Transpose[how])
    turned.save(tmp_path / name, exif=exif, quality=95)
    assert apart(load_photo(tmp_path / name), SCENE) < 6


# From upright to how the camera was held (EXIF 2.32, section 4.6.4).
BACK = {
    2: ["FLIP_LEFT_RIGHT"], 3: ["ROTATE_180"], 4: ["FLIP_TOP_BOTTOM"], 5: ["TRANSPOSE"],
    6: ["ROTATE_90"], 7: ["TRANSVERSE"], 8: ["ROTATE_270"],
}  # fmt: skip


@pytest.mark.parametrize("data", [b"", b"Exif\0\0", b"Exif\0\0II*\0", b"Exif\0\0XX", b"\xff" * 60])
def test_metadata_that_says_nothing_turns_nothing(tmp_path: Path, data: bytes) -> None:
    Image.fromarray(SCENE).save(tmp_path / "a.jpg", exif=data, quality=100)
    assert apart(load_photo(tmp_path / "a.jpg"), SCENE) < 4


@settings(max_examples=60, deadline=None)
@given(at=st.integers(6, 90), value=st.integers(0, 255))
def test_no_byte_of_metadata_stops_a_picture(
    tmp_path_factory: pytest.TempPathFactory, at: int, value: int
) -> None:
    data = bytearray(DAMAGED["maker as a fraction"])
    data[at % len(data)] = value
    path = tmp_path_factory.mktemp("exif") / "a.png"
    Image.fromarray(SCENE).save(path, exif=bytes(data))
    assert sorted(load_photo(path).shape[:2]) == [40, 60]


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.tif"])
def test_a_profile_means_its_colours(tmp_path: Path, name: str) -> None:
    swapped = Image.fromarray(np.ascontiguousarray(SCENE[..., ::-1]))
    options: dict[str, Any] = {"quality": 100, "lossless": True} if name != "a.tif" else {}
    swapped.save(tmp_path / name, icc_profile=exchanged_profile(), **options)
    photo = load_photo(tmp_path / name)
    assert apart(photo, SCENE) < 4


def test_a_profile_leaves_alpha_alone(tmp_path: Path) -> None:
    rgba = np.dstack([SCENE[..., ::-1], np.full((40, 60), 255, np.uint8)])
    rgba[:, :10, 3] = 0
    Image.fromarray(np.ascontiguousarray(rgba)).save(
        tmp_path / "a.png", icc_profile=exchanged_profile()
    )
    photo = load_photo(tmp_path / "a.png")
    assert (photo[:, :10] == 200).all()
    assert np.abs(photo[:, 10:].astype(int) - SCENE[:, 10:]).mean() < 4


@pytest.mark.parametrize("mode", ["P", "LA", "PA"])
def test_a_profile_counts_for_palettes_and_grey_with_alpha(tmp_path: Path, mode: str) -> None:
    swapped = Image.fromarray(np.ascontiguousarray(SCENE[..., ::-1]))
    if mode == "P":
        swapped.convert("P").save(tmp_path / "a.png", icc_profile=exchanged_profile())
        assert apart(load_photo(tmp_path / "a.png"), SCENE) < 25
        return
    swapped.convert("LA").convert(mode).save(tmp_path / "a.tif", icc_profile=exchanged_profile())
    assert load_photo(tmp_path / "a.tif").shape == SCENE.shape


def test_srgb_itself_changes_no_value(tmp_path: Path) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(SCENE).save(tmp_path / "a.png", icc_profile=profile)
    assert np.array_equal(load_photo(tmp_path / "a.png"), SCENE)


@pytest.mark.parametrize("kind", ["noise", "cut", "of another mode"])
def test_a_broken_profile_is_no_reason_to_stop(tmp_path: Path, kind: str) -> None:
    whole = exchanged_profile()
    profile = {
        "noise": np.random.default_rng(1).bytes(400),
        "cut": whole[: len(whole) // 2],
        "of another mode": whole,
    }[kind]
    picture = Image.fromarray(SCENE)
    picture = picture.convert("CMYK") if kind == "of another mode" else picture
    picture.save(tmp_path / "a.tif", icc_profile=profile)
    assert apart(load_photo(tmp_path / "a.tif"), SCENE) <= 2


@pytest.mark.parametrize(
    ("name", "format_name"),
    [("a.jfif", "JPEG"), ("a", "PNG"), ("photo.jpg", "WEBP"), ("b.dat", "TIFF"), ("a.png", "AVIF"),
     ("x.heic", "JPEG"), ("a.gif", "GIF"), ("a.jp2", "JPEG2000")],
)  # fmt: skip
def test_content_says_what_a_picture_is(tmp_path: Path, name: str, format_name: str) -> None:
    if format_name not in picture_file.known_formats([format_name]):
        pytest.skip(f"this Pillow reads no {format_name}")
    Image.fromarray(SCENE).save(tmp_path / name, format_name)
    assert apart(load_photo(tmp_path / name), SCENE) < 6


def test_a_picture_with_a_preview_behind_it_is_a_jpeg(tmp_path: Path) -> None:
    """As many phones write: the format that Pillow calls MPO."""
    first, second = Image.fromarray(SCENE), Image.fromarray(SCENE[::-1].copy())
    first.save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=[second], quality=100)
    assert apart(load_photo(tmp_path / "a.jpg"), SCENE) < 4


def test_pictures_of_phones_are_read(tmp_path: Path) -> None:
    if not has_heif():
        pytest.skip("pi-heif is not installed here")
    image = scene(128, 96)
    assert apart(load_photo(make_heic(tmp_path / "a.heic", image)), image) < 4
    # Its name says nothing.
    (tmp_path / "a.heic").rename(tmp_path / "a.jpg")
    assert load_photo(tmp_path / "a.jpg").shape == (96, 128, 3)


def test_without_their_decoder_it_is_said_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(picture_file, "has_heif", lambda: False)
    monkeypatch.setattr(
        picture_file, "known_formats", lambda names: [name for name in names if name[:4] == "JPEG"]
    )
    (tmp_path / "IMG_0001.HEIC").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(4000))
    with pytest.raises(PhotoError, match="pip install pi-heif"):
        load_photo(tmp_path / "IMG_0001.HEIC")


def test_a_huge_picture_is_refused_before_it_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def decodes(*_: object) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr(ImageFile.ImageFile, "load", decodes)
    for size in ((20_000, 20_000), (2**31 - 1, 2**31 - 1)):
        path = bomb(tmp_path / "bomb.png", *size)
        with pytest.raises(PhotoError, match=r"megapixels: at most 100 .*4096 pixels"):
            load_photo(path)


def test_a_jpeg_of_two_hundred_megapixels_is_reduced_while_it_is_decoded(tmp_path: Path) -> None:
    """In a process of its own, which may have 1.5 GB."""
    assert MAX_PIXELS < 16_320 * 12_240
    row = Image.new("L", (16_320, 12_240), 90)
    row.paste(200, (0, 0, 8_000, 6_000))
    row.save(tmp_path / "phone.jpg", quality=30)
    script = (
        "import sys; from pathlib import Path; from avatar.stages.generate.photo import load_photo;"
        "from tests.fuzz.damaged import peak_mb; photo = load_photo(Path(sys.argv[1]));"
        "print(photo.shape, photo[10, 10, 0], photo[-10, -10, 0], peak_mb())"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "phone.jpg")],
        capture_output=True, text=True, check=True, cwd=ROOT,
    )  # fmt: skip
    shape, numbers = done.stdout.rsplit(")", 1)
    assert shape == f"({MAX_SIDE_PX * 3 // 4}, {MAX_SIDE_PX}, 3"
    assert [round(int(number) / 10) for number in numbers.split()[:2]] == [20, 9]
    assert float(numbers.split()[2]) < 1500


def test_programs_that_call_themselves_pictures_are_not_run(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    with pytest.raises(PhotoError, match="PostScript"):
        load_photo(tmp_path / "a.jpg")
    for content, words in ((b"", "empty file"), (b"%PDF-1.7", "a PDF"), (b"hello", "else")):
        (tmp_path / "a.jpg").write_bytes(content)
        with pytest.raises(PhotoError, match=words):
            load_photo(tmp_path / "a.jpg")


ERRORS = (struct.error, IndexError, SyntaxError, KeyError, TypeError, ZeroDivisionError,
          OverflowError, EOFError, MemoryError)  # fmt: skip


@pytest.mark.parametrize("error", ERRORS)
def test_whatever_a_decoder_raises_is_one_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    def fails(*_: object) -> None:
        raise error

    Image.fromarray(SCENE).save(tmp_path / "a.png")
    monkeypatch.setattr(ImageFile.ImageFile, "load", fails)
    with pytest.raises(PhotoError, match=r"a\.png"):
        load_photo(tmp_path / "a.png")


WRITTEN = ["JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP", "AVIF", "JPEG2000", "PPM"]


@pytest.mark.parametrize("name", WRITTEN)
def test_damaged_files_are_read_or_refused_in_one_way(tmp_path: Path, name: str) -> None:
    data = io.BytesIO()
    Image.fromarray(scene(90, 70)).save(data, name)
    rng = np.random.default_rng(WRITTEN.index(name))
    for _ in range(40):
        mutated = bytearray(data.getvalue())
        for at in rng.integers(0, len(mutated), rng.integers(1, 8)):
            mutated[at] = rng.integers(256)
        if rng.random() < 0.3:
            mutated = mutated[: rng.integers(1, len(mutated))]
        (tmp_path / "a").write_bytes(bytes(mutated))
        with suppress(PhotoError):
            assert load_photo(tmp_path / "a").ndim == 3


def test_what_may_not_be_read_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(SCENE).save(path)

    def forbidden(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patched:
        patched.setattr(Image, "open", forbidden)
        with pytest.raises(PhotoError, match="may not be read"):
            load_photo(path)
    monkeypatch.setattr(Path, "stat", forbidden)
    with pytest.raises(PhotoError, match=r"may not be looked at.*folder"):
        load_photo(path)


def test_the_limit_of_pillow_is_as_before(tmp_path: Path) -> None:
    before = Image.MAX_IMAGE_PIXELS
    Image.fromarray(SCENE).save(tmp_path / "a.png")
    load_photo(tmp_path / "a.png")
    assert before == Image.MAX_IMAGE_PIXELS


def test_postscript_under_any_name_runs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pillow's plug-in for EPS runs Ghostscript (`gs`): here one that tells that it ran."""
    ran = tmp_path / "ran"
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("gs", "gswin64c", "gswin32c"):
        (tools / name).write_text(f"#!/bin/sh\ntouch {ran}\n")
        (tools / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    eps = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n%%EOF\n"
    binary = struct.pack("<IIIIIIIH", 0xC6D3D0C5, 30, len(eps), 0, 0, 0, 0, 0xFFFF) + eps
    for data in (eps, binary):
        for name in ("a.jpg", "a.png", "a.eps", "a.heic", "a"):
            path = tmp_path / name
            path.write_bytes(data)
            for read in (load_photo, lambda path: check_picture(path, SENT_FORMATS)):
                with pytest.raises(PhotoError, match="PostScript"):
                    read(path)
    assert not ran.exists()
    assert "EPS" not in (*FORMATS, *SENT_FORMATS)


def test_no_other_module_opens_pictures() -> None:
    """Pillow opens by any of its plug-ins unless it is told which may be used."""
    for path in (ROOT / "avatar").rglob("*.py"):
        opens = path.read_text(encoding="utf-8").count("Image.open(")
        assert opens == (1 if path.name == "picture_file.py" else 0), path


@pytest.mark.parametrize("name", ["a.gif", "a.tif", "a.bmp", "a.ppm"])
def test_a_page_may_not_send_every_kind(tmp_path: Path, name: str) -> None:
    Image.fromarray(SCENE).save(tmp_path / name)
    load_photo(tmp_path / name)
    with pytest.raises(PhotoError, match="expected a photograph"):
        check_picture(tmp_path / name, SENT_FORMATS)


def of_scans(count: int, size: tuple[int, int], *, progressive: bool = True) -> bytes:
    """Return a JPEG of which one scan stands there ``count`` times."""
    data = io.BytesIO()
    Image.new("RGB", size, (9, 120, 40)).save(data, "JPEG", progressive=progressive)
    whole = data.getvalue()
    begin = whole.index(b"\xff\xda")
    found = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]").search(whole, begin + 2)
    assert found is not None
    return whole[:begin] + whole[begin : found.start()] * count + whole[found.start() :]


def test_a_jpeg_of_thousands_of_scans_is_refused_before_it_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(of_scans(3000, (1200, 1000)))
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda *_: pytest.fail("decoded"))
    with pytest.raises(PhotoError, match="scans: reading it would take"):
        load_photo(path)
    with pytest.raises(PhotoError, match="scans"):
        check_picture(path, SENT_FORMATS)


@pytest.mark.parametrize(("options", "scans"), [({}, 1), ({"progressive": True}, 10)])
def test_scans_are_counted_and_not_what_looks_like_one(
    tmp_path: Path, options: dict[str, Any], scans: int
) -> None:
    path = tmp_path / "a.jpg"
    noise = np.random.default_rng(1).integers(0, 255, (300, 300, 3), np.uint8)
    # A thumbnail in a comment, and another picture behind the end, have scans of their own.
    Image.fromarray(noise).save(path, comment=b"\xff\xd8\xff\xda\0\2" * 50, **options)
    path.write_bytes(path.read_bytes() * 2)
    assert count_scans(path, 100) == scans
    assert count_scans(path, 4) == min(scans, 4)
    load_photo(path)


def test_segments_without_end_are_not_counted_one_by_one(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"\xff\xd8" + b"\xff\xfe\0\2" * 2_000_000)
    begun = time.process_time()
    assert count_scans(path, 10) == 10
    assert time.process_time() - begun < 2


@pytest.mark.parametrize("ending", ["webp", "jpg", "png", "avif"])
def test_a_small_file_does_not_take_a_gigabyte(tmp_path: Path, ending: str) -> None:
    """The largest that is read of each kind, of one colour, in a process of its own."""
    if ending == "avif" and not picture_file.known_formats(["AVIF"]):
        pytest.skip("this Pillow reads no AVIF")
    side = {"webp": 5_800, "jpg": 7_700, "png": 9_900, "avif": 7_200}[ending]
    options = {"jpg": {"progressive": True, "subsampling": 0}, "webp": {"lossless": True},
               "avif": {"speed": 10}}.get(ending, {})  # fmt: skip
    path = tmp_path / f"a.{ending}"
    Image.new("RGB", (side, side), (90, 20, 40)).save(path, **options)
    script = (
        "import sys; from pathlib import Path; from tests.fuzz.damaged import peak_mb;"
        "from avatar.stages.generate.photo import load_photo; import cv2; before = peak_mb();"
        "load_photo(Path(sys.argv[1])); print(peak_mb() - before)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)],
        capture_output=True, text=True, check=True, cwd=ROOT,
    )  # fmt: skip
    assert float(done.stdout) < 1.25 * MOST_BYTES / 1e6


@pytest.mark.parametrize("ending", ["webp", "jpg"])
def test_more_is_refused_by_its_header(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    path = tmp_path / f"a.{ending}"
    options = {"jpg": {"progressive": True}, "webp": {"lossless": True}}[ending]
    Image.new("RGB", (9_000, 8_900), (90, 20, 40)).save(path, **options)
    assert path.stat().st_size < 2_000_000
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda *_: pytest.fail("decoded"))
    with pytest.raises(PhotoError, match="megapixels: at most"):
        load_photo(path)


def test_a_pipe_is_no_photograph(tmp_path: Path) -> None:
    if not hasattr(os, "mkfifo"):
        pytest.skip("no pipes with names here")
    os.mkfifo(tmp_path / "a.jpg")
    with pytest.raises(PhotoError, match="found something else"):
        load_photo(tmp_path / "a.jpg")
