"""Files: written whole, records read without trust, hashes, and what films and pictures end in.

What is written here appears whole or not at all: it is made under a hidden name in the same folder
and put in its place in one step, so that a process that is killed, or a disk that is full, leaves
what was there before.
"""

from __future__ import annotations

import errno
import glob
import hashlib
import json
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from stat import S_ISDIR, S_ISFIFO, S_ISREG
from typing import TYPE_CHECKING, Literal, TypeVar, get_args

from avatar.core.errors import AvatarError, UsageError

if TYPE_CHECKING:
    from pydantic import BaseModel

    AnyRecord = TypeVar("AnyRecord", bound=BaseModel)

PRIVATE = 0o600
"""The mode of a file that its owner alone may read."""
PUBLIC = 0o666
"""The mode of a file that others may read, as far as the user's umask lets them."""

SMALL_BYTES = 1_000_000
PATIENCE_S = 5.0
"""What ``read_small`` takes, and how long it waits for a pipe."""

FILM_SUFFIXES = (
    ".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts",
    ".wmv", ".ogv", ".flv", ".3gp",
)  # fmt: skip
PICTURE_SUFFIXES = (
    ".jpg", ".jpeg", ".jfif", ".png", ".webp", ".avif", ".heic", ".heif", ".tif", ".tiff", ".bmp",
)  # fmt: skip
STILL_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
"""What a picture that is written can end in."""
# ISO/IEC 23008-12, annex B: brands of still pictures in HEVC, as phones take them.
HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
_AVIF_BRANDS = (b"avif", b"avis")

# Within what every file system takes as one name, with what is put around it.
_NAME_BYTES = 200
_ABANDONED_S = 24 * 3600
# A hundred times the largest record that the program writes.
_MOST_RECORD_BYTES = 16_000_000


@contextmanager
def whole_file(path: Path, *, flush: bool = False, mode: int = PRIVATE) -> Iterator[Path]:
    """Give an empty file to fill, which takes the place of ``path`` at the end.

    It lies in the same folder and its name ends in ``.part``: writers that choose a format by the
    name must be given the format. After an error it is gone, and ``path`` as it was. ``mode``: less
    what the umask takes. ``flush``: be on the disk, not only in its cache, when this ends. Raises
    ``OSError``.
    """
    part = path.with_name(f"{hidden_beginning(path)}{secrets.token_hex(8)}.part")
    os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode))
    try:
        yield part
        if flush:
            _flush(part, os.O_RDWR)
        part.replace(path)
    except BaseException:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise
    if flush and os.name != "nt":  # folders cannot be opened there
        _flush(path.parent, os.O_RDONLY)


def write_whole(path: Path, data: bytes | str, *, flush: bool = False, mode: int = PRIVATE) -> None:
    """Write ``data``, text in UTF-8, to ``path``: whole or not at all; see ``whole_file``."""
    with whole_file(path, flush=flush, mode=mode) as part:
        part.write_bytes(data.encode() if isinstance(data, str) else data)


def left_overs(path: Path) -> list[Path]:
    """Return what processes that were killed left of ``path``; one may be writing it now."""
    return list(path.parent.glob(f"{glob.escape(hidden_beginning(path))}*.part"))


def hidden_beginning(path: Path) -> str:
    """Return what the name of a hidden file begins with that is to become ``path``."""
    name = path.name.encode(errors="replace")[:_NAME_BYTES].decode(errors="ignore")
    return f".{name}-"


def _flush(path: Path, flags: int) -> None:
    handle = os.open(path, flags)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def staging(root: Path) -> Iterator[Path]:
    """Give a new folder in ``root``: what is finished in it is ``move``d out of it.

    What commands that were killed left in ``root`` more than a day ago is deleted. Raises
    ``OSError``.
    """
    for left in (*root.glob(".adding-*"), *root.glob(".removing-*")):
        with suppress(FileNotFoundError):  # another process was quicker
            if time.time() - left.stat().st_mtime > _ABANDONED_S:
                shutil.rmtree(left, ignore_errors=True)
    made = tempfile.TemporaryDirectory(prefix=".adding-", dir=root, ignore_cleanup_errors=True)
    with made as name:
        yield Path(name)


