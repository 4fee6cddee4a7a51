"""Pictures for web pages: encoded once for each codec that is wanted, however many pages watch.

What carries it to a page (WebRTC) is not this file's business: it hands encoded pictures to
whoever subscribed to the ``Audience``.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Self

from avatar.core.frames import LabelledFrame
from avatar.stages.sinks.checks import checked_image, expect_even
from avatar.stages.sinks.page_encoder import (
    CLOCK_RATE_HZ,
    EncodedPicture,
    PageCodec,
    PageEncoder,
    StackedPlanes,
)

__all__ = ["CLOCK_RATE_HZ", "Audience", "EncodedPicture", "PageCodec", "PageSink"]

DEFAULT_PORT = 8765
"""Where pages are served."""


class Audience:
    """Who wants encoded pictures; outlives the sinks that feed it. Safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners: dict[PageCodec, tuple[Callable[[EncodedPicture], None], ...]] = {}
        self._want_keyframe: set[PageCodec] = set()

    def subscribe(
        self, listener: Callable[[EncodedPicture], None], codec: PageCodec = "H264"
    ) -> Callable[[], None]:
        """Call ``listener`` from now on with each picture, a keyframe first; return how to end it.

        It is called in the sink's thread and must not wait.
        """
        with self._lock:
            self._listeners[codec] = (*self._listeners.get(codec, ()), listener)
            self._want_keyframe.add(codec)

        def end() -> None:
            with self._lock:
                others = tuple(one for one in self._listeners.get(codec, ()) if one is not listener)
                self._listeners[codec] = others
                if not others:
                    del self._listeners[codec]

        return end

    def request_keyframe(self, codec: PageCodec = "H264") -> None:
        """Have the next picture encoded as one that needs none before it."""
        with self._lock:
            self._want_keyframe.add(codec)

    def take_keyframe_wish(self, codec: PageCodec) -> bool:
        """Return whether a keyframe is wanted, and forget it."""
        with self._lock:
            wish = codec in self._want_keyframe
            self._want_keyframe.discard(codec)
            return wish

    @property
    def codecs(self) -> tuple[PageCodec, ...]:
        """Return what those who watch want."""
        with self._lock:
            return tuple(self._listeners)

    @property
    def is_empty(self) -> bool:
        """Return whether nobody watches."""
        return not self._listeners

    def send(self, picture: EncodedPicture, codec: PageCodec) -> None:
        """Hand ``picture`` to everybody who wants ``codec``."""
        for listener in self._listeners.get(codec, ()):
            listener(picture)


class PageSink:
    """Encodes frames for ``audience``; while nobody watches it does nothing.

    ``port``: where the page is to be served by whoever made the sink.
    """

    def __init__(
        self,
        size_px: tuple[int, int],
        fps: float,
        audience: Audience,
        port: int = DEFAULT_PORT,
    ) -> None:
        self._size_px, self._fps = size_px, fps
        self._audience, self.port = audience, port
        self._entered = False
        self._planes: StackedPlanes | None = None
        self._encoders: dict[PageCodec, PageEncoder] = {}

    @property
    def name(self) -> str:
        """Return ``page``, with the port where it is not the usual one."""
        return "page" if self.port == DEFAULT_PORT else f"page:{self.port}"

    @property
    def audience(self) -> Audience:
        """Return who watches."""
        return self._audience

    def __enter__(self) -> Self:
        expect_even(self._size_px, "The page")
        self._entered = True
        return self

    def __exit__(self, *_: object) -> None:
        self._entered = False
        self._encoders.clear()

    def write(self, frame: LabelledFrame) -> None:
        """Encode ``frame`` by each codec that is wanted, and hand it on."""
        image = checked_image(frame, self._size_px, sink=self.name, entered=self._entered)
        codecs = self._audience.codecs
        # Whoever wants another one later begins with a keyframe.
        self._encoders = {c: one for c, one in self._encoders.items() if c in codecs}
        if not codecs:
            return
        has_alpha = frame.alpha is not None
        if self._planes is None or self._planes.has_alpha != has_alpha:
            self._planes = StackedPlanes(self._size_px, has_alpha)
            self._encoders.clear()
        planes = self._planes.of(image, frame.alpha)
        for codec in codecs:
            picture = self._encoder(codec, self._planes).encode(
                planes, frame.timestamp_ns, self._audience.take_keyframe_wish(codec)
            )
            if picture is not None:
                self._audience.send(picture, codec)

    def _encoder(self, codec: PageCodec, planes: StackedPlanes) -> PageEncoder:
        if codec not in self._encoders:
            self._encoders[codec] = PageEncoder(codec, planes.size_px, self._fps)
        return self._encoders[codec]
