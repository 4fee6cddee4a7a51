"""A stored photograph is the picture, and says nothing else."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from avatar.core.errors import PhotoError
from avatar.core.exif import exif_of, orientation_in
from avatar.stages.generate.photo import load_photo
from avatar.stages.generate.picture_file import has_heif, known_formats
from avatar.stages.generate.private_copy import bare, private_copy
from tests.stages.generate.heic import make_heic
from tests.stages.generate.odd_pictures import exchanged_profile, scene

SECRETS = (b"Secretville", b"2026:11:30", b"SerialNo77")
SCENE = scene(96, 64)


def telling(orientation: int = 1) -> Image.Exif:
    """Return EXIF with a place, a time, an owner and a serial number."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010F] = "Secretville Cameras"
    exif[0x8298] = "Owner of Secretville"
    gps = exif.get_ifd(0x8825)
    gps[1], gps[2], gps[29] = "N", (48.0, 8.0, 2.0), "2026:11:30"
    inner = exif.get_ifd(0x8769)
    inner[0x9003], inner[0xA431] = "2026:11:30 12:00:00", "SerialNo77"
    return exif


def made(folder: Path, ending: str, orientation: int) -> Path:
    path = folder / f"photo.{ending}"
    picture = Image.fromarray(SCENE)
    xmp = b"<x:xmpmeta>Secretville</x:xmpmeta>"
    if ending == "jpg":
        picture.save(
            path, exif=telling(orientation), comment=b"Secretville", xmp=xmp, quality=90,
            icc_profile=exchanged_profile(), progressive=True,
        )  # fmt: skip
        path.write_bytes(path.read_bytes() + b"trailer: Secretville")
    elif ending == "png":
        text = PngInfo()
        text.add_text("Comment", "Secretville")
        text.add_itxt("XML:com.adobe.xmp", "Secretville")
        picture.save(path, exif=telling(orientation), pnginfo=text, icc_profile=exchanged_profile())
    elif ending == "heic":
        make_heic(path, SCENE)
    else:
        picture.save(path, exif=telling(orientation), quality=90, lossless=True)
    return path


def kinds() -> Iterator[str]:
    yield from ("jpg", "png", "webp", "tif", "gif")
    if known_formats(["AVIF"]):
        yield "avif"
    if known_formats(["JPEG2000"]):
        yield "jp2"


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
@pytest.mark.parametrize("ending", list(kinds()))
def test_a_copy_is_the_same_picture_and_says_nothing_else(
    tmp_path: Path, ending: str, orientation: int
) -> None:
    photo = made(tmp_path, ending, orientation)
    with private_copy(photo) as copy:
        np.testing.assert_array_equal(load_photo(copy), load_photo(photo))
        data = copy.read_bytes()
        assert not [secret for secret in SECRETS if secret in data]
        with Image.open(copy) as opened:
            said = dict(opened.getexif())
            assert set(said) <= {0x0112}
            assert not opened.getexif().get_ifd(0x8825)
            assert not any(b"Secret" in str(value).encode() for value in opened.info.values())
        assert copy.stem == "photo"
    assert not copy.exists()


@pytest.mark.parametrize("ending", ["jpg", "png", "webp"])
def test_what_people_have_is_not_encoded_again(tmp_path: Path, ending: str) -> None:
    photo = made(tmp_path, ending, 6)
    with private_copy(photo) as copy:
        assert copy.suffix == photo.suffix
        once = copy.read_bytes()
        assert len(once) < len(photo.read_bytes())
        (tmp_path / "again").mkdir()
        again = tmp_path / "again" / photo.name
        again.write_bytes(once)
        with private_copy(again) as second:
            assert second.read_bytes() == once, "of a copy the copy is the same: twins are found"


def test_an_iphones_place_is_blanked_where_it_stands(tmp_path: Path) -> None:
    if not has_heif() or not known_formats(["AVIF"]):
        pytest.skip("no encoder here that keeps EXIF as HEIF does")
    # AVIF and HEIC keep it alike, and of the two only AVIF can be written here.
    photo = made(tmp_path, "avif", 1)
    assert SECRETS[2] in photo.read_bytes()
    with private_copy(photo) as copy:
        assert copy.suffix == ".avif" and len(copy.read_bytes()) == len(photo.read_bytes())
        assert SECRETS[2] not in copy.read_bytes()
    heic = made(tmp_path, "heic", 1)
    with private_copy(heic) as copy:
        np.testing.assert_array_equal(load_photo(copy), load_photo(heic))


def test_transparency_stays(tmp_path: Path) -> None:
    image = np.dstack([SCENE, np.tile(np.linspace(0, 255, 96).astype(np.uint8), (64, 1))])
    for ending in ("png", "webp", "tif", "gif"):
        path = tmp_path / f"a.{ending}"
        Image.fromarray(image).save(path, exif=telling())
        with private_copy(path) as copy:
            np.testing.assert_array_equal(load_photo(copy), load_photo(path))


def test_further_pictures_in_a_jpeg_are_left_out(tmp_path: Path) -> None:
    """A thumbnail, a second picture and a film stand behind the first one's end."""
    data = io.BytesIO()
    Image.fromarray(SCENE).save(data, "JPEG", exif=telling())
    second = data.getvalue() + data.getvalue() + b"\0\0\0\x18ftypmp42Secretville"
    kept = bare(second, 1)
    assert kept.count(b"\xff\xd9") == 1 and kept.endswith(b"\xff\xd9")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_orientation_is_read_as_it_was_written(orientation: int) -> None:
    assert orientation_in(exif_of(orientation)) == orientation
    assert orientation_in(b"Exif\0\0" + exif_of(orientation)) == orientation


def test_files_that_are_cut_anywhere_are_copied_or_refused(tmp_path: Path) -> None:
    for ending in kinds():
        photo = made(tmp_path, ending, 6)
        whole = photo.read_bytes()
        for share in range(1, 40):
            photo.write_bytes(whole[: len(whole) * share // 40])
            try:
                expected = load_photo(photo)
            except PhotoError:
                with pytest.raises(PhotoError), private_copy(photo):
                    pass
                continue
            with private_copy(photo) as copy:
                np.testing.assert_array_equal(load_photo(copy), expected)


def test_what_is_no_picture_is_taken_apart_by_nothing() -> None:
    for data in (b"", b"%!PS-Adobe", b"GIF89a", struct.pack(">I", 8) + b"ftyp"):
        try:
            bare(data, 1)
        except (ValueError, struct.error, IndexError):
            continue