def move(made: Path, place: Path) -> Path:
    """Put a finished file or folder in its place on the same disk, in one step; return that.

    A file that is there is replaced, a folder that is not empty is not. Raises ``OSError``.
    """
    return made.replace(place)


def remove_folder(folder: Path) -> None:
    """Delete a folder, which is never seen half deleted. Raises ``OSError``."""
    with tempfile.TemporaryDirectory(prefix=".removing-", dir=folder.parent) as name:
        move(folder, Path(name) / folder.name)


class UnfitRecordError(ValueError):
    """What is wrong with a record, in a few words."""


class NewerRecordError(UnfitRecordError):
    """A record is of a later schema than this program knows."""


def private_folder(folder: Path) -> None:
    """Have a folder that its owner alone may look into, also where it was there before.

    Raises ``OSError``.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if os.name == "posix" and folder.stat().st_mode & 0o077:
        folder.chmod(0o700)


def write_record(path: Path, record: BaseModel) -> None:
    """Write ``record`` as JSON, readable by its owner only: whole or not at all.

    Raises ``OSError``.
    """
    values = record.model_dump(mode="json")
    write_whole(path, json.dumps(values, ensure_ascii=False, separators=(",", ":")) + "\n")


def read_record(
    path: Path, kind: type[AnyRecord], raised: type[AvatarError], remedy: str
) -> AnyRecord | None:
    """Return the record in ``path``; None where there is none.

    ``raised``, with ``remedy`` as its last sentence, when it cannot be read, is broken, or was
    written by a newer program.
    """
    try:
        return parse_record(read_small(path, _MOST_RECORD_BYTES), kind)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise raised(
            f"{path} cannot be read: {error.strerror or error}. Check its permissions. Or: {remedy}"
        ) from error
    except NewerRecordError as error:
        raise raised(f"{path} {error}. Update this program. Or: {remedy}") from error
    except UnfitRecordError as error:
        raise raised(f"{path} is broken: {error}. {remedy}") from error


def parse_record(data: bytes | str, kind: type[AnyRecord]) -> AnyRecord:
    """Return the record that is written as JSON.

    The field ``schema_version`` of ``kind`` is a ``Literal`` of the schemas that are known. Raises
    ``UnfitRecordError``, and ``NewerRecordError`` for a later schema.
    """
    try:
        values = json.loads(data)
        if isinstance(values, dict):
            _refuse_newer(values, max(get_args(kind.model_fields["schema_version"].annotation)))
        # Not the values: in JSON a list may stand for a tuple, also where types are strict.
        return kind.model_validate_json(json.dumps(values))
    except UnfitRecordError:
        raise
    except (ValueError, RecursionError) as error:
        raise UnfitRecordError(_first_fault(error)) from error


def _first_fault(error: ValueError | RecursionError) -> str:
    from pydantic import ValidationError

    if isinstance(error, ValidationError):
        fault = error.errors()[0]
        where = ".".join(map(str, fault["loc"]))
        return f"{where}: {fault['msg']}" if where else fault["msg"]
    if isinstance(error, RecursionError):
        return "nested too deeply"
    kind = "not valid JSON: " if isinstance(error, (json.JSONDecodeError, UnicodeError)) else ""
    return f"{kind}{error}"


def _refuse_newer(values: dict[str, object], newest: int) -> None:
    found = values.get("schema_version")
    if isinstance(found, int) and found > newest:
        from avatar import __version__

        raise NewerRecordError(
            f"was written by a newer program (schema {found}, program "
            f"{values.get('program_version', 'unknown')}); this one, {__version__}, reads schema "
            f"{newest}"
        )


def read_small(path: Path, most: int = SMALL_BYTES, within_s: float = PATIENCE_S) -> bytes:
    """Return what a file holds that a person or program wrote, from a pipe (``<(…)``) as well.

    Raises ``OSError``, also for one of more than ``most`` bytes, and for a pipe that has not ended
    after ``within_s``: nobody may write to it, or for ever.
    """
    if not S_ISFIFO(path.stat().st_mode):
        with path.open("rb") as file:
            return _no_more_than(most, file.read(most + 1))
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        return _no_more_than(most, _read_pipe(handle, most + 1, within_s))
    finally:
        os.close(handle)


def _read_pipe(handle: int, most: int, within_s: float) -> bytes:
    until_s = time.monotonic() + within_s
    found = b""
    while len(found) < most:
        if time.monotonic() > until_s:
            raise TimeoutError(errno.ETIMEDOUT, f"nothing more came within {within_s:g} s")
        try:
            part = os.read(handle, most - len(found))
        except BlockingIOError:
            part = None
        if part:
            found += part
        elif part == b"" and found:
            return found
        else:  # nobody writes yet
            time.sleep(0.02)
    return found


def _no_more_than(most: int, data: bytes) -> bytes:
    if len(data) > most:
        raise OSError(errno.EFBIG, f"it is longer than {most} bytes")
    return data


def file_sha256(path: Path) -> str:
    """Return the hash of a file as hexadecimal digits. Raises ``OSError``."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def expanded(path: Path | str) -> Path:
    """Return a path whose `~` is the user's home; a file that is there is that file.

    Raises ``UsageError`` where nothing says which folder is the home.
    """
    path = Path(path)
    if not str(path).startswith("~"):
        return path
    with suppress(OSError):
        if path.exists():
            return path
    try:
        return path.expanduser()
    except RuntimeError:
        if path.parts[0] != "~":
            return path  # a name that begins so: `~me.jpg` is nobody's home
        raise UsageError(
            f"{path}: ~ stands for your home folder, and nothing says which that is. Set HOME, or "
            "write the whole path."
        ) from None


