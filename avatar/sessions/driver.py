"""``Driver``: every frame in order, deterministic; the same stages as the live loop, no threads."""

from __future__ import annotations

import warnings
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self, TypeGuard

import numpy as np

from avatar.core.choices import Framing, MotionMode, Smoothing
from avatar.core.config_file import check_known, load_options
from avatar.core.errors import UsageError
from avatar.core.frames import CameraFrame, GeneratedFrame, LabelledFrame, UInt8Image
from avatar.core.home import Home
from avatar.core.machine import Machine
from avatar.core.option import DRIVER
from avatar.core.options import PORTRAIT, Options, default_of, options_on, takes_options
from avatar.core.stages import Generator, Labeller, Tracker
from avatar.core.terminal import say as _say
from avatar.library.face_model import find_face_model
from avatar.sessions.engines import open_engine
from avatar.sessions.retargeting import make_retargeter
from avatar.stages.label import create_labeller
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

    Its pictures say that they are generated: ``label_text`` in ``label_corner``. ``labelled=False``
    leaves that out, for programs that mark them by themselves, and needs
    ``acknowledge_disclosure_duty=True``; like ``--no-label`` it is written to the local log.
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
        labelled: bool = True,
        **options: Any,
    ) -> None:
        self._label = _label_options(labelled, options)
        _check_avatar(avatar)
        _check_size(size_px)
        for name, value, kind in (("home", home, Home), ("machine", machine, Machine)):
            if value is not None and not isinstance(value, kind):
                raise UsageError(
                    f"Driver: expected {name} as an avatar.{kind.__name__}, found {_shown(value)}"
                )
        given = {"engine": engine, "motion": motion, "frame": frame, "smoothing": smoothing}
        chosen = _options(given | _modern(options))
        self._avatar, self._framing, self._size_px = avatar, chosen.frame, size_px
        self._face_model = chosen.face_model
        self._tracked_by, self._person = chosen.tracker, chosen.person
        self._home = home = home or Home.of_user()
        self._engine = open_engine(chosen, _say, home, machine or Machine.of_process())
        self._retargeter = make_retargeter(chosen, home)
        self._open = ExitStack()
        self._labeller: Labeller | None = None
        self._last_ns: int | None = None
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
            self._labeller = create_labeller(
                size_px=self._generator.size_px,
                text=self._label.label_text,
                corner=self._label.label_corner,
                visible=self._label.label,
                acknowledged=self._label.acknowledge_disclosure_duty,
                avatar=photo.name,
                outputs=["Driver"],
                log_path=self._home.disclosure_log,
            )
            self._open = opening.pop_all()
        self._last_ns = None
        return self

    def __exit__(self, *_: object) -> None:
        self._tracker = self._generator = self._labeller = None
        self._open.close()

    def step(self, rgb: UInt8Image, timestamp_ns: int) -> LabelledFrame | None:
        """Return the avatar moved as the face in ``rgb``, labelled.

        ``rgb``: uint8 (H, W, 3). ``timestamp_ns`` must rise from call to call. None until a face
        was seen for the first time; afterwards a lost face is held and then idles. Raises
        ``UsageError`` for a picture or a time that is none; the next call goes on as if that one
        had not been.
        """
        frame = self._draw(rgb, timestamp_ns)
        if frame is None or self._labeller is None:
            return None
        return self._labeller.label(frame)

    def _draw(self, rgb: UInt8Image, timestamp_ns: int) -> GeneratedFrame | None:
        """Return the picture that ``step`` labels."""
        if self._tracker is None or self._generator is None:
            raise UsageError(
                "the driver is closed: use it inside `with avatar.Driver(…) as driver`"
            )
        rgb, timestamp_ns = _checked_picture(rgb), self._checked_time(timestamp_ns)
        track = self._tracker.track(CameraFrame(rgb, timestamp_ns, self._index))
        self._index += 1
        self._last_ns = timestamp_ns
        self._seen_face = self._seen_face or track.face is not None
        if not self._seen_face:
            return None
        return self._generator.generate(self._retargeter.retarget(track, timestamp_ns))

    def _checked_time(self, timestamp_ns: int) -> int:
        whole = isinstance(timestamp_ns, (int, np.integer)) and not isinstance(timestamp_ns, bool)
        if not whole or not 0 <= timestamp_ns < _END_NS:
            raise UsageError(
                "Driver.step: expected timestamp_ns as whole nanoseconds from 0, found "
                f"{timestamp_ns!r}"
            )
        if self._last_ns is not None and timestamp_ns <= self._last_ns:
            raise UsageError(
                f"Driver.step: expected timestamp_ns above that of the call before, "
                f"{self._last_ns}, found {timestamp_ns}"
            )
        return int(timestamp_ns)


