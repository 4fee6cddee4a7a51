"""What the sessions of one process have in common: its settings, set here only, and its networks.

The settings are functions, since a process has each of them once: the first session makes a
setting, the last to leave undoes it, and no session changes one under another. What sessions
share by choice is in a ``Machine``, which is handed to them.
"""

from __future__ import annotations

import ctypes
import gc
import os
import signal
import sys
import threading
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any, Generic, TextIO, TypeVar

from avatar.core.files import file_sha256

T = TypeVar("T")


class _Held(Generic[T]):
    """One thing, who uses it, and what closes it. ``lock``: for opening and closing."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.users = 0
        self.open: ExitStack | None = None
        self.value: T


class Shared(Generic[T]):
    """Things that several users have at once: opened by the first, closed when the last leaves.

    From any thread. That a thing may be used by several threads is the thing's own promise.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: dict[Hashable, _Held[T]] = {}

    @contextmanager
    def use(self, key: Hashable, make: Callable[[], AbstractContextManager[T]]) -> Iterator[T]:
        """Give what ``make`` made for the first user of ``key``, to all who are inside.

        Others of the same key wait while it is made; what making raises passes through, and the
        next of them tries again.
        """
        with self._lock:
            held = self._held.setdefault(key, _Held())
            held.users += 1
        try:
            with held.lock:
                if held.open is None:
                    with ExitStack() as opening:
                        held.value = opening.enter_context(make())
                        held.open = opening.pop_all()
            yield held.value
        finally:
            self._leave(key, held)

    def _leave(self, key: Hashable, held: _Held[T]) -> None:
        # Until it is closed it keeps its place: who comes meanwhile waits, and makes it again.
        with held.lock:
            with self._lock:
                held.users -= 1
                last = not held.users
            if not last:
                return
            try:
                if held.open is not None:
                    held.open.close()
            finally:
                held.open = None
                with self._lock:
                    if not held.users:
                        del self._held[key]


class Machine:
    """What sessions of one process share. Hand the same one to all of them.

    ``networks``: open runners by what they are: the weights, the backend, the precision. A runner
    serves several threads, one call after the other (``engines.runner.Runner``).
    """

    def __init__(self) -> None:
        self.networks: Shared[Any] = Shared()

    @classmethod
    def of_process(cls) -> Machine:
        """Return the one that all sessions share to which none was handed."""
        return _of_process()


@cache
def _of_process() -> Machine:
    return Machine()


# --- settings of the process

_settings: Shared[None] = Shared()
_opencv = threading.Lock()
_opencv_kept = False


def keep_one_opencv_thread() -> None:
    """Keep OpenCV to one thread from now on: a session's stages already use the cores."""
    global _opencv_kept
    import cv2

    with _opencv:
        if not _opencv_kept:
            cv2.setNumThreads(1)
            _opencv_kept = True


def one_opencv_thread() -> AbstractContextManager[None]:
    """Keep OpenCV to one thread inside; afterwards as before, unless a session began meanwhile."""
    return _settings.use("OpenCV", _one_opencv_thread)


@contextmanager
def _one_opencv_thread() -> Iterator[None]:
    import cv2

    with _opencv:
        before = cv2.getNumThreads()
        cv2.setNumThreads(1)
    try:
        yield
    finally:
        with _opencv:
            if not _opencv_kept:
                cv2.setNumThreads(before)


def one_blas_thread() -> AbstractContextManager[None]:
    """Keep the libraries of linear algebra to one thread while anybody is inside."""
    return _settings.use("BLAS", _one_blas_thread)


@contextmanager
def _one_blas_thread() -> Iterator[None]:
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, user_api="blas"):
        yield


def frozen_garbage() -> AbstractContextManager[None]:
    """Let the collector pass over what stands now, while anybody is inside.

    What stands when frames begin to flow stays to the end; walking it again and again would cost
    milliseconds in the middle of a call. What later sessions bring is not frozen too: it would
    stay in memory until the last session ends, however many came and went.
    """
    return _settings.use("collector", _frozen_garbage)