def kind_of(path: Path) -> Literal["file", "folder", "other", "nothing"]:
    """Return what lies at ``path``; what cannot be a path is nothing.

    Raises ``UsageError`` where that may not be looked at.
    """
    try:
        mode = path.stat().st_mode
    except PermissionError as error:
        raise UsageError(
            f"{path} may not be looked at ({error.strerror}). Check the permissions of its folder."
        ) from error
    except (OSError, ValueError):
        return "nothing"
    return "file" if S_ISREG(mode) else "folder" if S_ISDIR(mode) else "other"


def is_film(path: Path) -> bool:
    """Return whether a file is a film by its name."""
    return path.suffix.lower() in FILM_SUFFIXES


def is_picture(path: Path) -> bool:
    """Return whether a file is a picture, by its name or by how it begins."""
    return path.suffix.lower() in PICTURE_SUFFIXES or _begins_as_picture(path)


def _begins_as_picture(path: Path) -> bool:
    """Return whether a file of another name begins as photographs do: JPEG, PNG, WebP, HEIF."""
    if is_film(path):
        return False
    try:
        with path.open("rb") as file:
            head = file.read(12)
    except OSError:
        return False
    if head[4:8] == b"ftyp":
        return head[8:12] in (*HEIF_BRANDS, *_AVIF_BRANDS)
    webp = head[:4] == b"RIFF" and head[8:12] == b"WEBP"
    return webp or head.startswith((b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"))


def films_in(folder: Path) -> list[Path]:
    """Return the films in ``folder`` in the order of their names, without hidden files.

    Raises ``OSError``.
    """
    return sorted(path for path in _shown(folder) if is_film(path))


def pictures_in(folder: Path) -> list[Path]:
    """Return the pictures in ``folder`` in the order of their names, without hidden files.

    Raises ``OSError``.
    """
    return sorted(path for path in _shown(folder) if is_picture(path))


def _shown(folder: Path) -> Iterator[Path]:
    return (path for path in folder.iterdir() if not path.name.startswith("."))
