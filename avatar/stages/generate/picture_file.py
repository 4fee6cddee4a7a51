"""Picture files as people have them: told by content, upright, in sRGB, of a size that is enough.

The one place that opens a user's picture. Every damaged or hostile file is one ``PhotoError``,
before anything large is decoded.
"""

from __future__ import annotations

import io
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from avatar.core.errors import PhotoError
from avatar.core.exif import TAG, orientation_in
from avatar.core.files import HEIF_BRANDS
from avatar.core.messages import Message
from avatar.stages.generate.picture_limits import check_cost

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

# Pillow's others are not for photographs, and one of them (EPS) runs another program.
FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "AVIF", "GIF", "BMP", "JPEG2000", "PPM", "HEIF")
"""Pictures that the user named on this machine, by Pillow's names."""
SENT_FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "HEIF")
"""Pictures that a page may send."""
# EXIF 2.32, section 4.6.4: what brings a picture of each orientation upright.
_TURNS = {2: "FLIP_LEFT_RIGHT", 3: "ROTATE_180", 4: "FLIP_TOP_BOTTOM", 5: "TRANSPOSE",
          6: "ROTATE_270", 7: "TRANSVERSE", 8: "ROTATE_90"}  # fmt: skip
# Versions of sRGB's own profile differ by as much.
_ROUNDING = 3
_ONE_AT_A_TIME = threading.Lock()


def read_picture(path: Path, max_side_px: int) -> Picture:
    """Return the picture in the file ``path`` as Pillow's, upright and in sRGB.

    Its mode is RGB, RGBA or one of Pillow's others that hold grey, a palette or transparency; a
    longer side than ``max_side_px`` is reduced to it, or nearly. Of several pictures the first.
    Raises ``PhotoError``: no such file, not a picture, too large, damaged.
    """
    _check_there(path)
    try:
        with _opened(path) as picture:
            check_cost(path, picture)
            picture.draft(None, (max_side_px, max_side_px))
            picture.load()
            # Only now: Pillow turns TIFF itself while it loads, and PNG may say it at its end.
            turn = _TURNS.get(_orientation(picture))
            profile = picture.info.get("icc_profile")
            reduced = _reduced(picture, max_side_px)
            upright = reduced.transpose(_transposition(turn)) if turn else reduced
            upright.info.update(_transparency(picture, upright))
            made: Picture = _in_srgb(upright, profile)
            return made
    except PhotoError:
        raise
    except PermissionError as error:
        raise PhotoError(
            f"the picture {path} may not be read. Check its permissions: it has to be readable "
            "for you."
        ) from error
    except MemoryError as error:
        raise PhotoError(
            Message(
                "error.photoMemory",
                "there is not enough memory for the picture {file}. Make it smaller: {enough} "
                "pixels on its longer side are enough.",
                file=str(path), enough=max_side_px,
            )
        ) from error  # fmt: skip
    except Exception as error:  # decoders raise anything for damaged files
        raise _damaged(path, error) from error


def check_picture(path: Path, formats: Sequence[str]) -> None:
    """Raise ``PhotoError`` unless a file is of one of ``formats`` and of a size that is read.

    Its header is read and nothing decoded.
    """
    try:
        with _opened(path, formats) as picture:
            check_cost(path, picture)
    except PhotoError:
        raise
    except Exception as error:  # as of read_picture
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> PhotoError:
    return PhotoError(
        Message(
            "error.photoDamaged",
            "the picture {file} could not be read to its end ({reason}). It may be cut short or "
            "damaged: copy it again, or open it in a viewer and save it as PNG or JPEG.",
            file=str(path), reason=str(error) or type(error).__name__,
        )
    )  # fmt: skip


def _check_there(path: Path) -> None:
    try:
        if path.is_file():
            return
        found = "a folder" if path.is_dir() else "something else" if path.exists() else "nothing"
    except OSError as error:
        raise PhotoError(
            f"expected a photograph at {path}, which may not be looked at "
            f"({error.strerror or error}). Check the permissions of its folder."
        ) from error
    raise PhotoError(
        f"expected a photograph at {path}, found {found} there. Check the spelling, or use "
        "`--avatar builtin` for the built-in portrait."
    )


@contextmanager
def _opened(path: Path, formats: Sequence[str] = FORMATS) -> Iterator[Any]:
    """Open a picture of ``formats``, as far as they are known here; nothing is decoded yet."""
    from PIL import Image, UnidentifiedImageError

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of odd metadata, which is of no account here
        try:
            with _without_pillows_limit():
                opened = Image.open(path, formats=known_formats(formats))
        except UnidentifiedImageError as error:
            raise _unknown(path) from error
        with opened:
            yield opened


@contextmanager
def _without_pillows_limit() -> Iterator[None]:
    """Let Pillow open large pictures: it refuses JPEGs that would be reduced while decoding."""
    from PIL import Image

    with _ONE_AT_A_TIME:
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def known_formats(names: Sequence[str]) -> list[str]:
    """Return those of Pillow's formats that can be read here (AVIF came with Pillow 11.3)."""
    from PIL import Image

    Image.init()
    has_heif()
    return [name for name in names if name in Image.OPEN]