_END_NS = 1 << 63
_LABEL = ("label_text", "label_corner", "acknowledge_disclosure_duty")
_MIN_PX, _MAX_PX = 16, 16_384
# As --size has them.
_LEAST_SIZE, _MOST_SIZE = 64, 4096


def _checked_picture(rgb: object) -> UInt8Image:
    """Return a picture that can be looked at. Raises ``UsageError``."""
    if _is_picture(rgb):
        return rgb
    raise UsageError(f"Driver.step: expected a picture as {_A_PICTURE}, found {_shown(rgb)}")


def _check_avatar(avatar: object) -> None:
    """Raise ``UsageError`` for what names no photograph and is none."""
    if isinstance(avatar, str) and avatar and "\0" not in avatar:
        return
    if not isinstance(avatar, Path) and not _is_picture(avatar):
        raise UsageError(
            "Driver: expected avatar as the path of a photograph, the name of a stored avatar, "
            f"builtin, or {_A_PICTURE}, found {_shown(avatar)}"
        )


_A_PICTURE = f"a NumPy array, uint8 (H, W, 3) RGB with sides of {_MIN_PX} to {_MAX_PX} pixels"


def _is_picture(value: object) -> TypeGuard[UInt8Image]:
    return (
        isinstance(value, np.ndarray)
        and value.dtype == np.uint8
        and value.ndim == 3
        and value.shape[2] == 3
        and all(_MIN_PX <= side <= _MAX_PX for side in value.shape[:2])
    )


def _shown(value: object) -> str:
    if isinstance(value, np.ndarray):
        return f"{value.dtype.name} of shape {'×'.join(map(str, value.shape)) or 'none'}"
    return repr(value)[:80] if isinstance(value, (str, int, float)) else type(value).__name__


def _label_options(labelled: object, options: dict[str, Any]) -> Options:
    """Take the label's options out of ``options``; nothing unlabelled that nobody acknowledged."""
    if not isinstance(labelled, bool):
        raise UsageError(f"Driver: expected labelled as True or False, found {labelled!r}")
    given = {name: options.pop(name) for name in _LABEL if name in options}
    if not labelled and given.get("acknowledge_disclosure_duty") is not True:
        raise UsageError(
            "Driver: expected labelled=True, or labelled=False with "
            "acknowledge_disclosure_duty=True: you then tell viewers yourself that the picture is "
            "AI-generated, which law demands in many places"
        )
    return load_options(None, {"label": labelled} | given)


def _check_size(size_px: tuple[int, int] | None) -> None:
    if size_px is None:
        return
    try:
        fits = len(size_px) == 2 and all(
            isinstance(side, (int, np.integer)) and _LEAST_SIZE <= side <= _MOST_SIZE
            for side in size_px
        )
    except TypeError:
        fits = False
    if not fits:
        raise UsageError(
            f"Driver: expected size_px as (width, height) of {_LEAST_SIZE} to {_MOST_SIZE} pixels, "
            f"or None, found {size_px!r}"
        )


def _options(given: dict[str, Any]) -> Options:
    """Return the options of a ``Driver``. Raises ``UsageError``."""
    for name in given:
        check_known(name, options_on(DRIVER), "option of Driver")
    return load_options(None, given)


def _modern(options: dict[str, Any]) -> dict[str, Any]:
    """Return ``options`` with what stood in ``driving`` and ``neural`` by its own names."""
    modern = dict(options)
    driving, neural = modern.pop("driving", None), modern.pop("neural", None)
    for name, value, kind in (("driving", driving, Driving), ("neural", neural, Options)):
        if value is not None and not isinstance(value, kind):
            raise UsageError(f"Driver: expected {name} as {kind.__name__}, found {_shown(value)}")
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
