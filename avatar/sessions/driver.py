"""``Driver``: every frame in order, deterministic; the same stages as the live loop, no threads."""

from __future__ import annotations

import warnings
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from avatar.core.choices import Framing, MotionMode, Smoothing
from avatar.core.config_file import check_known, load_options
from avatar.core.errors import UsageError
from avatar.core.frames import CameraFrame, GeneratedFrame, UInt8Image
from avatar.core.home import Home
from avatar.core.machine import Machine
from avatar.core.option import DRIVER
from avatar.core.options import PORTRAIT, Options, default_of, options_on, takes_options
from avatar.core.stages import Generator, Tracker
from avatar.core.terminal import say as _say
from avatar.library.face_model import find_face_model
from avatar.sessions.engines import open_engine
from avatar.sessions.retargeting import make_retargeter
from avatar.stages.motion.driving import Driving
from avatar.stages.track.choice import create_tracker


class Driver:
    """Drives one avatar with pictures of a face.

    ``avatar``: path of a photograph, name of a stored avatar, ``"builtin"``, or uint8 (H, W, 3)
    RGB. ``size_px``: (width, height) of the pictures; None takes the photo's own, or 512×512 for a
    portrait. Everything else is an option of ``avatar animate``, by its name in a config file:
    docs/options.md says what each does. ``home``: whose avatars, profiles and caches; None: those
    of the user who runs the program. ``machine``: what it shares with others in the process; None:
    with all to which none was handed.

    Raises ``UsageError`` for a non-existent option, naming the nearest, and for values that
    are out of bounds or do not go together.

    Use it as a context manager::

        with avatar.Driver(avatar="portrait.jpg", strength=1.2) as driver:
            frame = driver.step(rgb, timestamp_ns)

    Its pictures are not labelled: mark them before they are shown to anybody
    (``avatar.stages.label.create_labeller``).
    """

    @takes_options(DRIVER)
    def __init__(
        self,
        avatar: str | Path | UInt8Image,
        engine: str = PORTRAIT,
        motion: MotionMode = "relative",
        frame: Framing = "portrait",
        smoothing: Smoothing = "light",
        *,
        size_px: tuple[int, int] | None = None,
        home: Home | None = None,
        machine: Machine | None = None,
        **options: Any,
    ) -> None:
        given = {"engine": engine, "motion": motion, "frame": frame, "smoothing": smoothing}
        chosen = _options(given | _modern(options))
        self._avatar, self._framing, self._size_px = avatar, chosen.frame, size_px
        self._face_model = chosen.face_model
        self._tracked_by, self._person = chosen.tracker, chosen.person
        self._home = home = home or Home.of_user()
        self._engine = open_engine(chosen, _say, home, machine or Machine.of_process())
        self._retargeter = make_retargeter(chosen, home)
        self._open = ExitStack()
        self._tracker: Tracker | None = None
        self._generator: Generator | None = None
        self._index = 0
        self._seen_face = False

    def __enter__(self) -> Self:
        model = find_face_model(self._face_model, self._home)
        photo = self._engine.open_avatar(self._avatar, model, _say)
        with ExitStack() as opening:
            self._tracker = opening.enter_context(
                create_tracker(model, self._tracked_by, self._person)
            )
            self._generator = opening.enter_context(
                self._engine.make(photo, self._framing, self._size_px)
            )
            self._open = opening.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._tracker = self._generator = None
        self._open.close()

    def step(self, rgb: UInt8Image, timestamp_ns: int) -> GeneratedFrame | None:
        """Return the avatar moved as the face in ``rgb``.

        ``rgb``: uint8 (H, W, 3). ``timestamp_ns`` must rise from call to call. None until a face
        was seen for the first time; afterwards a lost face is held and then idles.
        """
        if self._tracker is None or self._generator is None:
            raise UsageError(
                "the driver is closed: use it inside `with avatar.Driver(…) as driver`"
            )
        track = self._tracker.track(CameraFrame(rgb, timestamp_ns, self._index))
        self._index += 1
        self._seen_face = self._seen_face or track.face is not None
        if not self._seen_face:
            return None
        return self._generator.generate(self._retargeter.retarget(track, timestamp_ns))


def _options(given: dict[str, Any]) -> Options:
    """Return the options of a ``Driver``. Raises ``UsageError``."""
    for name in given:
        check_known(name, options_on(DRIVER), "option of Driver")
    return load_options(None, given)


def _modern(options: dict[str, Any]) -> dict[str, Any]:
    """Return ``options`` with what stood in ``driving`` and ``neural`` by its own names."""
    modern = dict(options)
    driving, neural = modern.pop("driving", None), modern.pop("neural", None)
    if driving is not None or neural is not None:
        warnings.warn(
            "Driver takes the options themselves, such as strength=1.2, in place of driving= and "
            "neural=",
            DeprecationWarning,
            stacklevel=3,
        )
    return _of_driving(driving or Driving()) | _changed(neural or Options()) | modern


def _of_driving(driving: Driving) -> dict[str, Any]:
    parts = {"pose": driving.pose, "mouth": driving.mouth, "eyes": driving.eyes}
    parts["brows"] = driving.brows
    return _changed(
        Options(
            strength=driving.strength, exaggerate=driving.exaggerate,
            max_turn=driving.max_turn_deg, lock_head=driving.lock_head,
            weight=tuple(f"{part}={weight:g}" for part, weight in parts.items() if weight != 1),
        )
    )  # fmt: skip


def _changed(options: Options) -> dict[str, Any]:
    """Return what differs from the defaults."""
    values = {name: getattr(options, name) for name in options_on(DRIVER)}
    return {name: value for name, value in values.items() if value != default_of(name)}