def has_heif() -> bool:
    """Return whether the pictures of phones (HEIC) can be read here; Pillow knows them then."""
    try:
        from pi_heif import register_heif_opener
    except ImportError:
        return False
    register_heif_opener()
    return True


def _unknown(path: Path) -> PhotoError:
    """Return the error for what is no picture, or none that can be read here."""
    with path.open("rb") as file:
        head = file.read(12)
    if head[4:8] == b"ftyp" and head[8:12] in HEIF_BRANDS and not has_heif():
        return PhotoError(
            Message(
                "error.photoHeic",
                "{file} is a HEIC picture, as phones take them, and what reads those is not "
                "installed: pip install pi-heif. Or save it as JPEG; on an iPhone choose Settings, "
                "Camera, Formats, Most Compatible.",
                file=str(path),
            )
        )
    if head[:5] == b"%!PS-" or head[:4] == b"\xc5\xd0\xd3\xc6":
        found = Message("error.isPostScript", "a PostScript file (a program)")
    elif head[:4] == b"%PDF":
        found = Message("error.isPdf", "a PDF")
    elif not head:
        found = Message("error.isEmpty", "an empty file")
    elif head[4:8] == b"ftyp" and head[8:12] in HEIF_BRANDS:
        found = Message("error.isDamagedHeic", "a damaged HEIC picture")
    else:
        found = Message("error.isElse", "something else")
    return PhotoError(
        Message(
            "error.notPhoto",
            "expected a photograph (JPEG, PNG, WebP, AVIF, HEIC, TIFF, …), found {found} in "
            "{file}. Open it in a viewer and save it as PNG or JPEG.",
            file=str(path), found=found,
        )
    )  # fmt: skip


def orientation_of(path: Path) -> int:
    """Return how the camera was held for a picture, 1 (upright) to 8. Raises ``PhotoError``."""
    try:
        with _opened(path) as picture:
            return _orientation(picture)
    except PhotoError:
        raise
    except Exception as error:  # as of read_picture
        raise _damaged(path, error) from error


def _orientation(picture: Any) -> int:
    """Return how the camera was held, 1 (upright) to 8; 1 where nothing readable says it."""
    found = orientation_in(picture.info.get("exif") or b"")
    if found is None:
        with suppress(Exception):  # damaged metadata is no reason to refuse a picture
            found = picture.getexif().get(TAG)
    return found if isinstance(found, int) and found in _TURNS else 1


def _transposition(name: str) -> Any:
    from PIL import Image

    return Image.Transpose[name]


def _reduced(picture: Any, max_side_px: int) -> Any:
    """Return the picture no larger than needed, before anything else costs memory."""
    if max(picture.size) <= max_side_px:
        return picture
    transparency = picture.info.get("transparency")
    if picture.mode in ("P", "PA", "1"):  # their numbers are no colours that could be mixed
        picture = picture.convert("RGBA" if transparency is not None else "RGB")
    elif transparency is not None and picture.mode in ("RGB", "L"):
        picture = picture.convert("RGBA")
    factor = max(picture.size) // max_side_px
    if factor > 1 and not picture.mode.startswith("I;"):
        picture = picture.reduce(factor)
    picture.thumbnail((max_side_px, max_side_px))
    return picture


def _transparency(before: Any, after: Any) -> dict[str, Any]:
    """Return what says which colour is none, where the mode is still the one that it is about."""
    found = before.info.get("transparency")
    return {} if found is None or before.mode != after.mode else {"transparency": found}


def _in_srgb(picture: Any, profile: bytes | None) -> Any:
    """Return the picture with the colours that its profile means; without a usable one as it is."""
    from PIL import ImageCms

    if profile and picture.mode in ("P", "PA", "LA"):
        alpha = picture.mode != "P" or "transparency" in picture.info
        picture = picture.convert("RGBA" if alpha else "RGB")
    mode = "RGBA" if picture.mode == "RGBA" else "RGB"
    try:  # a broken profile, or one for other colours than the picture has, is no reason to stop
        if picture.mode == "LAB":
            source: Any = ImageCms.createProfile("LAB")
        elif profile and picture.mode in ("RGB", "RGBA", "CMYK", "L"):
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        else:
            return picture
        goal = ImageCms.createProfile("sRGB")
        transform = ImageCms.buildTransform(source, goal, picture.mode, mode)
        if picture.mode == mode and _changes_little(transform, mode):
            return picture  # sRGB itself, as in most photographs: not a value is rounded
        made = ImageCms.applyTransform(picture, transform)
    except Exception:
        return picture
    return picture if made is None else made


def _changes_little(transform: Any, mode: str) -> bool:
    """Return whether a transform leaves colours from all of the cube as they are, or nearly."""
    from PIL import Image, ImageCms

    steps = np.linspace(0, 255, 9).astype(np.uint8)
    cube = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(1, -1, 3)
    before = Image.fromarray(cube).convert(mode)
    after = ImageCms.applyTransform(before, transform)
    apart = np.asarray(after, np.int16) - np.asarray(before, np.int16)
    return bool(np.abs(apart).max() <= _ROUNDING)
