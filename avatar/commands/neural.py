"""The neural engines put together: installed networks, a backend, caches, and the photograph."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from avatar.commands.avatars import AvatarPhoto, resolve
from avatar.commands.models.builds import choose_target, open_model
from avatar.commands.models.catalog import Precision
from avatar.commands.models.store import model_folder, read_record
from avatar.commands.store import StoredAvatar, default_store
from avatar.commands.wiring import check_single
from avatar.core.options import Options
from avatar.errors import EngineError, PhotoError, UsageError
from avatar.frames import UInt8Image
from avatar.generate.framing import Framing
from avatar.generate.neural.crop import face_crop, manual_crop, stand_in_face
from avatar.generate.neural.family import Family
from avatar.generate.neural.features import FeatureCache
from avatar.generate.neural.fomm import FirstOrder
from avatar.generate.neural.generator import NeuralGenerator
from avatar.generate.neural.liveportrait import LivePortrait
from avatar.generate.neural.networks import Networks
from avatar.generate.photo import load_photo
from avatar.motion.retarget import Smoothing

Say = Callable[[str], None]

FAMILIES: dict[str, Callable[[Options], Family]] = {
    "liveportrait": LivePortrait,
    "fomm": FirstOrder,
}
# Seconds a frame on two cores, fp32 (docs/performance.md).
_CPU_FRAME_S = {"liveportrait": 5.0, "fomm": 0.4}
_CPU_BACKENDS = ("openvino", "onnxruntime")


class NeuralEngine:
    """Makes generators that share one set of open networks.

    ``name``: a key of ``FAMILIES``. ``say`` is told which backend was chosen and why, and what
    is being built. Raises ``UsageError`` for options that do not go together, ``EngineError``
    when the networks are not installed or no backend can run them.
    """

    def __init__(self, name: str, options: Options, smoothing: Smoothing, say: Say) -> None:
        self.family = FAMILIES[name](options)
        self._options, self._smoothing = options, smoothing
        if options.variant and options.crop is None:
            raise UsageError(
                f"--variant {options.variant} needs --crop X,Y,SIZE: no human face is looked for, "
                "so say where the head is: left, top and side of a square in the photograph's "
                "pixels, twice as wide as the face"
            )
        folder = model_folder(name, options.variant)
        self._target = choose_target(options.backend, options.precision)
        say(str(self._target.choice))
        self._networks = Networks(
            lambda model: open_model(model, folder, self._target, progress=Progress(say), say=say),
            f"{_weights(folder)} {self._target.choice.backend} {self._target.precision}",
        )
        self._features = FeatureCache(feature_folder(), say)

    @property
    def runs_on(self) -> tuple[str, Precision]:
        """Return the backend and precision that were chosen."""
        return self._target.choice.backend, self._target.precision

    @property
    def cpu_frame_s(self) -> float | None:
        """Return the seconds that a frame takes on a usual CPU; None on a card."""
        on_cpu = self._target.choice.backend in _CPU_BACKENDS
        return _CPU_FRAME_S[self.family.name] if on_cpu else None

    def generator(
        self, avatar: AvatarPhoto, framing: Framing, size_px: tuple[int, int] | None
    ) -> NeuralGenerator:
        """Return the generator of one photograph. Raises ``UsageError`` and ``PhotoError``."""
        check_single(self.family.name, avatar)
        photo_px = avatar.photo.shape[1], avatar.photo.shape[0]
        if self._options.crop is not None:
            crop = manual_crop(self._options.crop, photo_px)
        else:
            found = face_crop(avatar.face, self.family.source_scale, self.family.source_shift)
            if found is None:
                raise PhotoError(f"the face found in {avatar.name} has no size. Give --crop")
            crop = found
        return NeuralGenerator(
            avatar.photo,
            avatar.face,
            framing,
            size_px,
            crop=crop,
            family=self.family,
            networks=self._networks,
            features=self._features,
            smoothing=self._smoothing,
            looked_for=self._options.crop is None,
        )


def open_cropped(avatar: str | Path | UInt8Image, crop: str, say: Say) -> AvatarPhoto:
    """Load a photograph in which no face is looked for; ``crop`` says where the head is.

    Raises ``UsageError`` and ``PhotoError``.
    """
    if isinstance(avatar, (str, Path)):
        found = resolve(avatar, default_store(), say)
        path = found.photo if isinstance(found, StoredAvatar) else found
        name = found.name if isinstance(found, StoredAvatar) else found.stem
        photo = load_photo(path)
        more = found.more if isinstance(found, StoredAvatar) else ()
    else:
        name, photo, more = "picture", avatar, ()
    photo_px = photo.shape[1], photo.shape[0]
    square = manual_crop(crop, photo_px)
    # As much of the square as a face takes of one that was found.
    face = stand_in_face(square, LivePortrait.source_scale, photo_px)
    return AvatarPhoto(name, photo, face, more=tuple((load_photo(p.photo), p.face) for p in more))


def feature_folder() -> Path:
    """Return where what is computed once of a photograph is kept."""
    from platformdirs import user_cache_path

    return user_cache_path("webcam-avatar") / "features"


def _weights(folder: Path) -> str:
    """Return the hashes of the installed checkpoints as one text."""
    record = read_record(folder)
    if record is None:
        raise EngineError(f"expected an installed model in {folder}, found none")
    return " ".join(sorted(file.sha256 for file in record.files))


class Progress:
    """Says how far a long piece of work has come, a quarter at a time."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._told: dict[str, int] = {}

    def __call__(self, what: str, share: float) -> None:
        """Take what is being done and the share of it that is done."""
        quarter = int(share * 4)
        if quarter > self._told.get(what, 0):
            self._told[what] = quarter
            self._say(f"{what}: {quarter * 25} %")
