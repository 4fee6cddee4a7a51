"""Fetching published files from the Hugging Face Hub: pinned, resumed, and checked by their hash.

``huggingface_hub`` says where a file lies, how long it is and which hash it has, and brings the
connection (``HF_ENDPOINT``, proxies, ``HF_HUB_OFFLINE``). The bytes are received here, because its
own download starts from nothing when the program was ended: a part lies in ``ROOT/.parts`` under
the hash that the whole file must have, and the next ``pull`` goes on where it ended.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from avatar.core.errors import EngineError, MissingDependencyError
from avatar.core.files import file_sha256
from avatar.core.machine import set_environment
from avatar.library.models.catalog import Entry, PublishedFile
from engines.locking import locked

Progress = Callable[[int, int], None]
"""Told how many bytes of how many are here."""

_SHA256 = re.compile(r"[0-9a-f]{64}")
_PASSING = (408, 425, 429, 500, 502, 503, 504)  # answers that may be others a little later


@dataclass(frozen=True)
class Patience:
    """How long to wait for a server: ``timeout_s`` for each answer and piece of a file.

    ``attempts`` without a single new byte end it; ``pause`` waits between them, in seconds.
    """

    timeout_s: float = 20.0
    attempts: int = 5
    pause: Callable[[float], None] = time.sleep


PATIENCE = Patience()


@dataclass(frozen=True)
class Remote:
    """A file as the Hub states it."""

    url: str
    sha256: str
    size_bytes: int


class _TransferError(Exception):
    """The transfer ended early, and may go on."""


class _DamagedError(_TransferError):
    """The transfer was complete, in several pieces, and is not the file."""


def import_hub() -> Any:
    """Return ``huggingface_hub`` with its telemetry off; raises ``MissingDependencyError``."""
    # Otherwise each request tells which other libraries and which agents are here.
    set_environment("HF_HUB_DISABLE_TELEMETRY", "1", over=True)
    try:
        import huggingface_hub
        import huggingface_hub.constants
        import huggingface_hub.errors
        import huggingface_hub.utils
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            f"fetching models needs {error.name}: scripts/setup models, or pip install "
            "huggingface-hub. Or fetch the files with a browser: avatar models import FILE"
        ) from error
    huggingface_hub.constants.HF_HUB_DISABLE_TELEMETRY = True
    return huggingface_hub


def require_network() -> None:
    """Raise ``EngineError`` where the user has forbidden the Hub, before anything is asked."""
    if (os.environ.get("HF_HUB_OFFLINE") or "").upper() in ("1", "ON", "YES", "TRUE"):
        raise EngineError(
            "HF_HUB_OFFLINE is set, so nothing is fetched. Unset it, or give files that you have: "
            "avatar models import FILE"
        )


@contextmanager
def connection() -> Iterator[Any]:
    """Give the Hub's library; its connections are closed at the end."""
    hub = import_hub()
    try:
        yield hub
    finally:
        hub.close_session()


def stated(hub: Any, entry: Entry, file: PublishedFile, patience: Patience) -> Remote:
    """Ask the Hub for a file, and hold its answer against the catalogue.

    Raises ``EngineError`` for a file that is not there or is another than the one expected.
    """
    url = hub.hf_hub_url(
        entry.repository,
        file.path,
        revision=entry.revision,
        endpoint=_endpoint(),
    )
    found = hub.get_hf_file_metadata(url, token=False, timeout=patience.timeout_s)
    stated_hash = found.etag if found.etag and _SHA256.fullmatch(found.etag) else ""
    if not file.sha256 and not (stated_hash and found.commit_hash == entry.revision):
        raise EngineError(
            f"{url} cannot be checked: expected a SHA-256 for revision "
            f"{entry.revision[:12]}, found ETag {found.etag} for {found.commit_hash}. Use the Hub "
            "itself (unset HF_ENDPOINT)"
        )
    if file.sha256 and stated_hash and stated_hash != file.sha256:
        raise EngineError(
            f"{url} is not the expected file: expected SHA-256 {file.sha256}, the server states "
            f"{stated_hash}. Nothing was fetched"
        )
    size = file.size_bytes or found.size
    if not size or (found.size and found.size != size):
        raise EngineError(
            f"{url} is not the expected file: expected {size or 'a length in'} bytes, the server "
            f"states {found.size}. Nothing was fetched"
        )
    return Remote(found.location, file.sha256 or stated_hash, size)


@contextmanager
def claimed(
    parts: Path, entry: Entry, file: PublishedFile, say: Callable[[str], None]
) -> Iterator[None]:
    """Keep other processes from fetching the same file until it has found its place."""
    parts.mkdir(parents=True, exist_ok=True)
    lock = parts / f"{entry.slug}-{file.name}.lock"
    with locked(lock, lambda: say(f"another process fetches {file.name}: waiting for it")):
        yield


