"""``avatar bench --glass``: from light to light.

The screen shows the demo driver beside an ArUco marker whose number changes with every picture.
The camera sees both; the driver moves the avatar as always, and the marker's number is copied
from the camera's picture into the avatar's. At the end of the chain it is read back: the
difference to the moment it was drawn is the whole delay, the camera's own included, which no
timestamp inside the program can know.

``--camera loop`` takes the screen's picture itself as the camera's, for machines without one:
what is left is the program's own delay, and both ways of measuring must agree.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from avatar.core.clock import Clock, MonotonicClock
from avatar.core.counting import counted
from avatar.core.errors import AvatarError, UsageError
from avatar.core.frames import CameraFrame, GeneratedFrame, LabelledFrame, Motion, UInt8Image
from avatar.core.home import Home
from avatar.core.machine import ended_by_signals
from avatar.core.observe import distribution, summarise
from avatar.core.options import Options
from avatar.core.outputs import check_writable, write_json
from avatar.core.stages import FrameSource, Generator
from avatar.core.terminal import say
from avatar.core.wrapped import Wrapped
from avatar.sessions.live import LiveSession
from avatar.stages.sinks import create_sink
from avatar.stages.sources import create_source

LOOP = "loop"
_NUMBERS = 1000
_MARKER_PX, _QUIET_PX = 120, 24


class Code:
    """Numbers 0 to 999 as square markers in a picture's corner: drawn, and found again."""

    def __init__(self) -> None:
        import cv2

        self._dictionary = cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_4X4_1000)
        self._detector = cv2.aruco.ArucoDetector(self._dictionary)

    def draw(self, image: UInt8Image, number: int) -> None:
        """Draw ``number`` into the bottom-left corner of ``image``, in place."""
        import cv2

        marker = cv2.aruco.generateImageMarker(self._dictionary, number % _NUMBERS, _MARKER_PX)
        plate = np.full((_MARKER_PX + 2 * _QUIET_PX,) * 2, 255, np.uint8)
        plate[_QUIET_PX:-_QUIET_PX, _QUIET_PX:-_QUIET_PX] = marker
        size = min(len(plate), *image.shape[:2])
        image[-size:, :size] = plate[-size:, :size, None]

    def find(self, image: UInt8Image) -> int | None:
        """Return the number seen anywhere in ``image``, None when there is none."""
        _, numbers, _ = self._detector.detectMarkers(image[..., 1].copy())
        return None if numbers is None or len(numbers) == 0 else int(numbers.flat[0])


class Screen(Wrapped[FrameSource]):
    """What is shown to the camera; as a source, the camera that sees it without delay.

    ``shown`` keeps when each number was last drawn, monotonic nanoseconds.
    """

    def __init__(self, driver: FrameSource, clock: Clock) -> None:
        super().__init__(driver)
        self._clock = clock
        self._code = Code()
        self.shown: dict[int, int] = {}

    @property
    def name(self) -> str:
        """Return what is watched."""
        return "the screen itself"

    def read(self) -> CameraFrame | None:
        """Return the next picture of the screen, drawn at this moment."""
        frame = self._inner.read()
        if frame is None:
            return None
        image = frame.image.copy()
        number = frame.index % _NUMBERS
        self._code.draw(image, number)
        drawn_ns = self._clock.now_ns()
        self.shown[number] = drawn_ns
        return CameraFrame(image, drawn_ns, frame.index)


class CameraCopier(Wrapped[Generator], ABC):
    """A generator that copies something from the camera's picture into the avatar's."""

    @property
    def size_px(self) -> tuple[int, int]:
        """Return the inner generator's size."""
        return self._inner.size_px

    def generate(self, motion: Motion) -> GeneratedFrame:
        """Draw the avatar and, when the camera saw the driver, what is copied."""
        frame = self._inner.generate(motion)
        camera = motion.track.camera if motion.track is not None else None
        if camera is not None:
            self.copy(camera.image, frame.image)
        return frame

    @abstractmethod
    def copy(self, camera: UInt8Image, avatar: UInt8Image) -> None:
        """Change ``avatar``, uint8 (H, W, 3) RGB, by what ``camera`` of another size shows."""


class CodeCopier(CameraCopier):
    """Copies the marker's number."""

    def __init__(self, inner: Generator) -> None:
        super().__init__(inner)
        self._code = Code()

    def copy(self, camera: UInt8Image, avatar: UInt8Image) -> None:
        """Draw the number, where one is found."""
        number = self._code.find(camera)
        if number is not None:
            self._code.draw(avatar, number)


