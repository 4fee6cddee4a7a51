"""The tokens that open the pages: for the studio one that is valid once, a lasting one to watch.

What stands in an address is read by others: on a command line, over a shoulder, in a browser's
history. The studio's is therefore exchanged at its first use for a secret that stands in a cookie
alone, and another one takes its place for another browser.

Programs such as OBS keep the address of ``/view`` in their scenes. It therefore stays the same, in
a file that the user alone can read; whoever deletes the file gets a new one.
"""

from __future__ import annotations

import hmac
import secrets
from collections import deque
from collections.abc import Callable
from pathlib import Path

from avatar.core.errors import UsageError
from avatar.core.files import write_whole

_BYTES = 24
_LEAST_LENGTH = 24
_SPENT_KEPT = 64


def new_token() -> str:
    """Return 192 random bits that are fit for an address."""
    return secrets.token_urlsafe(_BYTES)


class Entrance:
    """A token that opens once. ``used``: told when it has, and there is a next one.

    ``current``: what opens now. ``secret``: what whoever came in is known by from then on.
    """

    def __init__(self, used: Callable[[], None] = lambda: None) -> None:
        self._used = used
        self.secret = new_token()
        self.current = new_token()
        self._spent: deque[str] = deque(maxlen=_SPENT_KEPT)

    def redeem(self, token: str) -> bool:
        """Return whether ``token`` opens, which it does not do again."""
        if not _same(token, self.current):
            return False
        self._spent.append(self.current)
        self.current = new_token()
        self._used()
        return True

    def was_valid(self, token: str) -> bool:
        """Return whether ``token`` has opened before."""
        return sum(_same(token, spent) for spent in self._spent) > 0


def _same(given: str, known: str) -> bool:
    """Compare in constant time."""
    return hmac.compare_digest(given.encode(), known.encode())


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
