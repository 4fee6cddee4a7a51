"""Engines of published networks, which look at the driver's own picture: one class for all.

What a family can, and how long it takes, is said in its module of ``stages.generate.neural``.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from avatar.core.arrays import Shapes
from avatar.core.choices import Framing
from avatar.core.errors import EngineError, PhotoError, UsageError
from avatar.core.frames import NetworkMotion, UInt8Image
from avatar.core.home import Home
from avatar.core.machine import Machine
from avatar.core.messages import Message
from avatar.core.options import Options
from avatar.core.stages import Generator
from avatar.library.avatars import AvatarStore, StoredAvatar
from avatar.library.models.builds import SaidProgress, choose_target, open_model
from avatar.library.models.store import model_folder, read_record
from avatar.sessions.avatars import AvatarPhoto, FaceChoice, resolve
from avatar.sessions.engines.engine import Engine, OpenEngine, Say
from avatar.stages.generate.neural.crop import USUAL_SCALE, face_crop, manual_crop, stand_in_face
from avatar.stages.generate.neural.family import Family, make_family
from avatar.stages.generate.neural.features import FeatureCache
from avatar.stages.generate.neural.generator import NeuralGenerator
from avatar.stages.generate.neural.networks import Networks
from avatar.stages.generate.photo import load_photo

if TYPE_CHECKING:
    from engines.runner import Runner

_MOVES_BY_ITSELF = ("weight", "exaggerate", "max_turn", "lock_head", "drive", "play")


class PublishedEngine(Engine):
    """Draws with the networks of one family, by its name."""

    help = "runs published networks, see `avatar models`"
    sees_driver = True
    teaches = True
    extra = "openvino"

    def __init__(self, name: str) -> None:
        self.name = name

    @property
    def reasons(self) -> Mapping[str, str]:
        """See ``Engine``."""
        used = (
            Message("error.theStrengthAndRegions", "the strength and the regions")
            if self.uses("regions")
            else Message("error.theStrength", "the strength")
        )
        moves = Message(
            "error.whyMovement",
            "takes the movement from your picture itself and uses only {used}",
            used=used,
        )
        return {
            **dict.fromkeys(_MOVES_BY_ITSELF, moves),
            "background": Message(
                "error.whySquare",
                "animates a square of the whole picture and cannot cut you out of it",
            ),
            **self._family.reasons,
        }

    @property
    def slow_s(self) -> float | None:
        """See ``Engine``."""
        return self._family.cpu_frame_s

    @property
    def seen_shapes(self) -> Shapes | None:
        """See ``Engine``."""
        return self._family.seen_shapes

    @property
    def _family(self) -> Family:
        return make_family(self.name, Options())

    def check(self, options: Options) -> None:
        """See ``Engine``; other weights than people's need the head's place."""
        super().check(options)
        if options.variant and options.crop is None:
            raise UsageError(
                f"--variant {options.variant} needs --crop X,Y,SIZE: no human face is looked for, "
                "so say where the head is: left, top and side of a square in the photograph's "
                "pixels, twice as wide as the face"
            )

    def _open(self, options: Options, say: Say, home: Home, machine: Machine) -> OpenEngine:
        return OpenPublished(self, options, say, home, machine)


class OpenPublished(OpenEngine):
    """Makes generators that share one set of open networks.

    ``say`` is told which backend was chosen and why, and what is being built. Raises
    ``EngineError`` when the networks are not installed or no backend can run them.
    """

    def __init__(
        self, engine: PublishedEngine, options: Options, say: Say, home: Home, machine: Machine
    ) -> None:
        super().__init__(engine, home)
        self._options, self._family = options, make_family(engine.name, options)
        folder = model_folder(home.models, engine.name, options.variant)
        target = choose_target(options.backend, options.precision, options.device)
        say(str(target.choice))
        self.runs_on = target.choice.backend, target.precision
        self.frame_s = engine.slow_s if target.on_processor else None
        identity = f"{_weights(folder)} {target.words}"

        def open_shared(model: str) -> AbstractContextManager[Runner]:
            return machine.networks.use(
                (identity, model),
                lambda: open_model(model, folder, target, progress=SaidProgress(say), say=say),
            )

        self._networks = Networks(open_shared, identity)
        self._features = FeatureCache(home.features, say)

    def open_avatar(
        self, avatar: str | Path | UInt8Image, face_model: Path, say: Say, number: FaceChoice = 1
    ) -> AvatarPhoto:
        """See ``OpenEngine``; with ``--crop`` no face is looked for."""
        if self._options.crop is None:
            return super().open_avatar(avatar, face_model, say, number)
        return open_cropped(avatar, self._options.crop, self._home, say)

    def _make(
        self, avatar: AvatarPhoto, framing: Framing, size_px: tuple[int, int] | None
    ) -> NeuralGenerator:
        photo_px = avatar.photo.shape[1], avatar.photo.shape[0]
        if self._options.crop is not None:
            crop = manual_crop(self._options.crop, photo_px)
        else:
            found = face_crop(avatar.face, self._family.source_scale, self._family.source_shift)
            if found is None:
                raise PhotoError(f"the face found in {avatar.name} has no size. Give --crop")
            crop = found
        return NeuralGenerator(
            avatar.photo,
            avatar.face,
            framing,
            size_px,
            crop=crop,
            family=self._family,
            networks=self._networks,
            features=self._features,
            smoothing=self._options.smoothing,
            looked_for=self._options.crop is None,
        )

    def seen(self, generator: Generator) -> NetworkMotion | None:
        """See ``OpenEngine``."""
        return generator.seen if isinstance(generator, NeuralGenerator) else None


def open_cropped(avatar: str | Path | UInt8Image, crop: str, home: Home, say: Say) -> AvatarPhoto:
    """Load a photograph in which no face is looked for; ``crop`` says where the head is.

    Raises ``UsageError`` and ``PhotoError``.
    """
    if not isinstance(avatar, (str, Path)):
        return _cropped("picture", avatar, crop)
    found = resolve(avatar, AvatarStore(home.avatars), say)
    if not isinstance(found, StoredAvatar):
        return _cropped(found.stem, load_photo(found), crop)
    more = tuple((load_photo(each.photo), each.face) for each in found.more)
    return replace(_cropped(found.name, load_photo(found.photo), crop), more=more)


def _cropped(name: str, photo: UInt8Image, crop: str) -> AvatarPhoto:
    photo_px = photo.shape[1], photo.shape[0]
    face = stand_in_face(manual_crop(crop, photo_px), USUAL_SCALE, photo_px)
    return AvatarPhoto(name, photo, face)


def _weights(folder: Path) -> str:
    """Return the hashes of the installed checkpoints as one text."""
    record = read_record(folder)
    if record is None:
        raise EngineError(f"expected an installed model in {folder}, found none")
    return " ".join(sorted(file.sha256 for file in record.files))
