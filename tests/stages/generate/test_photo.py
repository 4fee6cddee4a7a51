from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from avatar.core.errors import PhotoError
from avatar.stages.generate.photo import MAX_SIDE_PX, builtin_photo, load_own_matte, load_photo

RAMP = np.zeros((40, 60, 3), np.uint8)
RAMP[..., 0] = np.linspace(0, 255, 60)[None, :]
RAMP[..., 1] = np.linspace(0, 255, 40)[:, None]
RAMP[..., 2] = 128


def test_rgb_comes_back_as_it_is(tmp_path: Path) -> None:
    Image.fromarray(RAMP).save(tmp_path / "ramp.png")
    assert np.array_equal(load_photo(tmp_path / "ramp.png"), RAMP)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation_is_applied(tmp_path: Path, orientation: int) -> None:
    turned = {
        1: lambda a: a, 2: np.fliplr, 3: lambda a: np.rot90(a, 2), 4: np.flipud,
        5: lambda a: a.transpose(1, 0, 2), 6: lambda a: np.rot90(a, 1),
        7: lambda a: np.rot90(a, 2).transpose(1, 0, 2), 8: lambda a: np.rot90(a, 3),
    }[orientation](RAMP)  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(np.ascontiguousarray(turned)).save(tmp_path / "turned.png", exif=exif)
    assert np.array_equal(load_photo(tmp_path / "turned.png"), RAMP)


@pytest.mark.parametrize("suffix", ["png", "webp"])
def test_a_files_own_alpha_is_its_matte(tmp_path: Path, suffix: str) -> None:
    alpha = np.broadcast_to(np.linspace(0, 255, 60).astype(np.uint8), (40, 60))
    path = tmp_path / f"cut.{suffix}"
    Image.fromarray(np.dstack([RAMP, alpha])).save(path, lossless=True)
    matte = load_own_matte(path)
    assert matte is not None
    assert matte.shape == load_photo(path).shape[:2]
    assert np.abs(matte * 255 - alpha).max() < 1


def test_without_transparency_there_is_no_matte(tmp_path: Path) -> None:
    Image.fromarray(RAMP).save(tmp_path / "plain.png")
    opaque = np.dstack([RAMP, np.full((40, 60), 255, np.uint8)])
    Image.fromarray(opaque).save(tmp_path / "opaque.png")
    Image.fromarray(RAMP[..., 0].astype(np.uint16) * 256).save(tmp_path / "deep.png")
    for name in ("plain", "opaque", "deep"):
        assert load_own_matte(tmp_path / f"{name}.png") is None


def test_alpha_is_laid_on_light_grey(tmp_path: Path) -> None:
    rgba = np.dstack([RAMP, np.full((40, 60), 255, np.uint8)])
    rgba[:, :30, 3] = 0
    Image.fromarray(rgba).save(tmp_path / "cut out.png")
    photo = load_photo(tmp_path / "cut out.png")
    assert (photo[:, :30] == 200).all()
    assert np.array_equal(photo[:, 30:], RAMP[:, 30:])


def test_cmyk_grey_palette_and_16_bit_are_converted(tmp_path: Path) -> None:
    grey = RAMP[..., 0]
    Image.fromarray(RAMP).convert("CMYK").save(tmp_path / "cmyk.tif")
    Image.fromarray(grey).save(tmp_path / "grey.png")
    Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / "deep.png")
    Image.fromarray(grey.astype(np.float32) / 255).save(tmp_path / "float.tif")
    Image.fromarray(RAMP).convert("P").save(tmp_path / "palette.gif")
    assert np.abs(load_photo(tmp_path / "cmyk.tif").astype(int) - RAMP).max() <= 2
    for name in ("grey.png", "deep.png", "float.tif"):
        photo = load_photo(tmp_path / name)
        assert photo.shape == (40, 60, 3)
        assert np.abs(photo.astype(int) - grey[..., None]).max() <= 1
    assert load_photo(tmp_path / "palette.gif").shape == (40, 60, 3)


def test_paths_need_not_be_ascii(tmp_path: Path) -> None:
    path = tmp_path / "фото 写真 é.png"
    Image.fromarray(RAMP).save(path)
    assert np.array_equal(load_photo(path), RAMP)


def test_huge_pictures_are_reduced(tmp_path: Path) -> None:
    Image.new("RGB", (6000, 3000)).save(tmp_path / "huge.png")
    assert load_photo(tmp_path / "huge.png").shape == (MAX_SIDE_PX // 2, MAX_SIDE_PX, 3)


def test_what_is_not_a_picture_is_an_error_that_says_so(tmp_path: Path) -> None:
    (tmp_path / "note.jpg").write_text("hello")
    cut = tmp_path / "cut.jpg"
    cut.write_bytes(builtin_photo().read_bytes()[:20_000])
    for path, words in (
        (tmp_path / "absent.jpg", "found nothing"),
        (tmp_path, "found a folder"),
        (tmp_path / "note.jpg", "found something else"),
        (cut, "could not be read to its end"),
    ):
        with pytest.raises(PhotoError, match=words):
            load_photo(path)


def test_the_built_in_portrait_is_there() -> None:
    assert load_photo(builtin_photo()).shape == (600, 512, 3)
