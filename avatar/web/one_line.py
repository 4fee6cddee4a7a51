"""What goes wrong inside the libraries of the server, as one line each and never as a traceback."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_LOGGERS = ("uvicorn", "uvicorn.error", "websockets", "aiortc", "aioice")
_AGAIN_S = 10.0
_MOST_KNOWN = 50


class OneLine(logging.Handler):
    """Says a record's first line, and the error it is about; the same one not twice in 10 s."""

    def __init__(self, say: Callable[[str], None]) -> None:
        super().__init__(logging.ERROR)
        self._say = say
        self._said_s: dict[str, float] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """See ``logging.Handler``."""
        self.tell(record.getMessage(), record.exc_info[1] if record.exc_info else None)

    def tell(self, message: str, error: BaseException | None = None) -> None:
        """Say it, unless that was said just now."""
        first = next(iter(message.strip().splitlines()), "")
        kind = f"{first} ({type(error).__name__})" if error is not None else first
        now_s = time.monotonic()
        if now_s - self._said_s.get(kind, -_AGAIN_S) < _AGAIN_S:
            return
        if len(self._said_s) >= _MOST_KNOWN:
            self._said_s.clear()
        self._said_s[kind] = now_s
        self._say(f"the pages' server: {kind}")

    def of_loop(self, loop: Any, context: dict[str, Any]) -> None:
        """Take what an event loop reports (``loop.set_exception_handler``)."""
        error = context.get("exception")
        # Connections that broke are everyday.
        if not isinstance(error, (ConnectionError, TimeoutError)):
            self.tell(str(context.get("message", "")), error)


@contextmanager
def one_line_each(say: Callable[[str], None]) -> Iterator[OneLine]:
    """Have the libraries' errors said by ``say``, until it ends."""
    handler = OneLine(say)
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    for logger in loggers:
        logger.addHandler(handler)
    before = [logger.propagate for logger in loggers]
    for logger in loggers:
        logger.propagate = False
    try:
        yield handler
    finally:
        for logger, propagates in zip(loggers, before, strict=True):
            logger.removeHandler(handler)
            logger.propagate = propagates
