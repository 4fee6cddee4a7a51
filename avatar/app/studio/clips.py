"""The room *Clips*: photographs that move to a song, made aside while a call goes on."""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from avatar.app.studio.aside import Aside
from avatar.app.studio.gallery import Gallery
from avatar.core.choices import Corner
from avatar.core.clock import Clock
from avatar.core.errors import AvatarError, UsageError
from avatar.core.files import move
from avatar.core.home import Home
from avatar.core.messages import Message, words_of
from avatar.sessions.choreographies import ChoreographyStore
from avatar.sessions.clip_request import MOST_PHOTOS
from avatar.sessions.template_preview import preview_of
from avatar.stages.generate.photo import BUILTIN
from avatar.stages.music.tunes import SCORES
from avatar.stages.sinks.unfinished import is_unfinished, left_parts

KINDS = {".mp4": "video/mp4", ".gif": "image/gif", ".webp": "image/webp"}
"""What clips are written as, and what a browser calls that."""
# Songs are kept while the studio runs.
_MOST_SONGS = 8
_PASSED_ON = ("template", "bpm", "offset", "start", "end", "phase", "shape", "seed", "in_place")


class ClipRoom:
    """Makes clips for the pages, one at a time. Every method may be called from any thread.

    ``label``: what stands in the pictures, and where, at present. ``say``: told of finished clips.
    """

    def __init__(
        self, home: Home, gallery: Gallery, label: Callable[[], tuple[str, Corner]], clock: Clock,
        say: Callable[[str], None],
    ) -> None:  # fmt: skip
        self._home, self._gallery, self._label, self._clock = home, gallery, label, clock
        self._say = say
        self._store = ChoreographyStore(home)
        self._folder = home.films / "clips"
        self._kept = TemporaryDirectory(prefix="webcam-avatar-songs-")
        self._songs: OrderedDict[str, tuple[str, Path]] = OrderedDict()
        self._lock = threading.Lock()
        self._listening = threading.Lock()
        self._job: _Job | None = None
        self._showing: Aside | None = None
        self._closed = False

    # --- what the pages are told

    def describe(self) -> dict[str, Any]:
        """Return all that the room shows, ready for JSON but for its ``Message``s."""
        with self._lock:
            songs = [{"id": key, "name": name} for key, (name, _) in self._songs.items()]
        return {
            "templates": self._templates(),
            "tunes": list(SCORES),
            "songs": songs,
            "clips": self._clips(),
            "job": self.job(),
        }

    def job(self) -> dict[str, Any] | None:
        """Return how far the clip is that is being made, or the last one; None before the first."""
        with self._lock:
            job = self._job
        return job.describe(self._clock.now_ns()) if job is not None else None

    def _templates(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for name in self._store.names():
            try:
                one = self._store.load(name)
            except AvatarError as error:
                found.append({"name": name, "fault": words_of(error)})
                continue
            several = len(one.voices) > 1 or bool(one.canon)
            entry = {"name": name, "title": one.title, "about": one.about, "several": several}
            is_made = preview_of(name, self._home).is_made
            found.append(
                entry | {"own": self._store.is_own(name), "preview": is_made, "fault": None}
            )
        return found

    def _clips(self) -> list[dict[str, Any]]:
        """Return the finished clips, the newest first."""
        found = []
        with suppress(OSError):
            for path in self._folder.iterdir():
                if path.suffix in KINDS and not is_unfinished(path):
                    with suppress(OSError):
                        about = path.stat()
                        found.append((about.st_mtime_ns, path.name, about.st_size))
        return [{"name": name, "bytes": size} for _, name, size in sorted(found, reverse=True)]

    def film(self, name: str) -> tuple[Path, str]:
        """Return a finished clip's file and what a browser calls its kind."""
        if name not in {clip["name"] for clip in self._clips()}:
            raise UsageError(Message("error.clipGone", "the clip {name} is not there", name=name))
        path = self._folder / name
        return path, KINDS[path.suffix]

    def preview(self, name: str, kind: str) -> Path | None:
        """Return the file of a template's preview, ``png`` or ``mp4``; None until it is made."""
        if name not in self._store.names():
            raise UsageError(f"expected one of the templates shown, found {name!r}")
        preview = preview_of(name, self._home)
        path = preview.film if kind == "mp4" else preview.sheet
        return path if preview.is_made else None

    def make_previews(self) -> None:
        """Have the previews made that are not there yet, and return at once."""
        missing = [
            entry["name"]
            for entry in self._templates()
            if not entry["fault"] and not entry["preview"]
        ]
        with self._lock:
            if not missing or self._showing is not None or self._closed:
                return
            self._showing = aside = Aside("previews", self._home, templates=missing)

        def wait() -> None:
            with suppress(AvatarError):  # a template without a preview is shown by its words
                aside.wait()
            with self._lock:
                self._showing = None

        threading.Thread(target=wait, name="previews", daemon=True).start()

    # --- songs

    def add_song(self, file: Path, name: str) -> str:
        """Keep an uploaded song until the program ends; return what to call it by.

        What is in it is looked at aside, by ``beats``.
        """
        with self._lock:
            number = 1 + max((int(key.partition(":")[2]) for key in self._songs), default=0)
            key, kept = f"song:{number}", Path(self._kept.name) / f"song-{number}"
            move(file, kept)
            self._songs[key] = (name or kept.name, kept)
            while len(self._songs) > _MOST_SONGS:
                _, (_, old) = self._songs.popitem(last=False)
                old.unlink(missing_ok=True)
        return key

    def beats(self, values: dict[str, Any]) -> dict[str, Any]:
        """Return a song as it is drawn, see ``SongPicture``. Raises ``AvatarError``."""
        names, request = self._request(values, [BUILTIN])
        with self._listening:
            return Aside("beats", self._home, names=names, request=request).wait()

    # --- making one

    def make(self, values: dict[str, Any]) -> None:
        """Begin a clip and return at once; ``describe`` says how it goes.

        ``values``: ``photos`` (avatars' names), ``music``, ``kind`` (mp4, gif, webp), ``grid``, and
        options of ``avatar clip`` by name. Raises ``UsageError`` while another one is being made.
        """
        suffix = f".{values.get('kind', 'mp4')}"
        if suffix not in KINDS:
            raise UsageError(f"expected one of {', '.join(KINDS)}, found {suffix!r}")
        photos = values.get("photos")
        if not isinstance(photos, list) or not photos or len(photos) > MOST_PHOTOS:
            raise UsageError(
                Message(
                    "error.clipPhotos",
                    "expected one to {most} photographs: choose some",
                    most=MOST_PHOTOS,
                )
            )
        names, request = self._request(values, [str(photo) for photo in photos])
        with self._lock:
            if self._closed:
                return
            if self._job is not None and self._job.is_running:
                raise UsageError(
                    Message(
                        "error.clipBusy",
                        "a clip is being made: wait for it, or cancel it",
                    )
                )
            out = self._free(str(request.get("template", "clip")), suffix)
            self._job = _Job(out, self._home, names, request | {"out": str(out)}, self._clock)
            threading.Thread(
                target=self._job.run, args=(self._say,), name="clip", daemon=True
            ).start()

    def cancel(self) -> None:
        """Stop the clip that is being made; nothing of it is kept."""
        with self._lock:
            job = self._job
        if job is not None:
            job.stop()

    def delete(self, name: str) -> None:
        """Delete a finished clip."""
        path, _ = self.film(name)
        path.unlink(missing_ok=True)

    def close(self) -> None:
        """End what is under way, and forget the songs."""
        with self._lock:
            self._closed = True
            job, showing = self._job, self._showing
        for running in (job, showing):
            if running is not None:
                running.stop()
        if job is not None:
            job.ended.wait(10.0)
        self._kept.cleanup()

    def _free(self, template: str, suffix: str) -> Path:
        """Return a name that no clip has: nothing is replaced."""
        stem = re.sub(r"[^\w-]+", "-", Path(template).stem) or "clip"
        taken = {clip["name"] for clip in self._clips()}
        number = 1
        while f"{stem}-{number}{suffix}" in taken:
            number += 1
        self._folder.mkdir(parents=True, exist_ok=True)
        return self._folder / f"{stem}-{number}{suffix}"

    def _request(
        self, values: dict[str, Any], photos: list[str]
    ) -> tuple[dict[str, str], dict[str, Any]]:
        """Return what files are called, and the request for the process aside.

        A page opens no files: templates, songs and photographs are among those shown.
        """
        names: dict[str, str] = {}
        request = {name: values[name] for name in _PASSED_ON if values.get(name) is not None}
        if str(request.get("template")) not in self._store.names():
            raise UsageError(f"expected one of the templates shown, found {values.get('template')}")
        music = values.get("music")
        if isinstance(music, str) and music in self._songs:
            name, path = self._songs[music]
            names[str(path)], request["music"] = name, str(path)
        elif music in SCORES:
            request["music"] = music
        else:
            raise UsageError(Message("error.songGone", "that song is no longer kept: add it again"))
        for photo in photos:
            self._gallery.check_known(photo)
        if request.get("in_place"):
            # A stored avatar is one face of its photograph: here all of them move.
            paths = [str(self._gallery.photo(photo)) for photo in photos]
            names |= dict(zip(paths, photos, strict=True))
            photos = paths
        elif values.get("grid"):
            request["grid"] = str(values["grid"])
        request["photos"] = photos
        request["label_text"], request["label_corner"] = self._label()
        return names, request


class _Job:
    """A clip that is being made, or the last one that was."""

    def __init__(
        self, out: Path, home: Home, names: dict[str, str], request: dict[str, Any], clock: Clock
    ) -> None:
        self._out, self._clock = out, clock
        self._done, self._total = 0, 0
        # When the first picture was done: before it faces are looked for, which says nothing.
        self._begun_ns = 0
        self._problem = ""
        self._state = "running"
        self.ended = threading.Event()
        self._aside = Aside("clip", home, names=names, hear=self._hear, request=request)

    @property
    def is_running(self) -> bool:
        return not self.ended.is_set()

    def _hear(self, told: dict[str, Any]) -> None:
        if "progress" in told:
            self._begun_ns = self._begun_ns or self._clock.now_ns()
            self._done, self._total = told["progress"]

    def run(self, say: Callable[[str], None]) -> None:
        """Wait for its end; in a thread of its own."""
        try:
            whole = self._aside.wait().get("whole")
            self._state = "done" if whole else "cancelled"
            if whole:
                say(Message("said.clipMade", "the clip {name} is finished", name=self._out.name))
        except AvatarError as error:
            self._problem, self._state = words_of(error), "failed"
        finally:
            if self._state != "done":
                own = f"{self._out.stem}.part"
                parts = [part for part in left_parts(self._out) if part.stem.startswith(own)]
                for left in (*parts, self._out):
                    with suppress(OSError):
                        left.unlink(missing_ok=True)
            self.ended.set()

    def stop(self) -> None:
        """See ``Aside.stop``; one that has ended stays as it is."""
        if self.is_running:
            self._state = "stopping"
            self._aside.stop()

    def describe(self, now_ns: int) -> dict[str, Any]:
        """Return how far it is, 0 to 1, and how long it will still take, seconds."""
        left_s = None
        if self._begun_ns and self._done > 1 and self._done < self._total:
            each_s = (now_ns - self._begun_ns) / 1e9 / (self._done - 1)
            left_s = round((self._total - self._done) * each_s, 1)
        return {
            "state": self._state,
            "name": self._out.name,
            "share": self._done / self._total if self._total else 0.0,
            "left_s": left_s,
            "problem": self._problem,
        }
