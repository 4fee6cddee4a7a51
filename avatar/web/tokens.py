"""The tokens that open the pages: a new one for the studio each time, a lasting one to watch.

Programs such as OBS keep the address of ``/view`` in their scenes. It therefore stays the same,
in a file that the user alone can read; whoever deletes the file gets a new one.
"""

from __future__ import annotations

import secrets
from pathlib import Path

from avatar.core.errors import UsageError
from avatar.core.files import write_whole

_BYTES = 24
_LEAST_LENGTH = 24


def new_token() -> str:
    """Return 192 random bits that are fit for an address."""
    return secrets.token_urlsafe(_BYTES)


def lasting_token(path: Path) -> str:
    """Return the token kept in ``path``, making it the first time. Raises ``UsageError``."""
    try:
        token = path.read_text(encoding="ascii").strip()
        if len(token) >= _LEAST_LENGTH and all(c.isalnum() or c in "-_" for c in token):
            return token
    except FileNotFoundError:
        pass
    except (OSError, UnicodeDecodeError) as error:
        raise _unusable(path, error) from error
    return _kept(path, new_token())


def _kept(path: Path, token: str) -> str:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_whole(path, token)
    except OSError as error:
        raise _unusable(path, error) from error
    return token


def _unusable(path: Path, error: Exception) -> UsageError:
    reason = getattr(error, "strerror", None) or error
    return UsageError(
        f"the token of the view page in {path} cannot be read or kept: {reason}. "
        "Check the folder's permissions, or delete the file."
    )
