"""``Driver``: every frame in order, deterministic; the same stages as the live loop, no threads."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from avatar.commands.profiles import ProfileStore, stored_person
from avatar.commands.terminal import say as _say
from avatar.config import DEFAULTS
from avatar.core.choices import Framing, MotionMode, Mouth, Reference, Smoothing
from avatar.core.home import Home
from avatar.core.machine import Machine
from avatar.core.options import Options
from avatar.errors import UsageError
from avatar.frames import CameraFrame, GeneratedFrame, UInt8Image
from avatar.motion.driving import UNCHANGED, Driving
from avatar.motion.retarget import FaceRetargeter
from avatar.sessions.engines import open_engine
from avatar.stages import Generator
from avatar.track.face_model import find_face_model
from avatar.track.landmarker import FaceLandmarker


class Driver:
    """Drives one avatar with pictures of a face.

    ``avatar``: path of a photograph, name of a stored avatar, ``"builtin"``, or uint8 (H, W, 3)
    RGB.
    ``engine``: name of the generator. ``motion``: ``relative`` adds the driver's change since
    its reference to the photograph; ``absolute`` reproduces the driver's own landmarks.
    ``frame``: ``portrait`` cuts head and shoulders, ``photo`` keeps the whole picture.
    ``smoothing``: ``off``, ``light`` or ``strong``. ``size_px``: (width, height) of the pictures;
    None takes the photo's own, or 512×512 for a portrait. ``face_model``: the landmarker's file.
    ``reference``: what relative motion starts from: ``auto`` the most neutral face of the first
    two seconds, ``first`` the first face, ``profile`` the resting face of ``profile``, the name of
    one that ``avatar calibrate`` made. ``driving``: how far the portrait goes along.
    ``mouth``: what shows between the lips, ``driver``, ``teeth`` or ``auto``. ``shading``: how much
    of the driver's creases the avatar gets, 0 to 1. ``background``: ``photo``, ``blur``,
    ``transparent`` (the pictures then have an ``alpha``), a colour, or a picture's path.
    ``neural``: options of the engines of networks. ``home``: whose avatars, profiles and caches;
    None: those of the user who runs the program. ``machine``: what it shares with others in the
    process; None: with all to which none was handed.

    Use it as a context manager::

        with avatar.Driver(avatar="portrait.jpg") as driver:
            frame = driver.step(rgb, timestamp_ns)

    Its pictures are not labelled: mark them before they are shown to anybody
    (``avatar.label.create_labeller``).
    """

    def __init__(
        self,
        avatar: str | Path | UInt8Image,
        engine: str = "portrait",
        motion: MotionMode = "relative",
        frame: Framing = "portrait",
        smoothing: Smoothing = "light",
        *,
        size_px: tuple[int, int] | None = None,
        face_model: Path | None = None,
        reference: Reference = "auto",
        driving: Driving = UNCHANGED,
        profile: str | None = None,
        mouth: Mouth = DEFAULTS.mouth,
        shading: float = DEFAULTS.shading,
        background: str = DEFAULTS.background,
        neural: Options = DEFAULTS,
        home: Home | None = None,
        machine: Machine | None = None,
    ) -> None:
        self._home = home = home or Home.of_user()
        self._avatar, self._framing = avatar, frame
        options = replace(
            neural, engine=engine, smoothing=smoothing, mouth=mouth, shading=shading,
            background=background,
        )  # fmt: skip
        self._engine = open_engine(options, _say, home, machine or Machine.of_process())
        self._size_px, self._face_model = size_px, face_model
        self._retargeter = FaceRetargeter(
            motion,
            smoothing,
            reference,
            person=stored_person(profile, ProfileStore(home.profiles)),
            driving=driving,
        )
        self._open = ExitStack()
        self._tracker: FaceLandmarker | None = None
        self._generator: Generator | None = None
        self._index = 0
        self._seen_face = False

    def __enter__(self) -> Self:
        model = find_face_model(self._face_model, self._home)
        photo = self._engine.open_avatar(self._avatar, model, _say)
        with ExitStack() as opening:
            self._tracker = opening.enter_context(FaceLandmarker(model))
            self._generator = opening.enter_context(
                self._engine.make(photo, self._framing, self._size_px)
            )
            self._open = opening.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
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
