"""The recording that ``avatar train --record`` makes: its film, and what it has still to show.

It lies in a folder of the avatar's name in ``Home.recordings``, readable by its owner alone. While
it is made it is a film a sitting (``part-1.mp4``, …), which play however a sitting ends, and a
record of the steps that were seen. At the end the parts become ``film.mp4``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel

from avatar.core.errors import UsageError
from avatar.core.files import move, read_record, remove_folder, write_record
from avatar.core.home import Home
from avatar.learn.generator.camera_film import film_size, join_films

FILM = "film.mp4"
_RECORD = "recording.json"


class SelfRecordingRecord(BaseModel):
    """What a recording shows: the steps ``seen``.

    ``ended``: all were asked for, seen or not. ``used``: an avatar was trained from it.
    """

    schema_version: Literal[1] = 1
    seen: list[str] = []
    ended: bool = False
    used: bool = False


class SelfRecording:
    """The recording of the avatar ``name``. Nothing is made before ``begin``.

    Raises ``UsageError`` when its record cannot be read.
    """

    def __init__(self, home: Home, name: str) -> None:
        self.folder = home.recordings / name
        found = read_record(
            self.folder / _RECORD, SelfRecordingRecord, UsageError,
            f"To record again, delete the folder {self.folder}",
        )  # fmt: skip
        self._record = found or SelfRecordingRecord()

    @property
    def film(self) -> Path:
        """Return where the film lies once the recording has ended."""
        return self.folder / FILM

    @property
    def seen(self) -> frozenset[str]:
        """Return the steps that it shows."""
        return frozenset(self._record.seen)

    @property
    def begun(self) -> bool:
        """Return whether there is anything that can be gone on with."""
        return bool(self._parts())

    @property
    def used(self) -> bool:
        """Return whether an avatar was trained from it."""
        return self._record.used

    @property
    def ended(self) -> bool:
        """Return whether all was asked for, and the film is there."""
        return self._record.ended and self.film.is_file()

    def begin(self, size_px: tuple[int, int]) -> Path:
        """Return the film to write next, of pictures of ``size_px`` (width, height).

        Raises ``UsageError`` for another size than before, and when the folder cannot be made.
        """
        try:
            self.folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.folder.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise self._failed(error) from error
        before = [size for size in map(film_size, self._parts()) if size is not None]
        even = (size_px[0] & ~1, size_px[1] & ~1)
        if before and before[0] != even:
            raise UsageError(
                f"expected the camera at {before[0][0]}x{before[0][1]} as before, found "
                f"{even[0]}x{even[1]}: the recording in {self.folder} cannot go on with that. Take "
                "the same camera and --camera-size, or delete the folder to start over"
            )
        numbers = [int(part.stem.removeprefix("part-")) for part in self._numbered()]
        return self.folder / f"part-{max(numbers, default=0) + 1}.mp4"

    def note(self, seen: frozenset[str]) -> None:
        """Keep which steps were seen, beside those of before. Raises ``UsageError``."""
        self._keep(SelfRecordingRecord(seen=sorted(self.seen | seen)))

    def note_used(self) -> None:
        """Keep that an avatar was trained from it. Raises ``UsageError``."""
        self._keep(self._record.model_copy(update={"used": True}))

    def end(self) -> Path:
        """Make the film out of all parts and return it. Raises ``UsageError``."""
        parts = self._parts()
        whole = [part for part in parts if film_size(part) is not None]
        if not whole:
            raise UsageError(
                f"expected a recording in {self.folder}, found no picture that can be read. Delete "
                "the folder, and record again"
            )
        join_films(whole, self.film)
        try:
            self._keep(SelfRecordingRecord(seen=sorted(self.seen), ended=True))
            for part in self._numbered():
                part.unlink()
        except OSError as error:
            raise self._failed(error) from error
        return self.film

    def _parts(self) -> list[Path]:
        """Return all that was recorded, in time: the film of before, then what came after it."""
        return ([self.film] if self.film.is_file() else []) + self._numbered()

    def _numbered(self) -> list[Path]:
        parts = self.folder.glob("part-*.mp4")
        return sorted(
            (part for part in parts if part.stem.removeprefix("part-").isdecimal()),
            key=lambda part: int(part.stem.removeprefix("part-")),
        )

    def _keep(self, record: SelfRecordingRecord) -> None:
        try:
            write_record(self.folder / _RECORD, record)
        except OSError as error:
            raise self._failed(error) from error
        self._record = record

    def _failed(self, error: OSError) -> UsageError:
        return UsageError(
            f"{self.folder} cannot be written: {error.strerror or error}. Free some space or check "
            "the folder's permissions; what was recorded before is kept"
        )


def remove_recording(home: Home, name: str) -> Path | None:
    """Delete what was recorded for the avatar ``name``, broken or not.

    Returns the folder that is gone, None where there was none. Raises ``UsageError``.
    """
    folder = home.recordings / name
    if not folder.is_dir():
        return None
    try:
        remove_folder(folder)
    except OSError as error:
        raise UsageError(
            f"{folder} cannot be removed: {error.strerror or error}. Check the folder's permissions"
        ) from error
    return folder


def rename_recording(home: Home, name: str, new: str) -> None:
    """Have what was recorded for the avatar ``name`` be that of ``new``, if there is anything.

    Raises ``UsageError``.
    """
    folder = home.recordings / name
    if not folder.is_dir():
        return
    try:
        move(folder, home.recordings / new)
    except OSError as error:
        raise UsageError(
            f"{folder} cannot be renamed: {error.strerror or error}. Check the folder's permissions"
        ) from error