_frozen = False


@contextmanager
def _frozen_garbage() -> Iterator[None]:
    global _frozen
    gc.freeze()
    _frozen = True
    try:
        yield
    finally:
        _frozen = False
        gc.unfreeze()  # what of the sessions stands in circles can go before the next one


def release_memory() -> None:
    """Give memory back that is free: glibc keeps what large arrays left behind in its heap.

    Cutting a photograph leaves some fifty MB. On other systems nothing happens.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)


def collect_garbage() -> None:
    """Collect what an ended session left in circles; not now while another one runs.

    A whole collection halts every thread; that of a running session comes by itself.
    """
    if not _frozen:
        gc.collect()


@contextmanager
def native_stderr_silenced() -> Iterator[None]:
    """Send file descriptor 2 nowhere while anybody is inside.

    For native libraries that write start-up notes before their own log levels apply. Errors are
    raised as exceptions, so nothing that matters is lost; ``AVATAR_NATIVE_LOG`` lets all through.
    """
    if "AVATAR_NATIVE_LOG" in os.environ:
        yield
        return
    with _settings.use("standard error", _native_stderr_silenced):
        yield


@contextmanager
def _native_stderr_silenced() -> Iterator[None]:
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def kept_stdout() -> TextIO:
    """Return standard output for the caller alone; others then print to standard error."""
    kept = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return kept


def give_up_stdout() -> None:
    """Send what is still to be printed nowhere: Python would try again at its end, and complain."""
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


# --- signals

_stops: list[Callable[[], None]] = []
_stops_lock = threading.Lock()


@contextmanager
def ended_by_signals(stop: Callable[[], None]) -> Iterator[None]:
    """Call ``stop``, and nothing else, at Ctrl-C and SIGTERM.

    All who are inside are stopped, in whatever thread they are; signals come only while the main
    thread is inside too.
    """
    with _stops_lock:
        _stops.append(stop)
    try:
        if threading.current_thread() is threading.main_thread():
            with _signals_heard():
                yield
        else:
            yield
    finally:
        with _stops_lock:
            _stops.remove(stop)


@contextmanager
def _signals_heard() -> Iterator[None]:
    def end(number: int, frame: FrameType | None) -> None:
        # A thread: the handler may have interrupted this one inside a lock that a stop needs.
        threading.Thread(target=_stop_all, name="stop").start()

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _stop_all() -> None:
    with _stops_lock:
        stops = list(_stops)
    for stop in stops:  # each by itself: none waits for another, or for its failure
        threading.Thread(target=stop, name="stop").start()


def call_at_interrupt(call: Callable[[], None]) -> None:
    """Call ``call``, and nothing else, at SIGINT from now on; for a process that has one task."""
    signal.signal(signal.SIGINT, lambda _number, _frame: call())


def end_at_interrupts() -> None:
    """End at SIGINT without a word from now on: while a program is only being loaded."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def raise_at_interrupts() -> None:
    """Raise ``KeyboardInterrupt`` at SIGINT from now on, as Python does."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.default_int_handler)


def ignore_interrupts() -> None:
    """Let SIGINT pass: it reaches all programs of a terminal, and another one says when to end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


# --- the environment, as libraries see it

_environment = threading.RLock()


def set_environment(name: str, value: str, *, over: bool = False) -> None:
    """Set a variable that a library reads when it is loaded; the user's own stays.

    ``over``: replace what is set. Nothing is written where the value is that already.
    """
    with _environment:
        if os.environ.get(name) != value and (over or name not in os.environ):
            os.environ[name] = value


@contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set variables for what is opened inside, one user at a time; afterwards all is as before."""
    with _environment:
        before = {name: os.environ.get(name) for name in variables}
        os.environ.update(variables)
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value


# --- files that do not change while the program runs

_hashes: dict[tuple[object, ...], str] = {}


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file, read once a process as long as the file stays the same.

    Raises ``OSError``.
    """
    status = path.stat()
    key = (path, status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
    if key not in _hashes:
        _hashes[key] = file_sha256(path)
    return _hashes[key]
