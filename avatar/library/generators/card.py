"""Where a trained generator lies, and the card beside its weights that says what it is.

::

    STORE/NAME/avatar.json, photo-….png      the stored avatar: a frame of the clip
    STORE/NAME/neural/card.json              what ``Card`` says
    STORE/NAME/neural/weights.safetensors    the averaged weights that were kept, by held-out frames
    STORE/NAME/neural/fp32.onnx, …           the same, ready to run
    STORE/NAME/neural/references.npz         pictures of the person that the network is shown
    STORE/NAME/training/                     pairs, checkpoints and contact sheet; may be deleted
    STORE/NAME/training/teacher/             the pictures that a teacher drew
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import AwareDatetime, BaseModel, Field

from avatar.core.errors import EngineError, UsageError
from avatar.core.files import read_record
from avatar.library.avatars import Sha256
from engines.backends import Precision
from engines.training.pairs import RECORD as PAIRS_RECORD

CARD = "card.json"
WEIGHTS = "weights.safetensors"
REFERENCES = "references.npz"
PRECISIONS = ("fp32", "fp16", "int8")
SCHEMA_VERSION: Literal[1] = 1
Rights = Literal["self", "licensed"]
Size = Literal["regions", "head"]


class TrainingClip(BaseModel):
    """A clip that was learnt from: no name and no picture, which may say who it is."""

    sha256: Sha256
    seconds: float
    frames: int
    usable: int
    lost: int
    blurred: int
    covered: int


class TeacherCard(BaseModel):
    """A network that drew what was learnt, and how it was set: two that are equal draw alike.

    ``weights_sha256``: of its checkpoints, by their names. ``licence``: that of the weights.
    """

    engine: str
    title: str
    weights_sha256: dict[str, Sha256]
    licence: str
    licence_url: str
    backend: str
    precision: Precision
    stitching: bool = True
    retarget_eyes: bool = False
    retarget_lips: bool = False


class TrainingSource(BaseModel):
    """What was learnt from in place of a camera's pictures: those of ``teacher``, so many."""

    teacher: TeacherCard
    drawn: int
    usable: int
    lost: int
    blurred: int
    covered: int


class Card(BaseModel):
    """What ``card.json`` says.

    ``photo_sha256``: the avatar's photograph, which the weights belong to. ``held_out_error``: the
    best weights' loss on frames that were not learnt from; ``untrained_error``: the same of the
    portrait engine alone. ``taught``: by a teacher's pictures; ``recordings`` are then the clips
    that moved it, no pixel of which was learnt. ``metrics``: what ``--evaluate`` found. ``threads``
    are PyTorch's.
    """

    schema_version: Literal[1]
    size: Size
    rights: Rights
    photo_sha256: Sha256
    weights_sha256: Sha256
    data_sha256: Sha256
    base_sha256: Sha256 | None
    recordings: list[TrainingClip]
    trained_share: Annotated[float, Field(gt=0, le=1)]
    train_pairs: int
    held_out_pairs: int
    steps: int
    seconds: float
    device: str
    held_out_error: float
    untrained_error: float
    int8_error: float | None
    seed: int
    made: AwareDatetime
    program_version: str
    torch_version: str
    taught: TrainingSource | None = None
    metrics: dict[str, dict[str, float]] = {}


def neural_folder(avatar: Path) -> Path:
    """Return where the trained generator of the stored avatar in ``avatar`` lies."""
    return avatar / "neural"


def training_folder(avatar: Path) -> Path:
    """Return where a training of the stored avatar in ``avatar`` keeps what it needs to go on."""
    return avatar / "training"


def pairs_folder(avatar: Path) -> Path:
    """Return where its prepared pairs lie."""
    return training_folder(avatar) / "pairs"


def pictures_folder(avatar: Path) -> Path:
    """Return where the pictures that a teacher drew for it lie."""
    return training_folder(avatar) / "teacher"


def read_card(avatar: Path, photo_sha256: str) -> Card:
    """Return the card of the generator trained for the stored avatar in ``avatar``.

    Raises ``EngineError`` where there is none, it is broken or newer, or it belongs to another
    photograph.
    """
    path = neural_folder(avatar) / CARD
    again = f'avatar train --name "{avatar.name}" CLIP --rights self --force'
    card = read_record(path, Card, EngineError, f"Train again: {again}")
    if card is None:
        raise EngineError(_untrained(avatar))
    if card.photo_sha256 != photo_sha256:
        raise EngineError(
            f"the generator of {avatar.name} was trained for another photograph than the one that "
            f"is stored now. Train again: {again}"
        )
    return card


def _untrained(avatar: Path) -> str:
    begun = (training_folder(avatar) / PAIRS_RECORD, pairs_folder(avatar), pictures_folder(avatar))
    if any(path.exists() for path in begun):
        return (
            f"the training of {avatar.name} is not finished: avatar train --name "
            f'"{avatar.name}" --resume --rights self. Or take --engine portrait'
        )
    return (
        f"--engine neural needs a generator that was trained for {avatar.name}, found none. Train "
        "one from a clip of the person: avatar train --name NAME CLIP --rights self. Or take "
        "--engine portrait"
    )


def utc_now() -> datetime:
    """Return the time for a card."""
    from datetime import UTC

    return datetime.now(UTC).replace(microsecond=0)


def checked_rights(rights: str | None) -> Rights:
    """Return the statement of rights. Raises ``UsageError`` where there is none."""
    if rights not in get_args(Rights):
        raise UsageError(
            "avatar train needs --rights self (the clip shows you) or --rights licensed (whoever "
            "it shows has agreed to a generator that can put words into their mouth); found "
            f"{rights or 'neither'}"
        )
    return "self" if rights == "self" else "licensed"
