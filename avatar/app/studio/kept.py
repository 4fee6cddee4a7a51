"""What was chosen on the page, kept for the next start.

Only what somebody chose stands in it; everything else is as the program was started. The address of
a stream has its key in it, and is not kept.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, JsonValue

from avatar import __version__
from avatar.app.studio.options import changed
from avatar.core.errors import AvatarError, UsageError
from avatar.core.files import private_folder, read_record, write_record
from avatar.core.messages import Message
from avatar.core.options import Options

Say = Callable[[str], None]


class ChoicesRecord(BaseModel):
    """What ``choices.json`` says: by name, None where nothing was chosen."""

    schema_version: Literal[1] = 1
    program_version: str = __version__
    avatar: str | None = None
    camera: str | None = None
    options: dict[str, JsonValue] = {}
    outputs: list[str] = []


class KeptChoices:
    """The choices in the file at ``path``. ``say`` is told where it cannot be read or written.

    ``given``: the options that the program was started with; those are stronger.
    """

    def __init__(self, path: Path, say: Say, given: Collection[str] = ()) -> None:
        self._path, self._say, self._given = path, say, given
        self._record = self._read()

    def _read(self) -> ChoicesRecord:
        remedy = "Delete it, and choose again on the page"
        try:
            return read_record(self._path, ChoicesRecord, UsageError, remedy) or ChoicesRecord()
        except UsageError as error:
            self._say(str(error))
            return ChoicesRecord()

    @property
    def is_empty(self) -> bool:
        """Return whether nothing was chosen."""
        return self._record == ChoicesRecord()

    @property
    def outputs(self) -> list[str]:
        """Return the outputs that were switched on."""
        return list(self._record.outputs)

    def camera(self, started_with: str) -> str:
        """Return the camera that was chosen, else the one that the program was started with."""
        chosen = None if "camera" in self._given else self._record.camera
        return chosen if chosen is not None else started_with

    def applied(
        self, config: Options, is_known: Callable[[str], bool], profiles: Collection[str]
    ) -> Options:
        """Return ``config`` with the choices that still hold; what does not is said.

        ``is_known``: whether there is an avatar of that name. ``profiles``: those that there are.
        """
        avatar = self._record.avatar
        if avatar is not None and "avatar" not in self._given:
            if is_known(avatar):
                config = replace(config, avatar=(avatar,))
            else:
                self._say(
                    Message(
                        "said.keptAvatarGone",
                        "the avatar {name} of last time is no longer there",
                        name=avatar,
                    )
                )
        return self._with_options(config, profiles)

    def _with_options(self, config: Options, profiles: Collection[str]) -> Options:
        wanted = {
            name: value
            for name, value in self._record.options.items()
            if name.partition(".")[0] not in self._given
        }
        if wanted.get("profile") not in (None, *profiles):
            self._gone("profile")
            del wanted["profile"]
        try:
            return changed(config, wanted)
        except AvatarError:  # one of them does not hold any more: the others do
            for name, value in wanted.items():
                config = self._with_one(config, name, value)
            return config

    def _with_one(self, config: Options, name: str, value: JsonValue) -> Options:
        try:
            return changed(config, {name: value})
        except AvatarError:
            self._gone(name)
            return config

    def _gone(self, name: str) -> None:
        self._say(
            Message(
                "said.keptOptionGone",
                "{name}, chosen last time, cannot be had any more, and is as at the start",
                name=name,
            )
        )

    def keep(self, **chosen: Any) -> None:
        """Keep what was chosen; ``options`` are added to those of before."""
        options = self._record.options | chosen.pop("options", {})
        self._write(self._record.model_copy(update=chosen | {"options": options}))

    def forget(self) -> None:
        """Forget all choices."""
        self._write(ChoicesRecord())

    def _write(self, record: ChoicesRecord) -> None:
        if record == self._record:
            return
        self._record = record
        try:
            private_folder(self._path.parent)
            write_record(self._path, record)
        except OSError as error:
            self._say(
                Message(
                    "said.choicesNotKept",
                    "your choices hold until the end and cannot be kept in {file}: {why}",
                    file=str(self._path), why=error.strerror or str(error),
                )
            )  # fmt: skip