class CodeReader(Wrapped[Any]):
    """A sink at the end of the chain: delivers to ``inner``, then reads the number back."""

    def __init__(self, inner: Any, shown: dict[int, int], clock: Clock) -> None:
        super().__init__(inner)
        self._shown, self._clock = shown, clock
        self._code = Code()
        self.delays_ms: list[float] = []
        self.inside_ms: list[float] = []
        self.unread = 0

    @property
    def name(self) -> str:
        """Return the inner sink's name."""
        return str(self._inner.name)

    def write(self, frame: LabelledFrame) -> None:
        """Deliver the frame, note the time, then read the number and reckon the delay."""
        self._inner.write(frame)
        arrived_ns = self._clock.now_ns()
        number = self._code.find(frame.image)
        drawn_ns = self._shown.get(number) if number is not None else None
        if drawn_ns is None:
            self.unread += 1
            return
        self.delays_ms.append((arrived_ns - drawn_ns) / 1e6)
        self.inside_ms.append((arrived_ns - frame.timestamp_ns) / 1e6)


def glass(config: Options, home: Home, *, json_path: Path | None) -> int:
    """Measure from light to light and report; return the exit status."""
    if json_path is not None:
        check_writable(json_path, "--json")
    clock = MonotonicClock()
    driver = create_source("demo", fps=30.0, clock=clock)
    screen = Screen(driver, clock)
    looped = config.camera in (LOOP, "demo")
    source = screen if looped else create_source(config.camera, clock=clock)
    sink = create_sink("none", size_px=config.size_px, fps=config.fps, clock=clock)
    reader = CodeReader(sink, screen.shown, clock)
    # The marker needs one corner; the label keeps its own.
    settings = replace(config, out=("none",), label_corner="top-right")
    session = LiveSession(
        settings,
        say,
        home=home,
        clock=clock,
        source=source,
        sinks=[reader],
        wrap_generator=CodeCopier,
    )
    with ended_by_signals(session.stop), ExitStack() as showing:
        if not looped:
            showing.enter_context(_Display(screen, session.stop))
        session.run(config.seconds or 20.0)
    return _report(reader, session, looped, json_path)


class _Display:
    """Shows the screen's pictures in a window from a thread of its own."""

    def __init__(self, screen: Screen, stop: Callable[[], None]) -> None:
        self._screen, self._stop = screen, stop
        self._ended = threading.Event()
        self._errors: deque[BaseException] = deque()
        self._thread = threading.Thread(target=self._show, name="screen")

    def __enter__(self) -> Self:
        from avatar.stages.sinks.display import check_display

        check_display()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join()
        if self._errors and error is None:
            raise self._errors[0]

    def _show(self) -> None:
        import cv2

        title = "hold this in front of the camera"
        try:
            with self._screen as screen:
                while not self._ended.is_set():
                    frame = screen.read()
                    if frame is not None:
                        cv2.imshow(title, frame.image[..., ::-1])
                        if cv2.waitKey(1) == ord("q"):
                            self._stop()
        except BaseException as error:  # shown to the user by the session's end
            self._errors.append(error)
            self._stop()
        finally:
            cv2.destroyAllWindows()


def _report(reader: CodeReader, session: LiveSession, looped: bool, json_path: Path | None) -> int:
    if not reader.delays_ms:
        raise _unreadable(looped)
    light, inside = distribution(reader.delays_ms), distribution(reader.inside_ms)
    say(
        f"light to light: p50 {light.p50_ms:.1f} ms, p95 {light.p95_ms:.1f}, "
        f"max {light.max_ms:.1f} over {counted(light.count, 'frame')} "
        f"({reader.unread} without a readable number)"
    )
    say(
        f"of these inside the program, capture to sink: p50 {inside.p50_ms:.1f} ms; "
        f"the camera and the screen: {light.p50_ms - inside.p50_ms:.1f} ms"
    )
    if json_path is not None:
        figures = {
            "light_to_light": light.__dict__,
            "capture_to_sink": inside.__dict__,
            "unread": reader.unread,
            "looped": looped,
            **summarise(session.recorder),
        }
        write_json(json_path, figures)
    return 0


def _unreadable(looped: bool) -> AvatarError:
    if looped:
        return AvatarError("no number came back through the chain: this is a bug in the program")
    return UsageError(
        "expected the camera to see the marker and the drawn face on the screen, found neither "
        "readable. Turn the camera to the screen, fill its picture, and dim the room."
    )
