"""The studio's ear at the tracker: points for the pages, and faces for a calibration."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Literal

from avatar.app.studio.messages import landmarks_message, picture_message
from avatar.core.clock import Clock
from avatar.core.frames import CameraFrame, FaceTrack
from avatar.web.control import Event

_POINTS_EVERY_NS = 45_000_000
_PICTURES_EVERY_NS = 95_000_000


class OpenPages:
    """The pages that listen. Safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pages: dict[Callable[[Event], None], Callable[[], bool]] = {}

    def add(
        self, hear: Callable[[Event], None], pictures: Callable[[], bool]
    ) -> Callable[[], None]:
        """Tell ``hear`` from now on; return how to end it."""
        with self._lock:
            self._pages[hear] = pictures

        def end() -> None:
            with self._lock:
                self._pages.pop(hear, None)

        return end

    def tell(self, event: Event) -> None:
        """Tell every page."""
        for hear in list(self._pages):
            hear(event)

    def show(self, make: Callable[[], bytes]) -> None:
        """Send the driver's picture to the pages that were told to show it; to no other."""
        hears = [hear for hear, pictures in list(self._pages.items()) if pictures()]
        if hears:
            picture = make()
            for hear in hears:
                hear(picture)

    @property
    def is_empty(self) -> bool:
        """Return whether nobody listens."""
        return not self._pages


Feed = Literal["ok", "waiting", "silent", "closed"]
"""What comes from the camera: pictures; none yet; none any more; its page was closed."""
_SILENT_NS = 1_500_000_000


class CameraWatch:
    """Whether pictures come from the camera, and whether a face is seen in them."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seen_ns: int | None = None
        self.sees_face = False

    def begin(self) -> None:
        """Forget what came: another camera, or another session."""
        self._seen_ns, self.sees_face = None, False

    def see(self, track: FaceTrack) -> None:
        """Take a tracked frame in; in the tracker's thread."""
        self._seen_ns, self.sees_face = self._clock.now_ns(), track.face is not None

    def feed(self, page_sends: bool | None) -> Feed:
        """Return what comes; ``page_sends``: whether a page is connected.

        None for other cameras, and before the first page was, which is waited for.
        """
        if self._seen_ns is None:
            return "closed" if page_sends is False else "waiting"
        if self._clock.now_ns() - self._seen_ns < _SILENT_NS:
            return "ok"
        self.sees_face = False
        return "closed" if page_sends is False else "silent"


class PageTeller:
    """Tells the pages what a tracker saw, no more often than they draw: see ``ObservedTracker``."""

    def __init__(self, pages: OpenPages, clock: Clock) -> None:
        self._pages, self._clock = pages, clock
        self._points_ns = self._pictures_ns = 0

    def __call__(self, frame: CameraFrame, track: FaceTrack) -> None:
        """Tell them, if anybody listens."""
        if self._pages.is_empty:
            return
        now_ns = self._clock.now_ns()
        if now_ns - self._points_ns >= _POINTS_EVERY_NS:
            self._points_ns = now_ns
            height, width = frame.image.shape[:2]
            self._pages.tell(landmarks_message(track, width / height))
        if now_ns - self._pictures_ns >= _PICTURES_EVERY_NS:
            self._pictures_ns = now_ns
            self._pages.show(lambda: picture_message(frame))