def fetch(
    hub: Any,
    entry: Entry,
    file: PublishedFile,
    parts: Path,
    *,
    patience: Patience = PATIENCE,
    progress: Progress = lambda _have, _size: None,
    say: Callable[[str], None] = lambda _line: None,
) -> tuple[Path, str]:
    """Return the fetched file, whole and with the right hash, and that hash.

    It lies in the folder ``parts``, for the caller to move; the file has to be ``claimed`` until
    then. Raises ``EngineError`` when the server is not to be reached, keeps failing, or sends
    something else; ``OSError`` from the disk. What has come so far stays for the next call.
    """
    failures, before, damaged = 0, 0, False
    while True:
        part: Path | None = None
        try:
            with _network_faults(hub):
                # Asked again each time: the address behind it is signed, and ends.
                remote = stated(hub, entry, file, patience)
                part = parts / f"{remote.sha256}.part"
                _receive(hub, remote, part, patience, progress)
            return part, remote.sha256
        except _TransferError as error:
            if damaged and isinstance(error, _DamagedError):
                raise EngineError(str(error)) from error
            damaged = damaged or isinstance(error, _DamagedError)
            have = part.stat().st_size if part and part.exists() else 0
            failures = 1 if have > before else failures + 1
            before = have
            if failures >= patience.attempts:
                raise EngineError(
                    f"{file.name} could not be fetched from {_host(entry)}: {error} "
                    f"({failures} attempts). {_kept(have)}Check the connection and give the "
                    "command again, or fetch it with a browser: avatar models import FILE"
                ) from error
            say(f"{file.name}: {error}; trying again")
            patience.pause(min(2 ** (failures - 1), 8))


def _endpoint() -> str:
    return (os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")


def _host(entry: Entry) -> str:
    return f"{_endpoint()}/{entry.repository}"


def _kept(have: int) -> str:
    return f"The {have / 1e6:.1f} MB that came are kept. " if have else ""


@contextmanager
def _network_faults(hub: Any) -> Iterator[None]:
    """Turn what the network's libraries raise into what may be tried again, and what may not."""
    import httpx2

    try:
        yield
    except hub.errors.HfHubHTTPError as error:
        status = error.response.status_code
        what = f"the server answered {status} for {error.response.request.url.path}"
        if status in _PASSING:
            raise _TransferError(what) from error
        raise EngineError(
            f"{what}. Expected the published file; if the address moved, fetch it with a browser "
            "and give it to: avatar models import FILE"
        ) from error
    except hub.errors.OfflineModeIsEnabled as error:
        raise EngineError(f"nothing is fetched: {error}") from error
    except httpx2.TimeoutException as error:
        raise _TransferError("the server stopped answering") from error
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise _TransferError(f"the connection failed ({error})") from error


def _receive(hub: Any, remote: Remote, part: Path, patience: Patience, progress: Progress) -> None:
    """Complete ``part`` and check it. Raises ``_TransferError`` when it may go on."""
    have = part.stat().st_size if part.exists() else 0
    if have > remote.size_bytes:
        part.unlink()
        have = 0
    resumed = have > 0
    if have < remote.size_bytes:
        _append(hub, remote, part, have, patience, progress)
    else:
        progress(have, have)
    found = file_sha256(part)
    if found == remote.sha256:
        return
    part.unlink()
    wrong = (
        f"what {_plain(remote.url)} sent is not the expected file: expected SHA-256 "
        f"{remote.sha256}, found {found}. Nothing was kept; try again, or over another connection"
    )
    # A part may be of another day; what came whole is the server's doing.
    raise _DamagedError(wrong) if resumed else EngineError(wrong)


def _append(
    hub: Any, remote: Remote, part: Path, have: int, patience: Patience, progress: Progress
) -> None:
    headers = {"Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    request = hub.get_session().stream(
        "GET", remote.url, headers=headers, timeout=patience.timeout_s, follow_redirects=True
    )
    with request as response:
        if response.status_code == 416:
            part.unlink()
            raise _TransferError("the server cannot go on where it ended")
        hub.utils.hf_raise_for_status(response)
        have = _start(response.status_code, response.headers, have)
        length = response.headers.get("Content-Length", "")
        if length.isdecimal() and have + int(length) != remote.size_bytes:
            raise EngineError(
                f"{_plain(remote.url)} announces {have + int(length)} bytes, expected "
                f"{remote.size_bytes}. Nothing of it was taken; try again"
            )
        _write(response.iter_bytes(), part, have, remote, progress)


def _start(status: int, headers: Mapping[str, str], have: int) -> int:
    """Return at which byte the answer begins."""
    if status != 206:
        return 0
    begins = re.match(r"bytes (\d+)-", headers.get("Content-Range", ""))
    if begins is None or int(begins[1]) > have:
        raise EngineError(
            f"expected the rest of a file from byte {have} on, the server sent "
            f"{headers.get('Content-Range', 'no Content-Range')!r}. Try again"
        )
    return int(begins[1])


def _write(
    chunks: Iterator[bytes], part: Path, have: int, remote: Remote, progress: Progress
) -> None:
    with part.open("r+b" if have else "wb") as file:
        file.seek(have)
        file.truncate()
        try:
            for chunk in chunks:
                have += len(chunk)
                if have > remote.size_bytes:
                    break
                file.write(chunk)
                progress(have, remote.size_bytes)
        finally:
            file.flush()
            with suppress(OSError):  # a full disk has said so already
                os.fsync(file.fileno())
    if have > remote.size_bytes:
        part.unlink()
        raise EngineError(
            f"{_plain(remote.url)} sent more than the {remote.size_bytes} bytes expected. Nothing "
            "was kept; try again, or over another connection"
        )
    if have < remote.size_bytes:
        raise _TransferError(f"the connection ended after {have} of {remote.size_bytes} bytes")


def _plain(url: str) -> str:
    """Return an address without its signature."""
    return url.partition("?")[0]


def check_space(folder: Path, wanted_bytes: int) -> None:
    """Raise ``EngineError`` when the disk of ``folder`` has no room for so much."""
    free = shutil.disk_usage(folder).free
    if free < wanted_bytes:
        raise EngineError(
            f"{folder} has {free / 1e6:.0f} MB free, and {wanted_bytes / 1e6:.0f} MB are needed. "
            "Free some space, or set AVATAR_MODELS to a folder on another disk"
        )
