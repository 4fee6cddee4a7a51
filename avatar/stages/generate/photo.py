"""Reading a photograph of any usual kind into upright 8-bit RGB."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from avatar.core.errors import MissingDependencyError, PhotoError
from avatar.core.frames import Float32, UInt8Image

BUILTIN = "builtin"
# Beyond this a photo carries no more detail than any output shows; enrolment stays quick.
MAX_SIDE_PX = 4096
_NEUTRAL_BACKDROP = (200, 200, 200)
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


def load_photo(path: Path) -> UInt8Image:
    """Return the picture at ``path`` upright, as uint8 (H, W, 3) RGB.

    EXIF rotation is applied; alpha is laid on light grey; CMYK, palette, grey and 16-bit
    pictures are converted. The first frame of an animation is taken.
    Raises ``PhotoError`` when the file is absent or is not a picture.
    """
    return np.ascontiguousarray(np.asarray(_read(path, _to_rgb), np.uint8))


def load_own_matte(path: Path) -> Float32 | None:
    """Return what the picture at ``path`` itself says is not transparent: float32 (H, W), 0 to 1.

    It lies over what ``load_photo`` gives. None for a picture without alpha, or opaque all over.
    Raises ``PhotoError`` as ``load_photo`` does.
    """
    alpha = np.asarray(_read(path, _to_alpha), np.uint8)
    return None if alpha.min() > _OPAQUE else np.asarray(alpha / 255, np.float32)


def _read(path: Path, convert: Callable[[Any], Any]) -> Any:
    """Return the picture at ``path`` upright, converted and no larger than a photograph may be."""
    if not path.is_file():
        found = "a folder" if path.is_dir() else "nothing"
        raise PhotoError(
            f"expected a photograph at {path}, found {found} there. Check the spelling, or use "
            f"`--avatar {BUILTIN}` for the built-in portrait."
        )
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            # Pillow warns of large pictures; the decoder's own limit still refuses absurd ones.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as opened:
                upright = ImageOps.exif_transpose(opened)
                picture = convert(upright)
    except (UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise PhotoError(
            f"expected a photograph (JPEG, PNG, WebP, TIFF, …), found something else in {path}: "
            f"{error}. Open it in a viewer and save it as PNG or JPEG."
        ) from error
    except (OSError, SyntaxError, ValueError) as error:
        raise PhotoError(
            f"the picture {path} could not be read to its end ({error}). It may be cut short or "
            "unreadable for you: copy it again, or check its permissions."
        ) from error
    picture.thumbnail((MAX_SIDE_PX, MAX_SIDE_PX))
    return picture


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
