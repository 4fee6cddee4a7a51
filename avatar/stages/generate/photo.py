"""Reading a photograph of any usual kind into upright 8-bit RGB."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np

from avatar.core.errors import MissingDependencyError
from avatar.core.files import file_sha256
from avatar.core.frames import Float32, UInt8Image
from avatar.stages.generate.picture_file import read_picture

BUILTIN = "builtin"
# Beyond this a photo carries no more detail than any output shows; enrolment stays quick.
MAX_SIDE_PX = 4096
_NEUTRAL_BACKDROP = (200, 200, 200)
# Of the file whose people's outline is beside this module, drawn by hand and solved for at its rim:
# a flag and its cord are of the uniform's and the hair's colours.
_BUILTIN_SHA256 = "a8ca6d734765703b09728ab47fe59f473d93ae3967fc24c7c0288c3c7adb7130"
_BUILTIN_MATTE = Path(__file__).parent / "builtin_matte.png"
# A picture whose alpha is nowhere lower than this, of 255, cuts nobody out.
_OPAQUE = 250


def builtin_photo() -> Path:
    """Return the built-in portrait: Grace Hopper, public domain, from matplotlib's sample data.

    The file is found without importing matplotlib. Raises ``MissingDependencyError``.
    """
    spec = importlib.util.find_spec("matplotlib")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder) / "mpl-data" / "sample_data" / "grace_hopper.jpg"
        if path.is_file():
            return path
    raise MissingDependencyError(
        "the built-in portrait is matplotlib's sample picture grace_hopper.jpg, which is not "
        "installed here. Install it with `pip install matplotlib`, or give --avatar PHOTO."
    )


def builtin_matte() -> Float32 | None:
    """Return what of the built-in portrait is the person, as ``load_own_matte``.

    None where another version of matplotlib brings another picture.
    """
    if file_sha256(builtin_photo()) != _BUILTIN_SHA256:
        return None
    coverage = _pixels(read_picture(_BUILTIN_MATTE, MAX_SIDE_PX).convert("L"))
    return np.asarray(coverage / 255, np.float32)


def load_photo(path: Path) -> UInt8Image:
    """Return the picture at ``path`` upright, as uint8 (H, W, 3) sRGB.

    EXIF rotation and colour profiles are applied; alpha is laid on light grey; CMYK, palette, grey
    and 16-bit pictures are converted. The first frame of an animation is taken.
    Raises ``PhotoError`` when the file is absent, is not a picture, is too large or damaged.
    """
    return _pixels(_to_rgb(read_picture(path, MAX_SIDE_PX)))


def load_own_matte(path: Path) -> Float32 | None:
    """Return what the picture at ``path`` itself says is not transparent: float32 (H, W), 0 to 1.

    It lies over what ``load_photo`` gives. None for a picture without alpha, or opaque all over.
    Raises ``PhotoError`` as ``load_photo`` does.
    """
    alpha = _pixels(_to_alpha(read_picture(path, MAX_SIDE_PX)))
    return None if alpha.min() > _OPAQUE else np.asarray(alpha / 255, np.float32)


def _pixels(picture: Any) -> UInt8Image:
    """Return a picture of Pillow's, no larger than a photograph may be."""
    picture.thumbnail((MAX_SIDE_PX, MAX_SIDE_PX))
    return np.ascontiguousarray(np.asarray(picture, np.uint8))


def _to_rgb(picture: Any) -> Any:
    """Convert any Pillow mode to RGB."""
    from PIL import Image

    if picture.mode.startswith("I") or picture.mode == "F":
        return Image.fromarray(_eight_bit(np.asarray(picture))).convert("RGB")
    if _has_alpha(picture):
        over = picture.convert("RGBA")
        backdrop = Image.new("RGBA", over.size, (*_NEUTRAL_BACKDROP, 255))
        return Image.alpha_composite(backdrop, over).convert("RGB")
    return picture.convert("RGB")


def _to_alpha(picture: Any) -> Any:
    """Return the alpha of any Pillow picture, opaque where it has none."""
    from PIL import Image

    if _has_alpha(picture) and not (picture.mode.startswith("I") or picture.mode == "F"):
        return picture.convert("RGBA").getchannel("A")
    return Image.new("L", picture.size, 255)


def _has_alpha(picture: Any) -> bool:
    modes = ("RGBA", "LA", "PA", "La", "RGBa")
    return picture.mode in modes or "transparency" in picture.info


def _eight_bit(values: Any) -> UInt8Image:
    """Scale 16-bit, 32-bit or float grey to 8 bits; float pictures are taken as 0 to 1."""
    numbers = np.nan_to_num(values.astype(np.float64))
    top = float(numbers.max(initial=0.0))
    full = 1.0 if 0 < top <= 1.0 else 255.0 if top <= 255 else 65535.0 if top <= 65535 else top
    return np.asarray(np.clip(numbers / full * 255.0 + 0.5, 0, 255), np.uint8)
