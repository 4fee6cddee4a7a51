"""Big networks as teachers: what draws the pictures that a small network learns from."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from pydantic import BaseModel

from avatar.core.errors import UsageError
from avatar.core.home import Home
from avatar.core.machine import Machine
from avatar.core.options import Options
from avatar.core.stages import Generator
from avatar.library.avatars import Sha256
from avatar.library.generators.card import TeacherCard
from avatar.library.models.catalog import find
from avatar.library.models.store import model_folder, read_record
from avatar.sessions.avatars import AvatarPhoto
from avatar.sessions.engines import ENGINES
from engines.backends import Precision

Say = Callable[[str], None]


class DrivingClip(BaseModel):
    """A driving clip and the moments of it that are drawn; indices into its frames.

    ``reference``: the face in it that stands for the photograph's.
    """

    clip: Path
    sha256: Sha256
    reference: int
    train: list[int]
    held_out: list[int]

    @property
    def moments(self) -> list[int]:
        """Return all of them, in time."""
        return sorted([*self.train, *self.held_out])


class Teaching(BaseModel):
    """All that decides what the teacher draws, so that it can be gone on with."""

    teacher: TeacherCard
    photo_sha256: Sha256
    lessons: list[DrivingClip]


class Teacher(Protocol):
    """A network that is too slow to be used live, and may be learnt from."""

    @property
    def card(self) -> TeacherCard:
        """Return what it is."""
        ...

    @property
    def frame_s(self) -> float | None:
        """Return about how many seconds a picture takes; None where that is no matter."""
        ...

    def artist(self, avatar: AvatarPhoto) -> AbstractContextManager[Generator]:
        """Return what draws the photograph, whole and in its own size, as a motion moves it.

        The motion is relative, with the driver's picture in its track. Raises ``PhotoError``;
        entering it raises ``EngineError``.
        """
        ...


class NeuralTeacher:
    """One of the published networks (``avatar models``) as a teacher.

    Raises ``UsageError`` for options that do not go together, ``EngineError`` when the networks
    are not installed or no backend can run them.
    """

    def __init__(self, engine: str, options: Options, home: Home, say: Say) -> None:
        if options.variant or options.crop:
            raise UsageError(
                "--teacher moves a human face, whose landmarks the small network learns from: "
                "leave out --variant and --crop"
            )
        self._engine = ENGINES[engine].open(
            replace(options, smoothing="off"), say, home, Machine.of_process()
        )
        assert self._engine.runs_on is not None, "engines that can teach have networks"
        self._card = _card_of(engine, options, home.models, *self._engine.runs_on)

    @property
    def card(self) -> TeacherCard:
        """See ``Teacher``."""
        return self._card

    @property
    def frame_s(self) -> float | None:
        """See ``Teacher``."""
        return self._engine.frame_s

    def artist(self, avatar: AvatarPhoto) -> AbstractContextManager[Generator]:
        """See ``Teacher``."""
        return self._engine.make(avatar, "photo", None)


def _card_of(
    engine: str, options: Options, models: Path, backend: str, precision: Precision
) -> TeacherCard:
    entry = find(engine)
    record = read_record(model_folder(models, engine))
    assert record is not None  # `model_folder` gives those of complete sets
    return TeacherCard(
        engine=engine,
        title=entry.title,
        weights_sha256={file.name: file.sha256 for file in record.files},
        licence=entry.licence.name,
        licence_url=entry.licence.url,
        backend=backend,
        precision=precision,
        stitching=options.stitching,
        retarget_eyes=options.retarget_eyes,
        retarget_lips=options.retarget_lips,
    )


TEACHERS: dict[str, Callable[[str, Options, Home, Say], Teacher]] = {
    name: NeuralTeacher for name, engine in ENGINES.items() if engine.teaches
}
"""What opens each teacher: called with its name, its options, the user's home, and where to tell
what it does."""


def open_teacher(engine: str, options: Options, home: Home, say: Say) -> Teacher:
    """Return the teacher called ``engine``, a key of ``TEACHERS``.

    Raises ``UsageError`` for another name and options that do not go together, ``EngineError`` when
    its networks are not installed or nothing can run them.
    """
    if engine not in TEACHERS:
        raise UsageError(f"--teacher: expected one of {', '.join(TEACHERS)}, found {engine!r}")
    return TEACHERS[engine](engine, options, home, say)


def open_again(card: TeacherCard, home: Home, say: Say) -> Teacher:
    """Return the teacher that ``card`` describes.

    Raises what ``open_teacher`` does, and ``UsageError`` when it would draw otherwise than before.
    """
    options = Options(
        stitching=card.stitching,
        retarget_eyes=card.retarget_eyes,
        retarget_lips=card.retarget_lips,
        backend=card.backend,
        precision=card.precision,
    )
    teacher = open_teacher(card.engine, options, home, say)
    if teacher.card != card:
        raise UsageError(
            f"the networks of {card.title} are not those that drew the earlier pictures, and one "
            "training takes one teacher. Install the same ones again, or start over with --force "
            "in place of --resume"
        )
    return teacher
