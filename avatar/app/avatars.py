"""``avatar avatars``: adding, listing, showing and removing stored avatars."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

from avatar import __version__
from avatar.core.clock import MonotonicClock
from avatar.core.errors import EngineError, SinkError, UsageError
from avatar.core.face.bounds import face_box, face_px
from avatar.core.face.head import head_turn_deg
from avatar.core.files import expanded, kind_of
from avatar.core.frames import BLENDSHAPE_NAMES, GeneratedFrame, LabelledFrame, Presence
from avatar.core.home import Home
from avatar.core.messages import Message
from avatar.core.outputs import check_output, whole_output
from avatar.core.tables import print_table
from avatar.core.terminal import say
from avatar.library.avatars import AvatarStore, StoredAvatar, name_of_file
from avatar.library.face_model import find_face_model
from avatar.library.generators.card import CARD, neural_folder, read_card
from avatar.sessions.avatars import check_count, choose_face, photos_in, say_together
from avatar.sessions.upright import AvatarPhoto, upright
from avatar.stages.generate.framing import View, make_canvas
from avatar.stages.generate.matte_cache import MatteCache
from avatar.stages.generate.photo import load_photo
from avatar.stages.generate.private_copy import private_copy
from avatar.stages.label import aigc_metadata, create_labeller
from avatar.stages.track.choice import detect_faces
from avatar.stages.track.turned import quarters, turned_face

PREVIEW_SIZE_PX = (720, 720)
TURNED_DEG = 20.0
_SHOWN_BLENDSHAPES = 5


def add(
    photo: Path,
    *more: Path,
    name: str | None = None,
    face: int = 1,
    force: bool = False,
    face_model: Path | None = None,
    home: Home,
) -> int:
    """Find the face in ``photo`` and store both as an avatar; return the exit status.

    As ``add_photo``; the terminal is told.
    """
    stored = add_photo(
        photo, *more, name=name, face=face, force=force, face_model=face_model, home=home, say=say
    )
    say(f"use it: avatar run --avatar {_quoted(stored.name)}")
    return 0


def add_photo(
    photo: Path,
    *more: Path,
    name: str | None = None,
    face: int = 1,
    force: bool = False,
    face_model: Path | None = None,
    home: Home,
    say: Callable[[str], None],
) -> StoredAvatar:
    """Find the face in ``photo`` and store both as an avatar: the picture, not what else it says.

    ``more``: further photographs of the same person; a folder stands for those in it. ``name``:
    None takes the file's or folder's. ``face``: 1 is the largest. ``force``: replace an avatar of
    the same name. ``say`` is told what was found. Raises ``UsageError`` and ``PhotoError``.
    """
    clock = MonotonicClock()
    start_ns = clock.now_ns()
    store = AvatarStore(home.avatars)
    given = expanded(photo)
    photo, *further = _all_photos([photo, *more], face)
    picture = load_photo(photo)
    # Before the slow part: a name that is taken is told at once.
    name = store.check_free(name if name is not None else name_of_file(given), replace=force)
    model = find_face_model(face_model, home)
    faces = detect_faces(picture, model)
    chosen = choose_face(photo.name, faces, say, face)
    others = [
        (path, choose_face(path.name, detect_faces(load_photo(path), model), say))
        for path in further
    ]
    replaced = store.find(name) is not None
    with ExitStack() as copies:
        bare = copies.enter_context(private_copy(photo))
        others = [(copies.enter_context(private_copy(path)), found) for path, found in others]
        stored = store.add(
            name, bare, chosen,
            face_number=face, face_count=len(faces), more=others, replace=force,
        )  # fmt: skip
    took_s = (clock.now_ns() - start_ns) / 1e9
    say(_added(stored, replaced, f"{took_s:.1f}"))
    if others:
        names = [photo.name, *(path.name for path in further)]
        say_together(names, [chosen, *(other for _, other in others)], say)
    yaw_deg = head_turn_deg(turned_face(chosen, -quarters(chosen.landmarks_px)))[0]
    if abs(yaw_deg) > TURNED_DEG:
        say(
            Message(
                "said.turned",
                "the head is turned {degrees}° to the picture's {side}: head turns will be "
                "limited. A photograph from the front moves best.",
                degrees=round(abs(yaw_deg)),
                side=Message("said.right", "right")
                if yaw_deg > 0
                else Message("said.left", "left"),
            )
        )
    twins = store.twins(stored)
    if twins:
        say(
            Message(
                "said.twins",
                "the same photograph is stored as {names}, too",
                names=", ".join(twins),
            )
        )
    return stored


def _added(stored: StoredAvatar, replaced: bool, seconds: str) -> Message:
    found = {"name": stored.name, "seconds": seconds, "found": _found(stored)}
    if replaced:
        return Message("said.avatarReplaced", "replaced {name} in {seconds} s: {found}", **found)
    return Message("said.avatarAdded", "added {name} in {seconds} s: {found}", **found)


def _all_photos(given: list[Path], face: int) -> list[Path]:
    """Return the photographs that were named or lie in named folders. Raises ``UsageError``."""
    photos: list[Path] = []
    for path in (expanded(path) for path in given):
        photos += photos_in(path) if kind_of(path) == "folder" else [path]
    check_count(photos)
    if len(photos) > 1 and face != 1:
        raise UsageError(
            f"--face {face}: of several photographs the largest face of each is taken. Cut the "
            "photographs closer, or add one of them."
        )
    return photos


def _found(stored: StoredAvatar) -> Message:
    width, height = stored.face.image_size_px
    return Message(
        "said.faceFound",
        "a face of {size} pixels in a picture of {width}×{height}",
        size=round(face_px(stored.face)), width=width, height=height,
    )  # fmt: skip


def _quoted(name: str) -> str:
    return f'"{name}"' if " " in name else name


def list_avatars(home: Home) -> int:
    """Print the stored avatars as a table, or how to add one; return the exit status."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    store = AvatarStore(home.avatars)
    names = store.names()
    if not names:
        say(f"no avatars in {store.root} yet: avatar avatars add PHOTO [--name NAME]")
        return 0
    table = Table("name", "size", "face px", "photos", "added")
    faults = []
    for name in names:
        try:
            stored = store.read(name)
        except UsageError as error:
            faults.append(str(error))
            table.add_row(Text(name), Text("not readable", "bold red"))
            continue
        width, height = stored.face.image_size_px
        table.add_row(
            Text(name),
            f"{width}×{height}",
            f"{face_px(stored.face):.0f}",
            f"{1 + len(stored.more)}",
            f"{stored.added.astimezone():%Y-%m-%d %H:%M}",
        )
    print_table(table, Console(highlight=False))
    for fault in faults:
        say(fault)
    return 0


def show(
    name: str,
    *,
    preview: Path | None = None,
    force: bool = False,
    home: Home,
) -> int:
    """Print what is stored of an avatar; return the exit status.

    ``preview``: a PNG to write, the labelled portrait framing; ``force`` replaces one that is
    there. Raises ``UsageError``, ``PhotoError`` and ``SinkError``.
    """
    from rich.console import Console
    from rich.text import Text

    store = AvatarStore(home.avatars)
    stored = store.load(name)
    if preview is not None:
        _check_preview(preview, force)
    console = Console(highlight=False)
    for what, value in _numbers(stored):
        console.print(Text(f"{what:<12}{value}"), soft_wrap=True)
    if preview is not None:
        write_preview(stored, preview)
        say(f"{preview} shows it as a portrait")
    return 0


def _numbers(stored: StoredAvatar) -> list[tuple[str, str]]:
    """Return what ``show`` prints, line by line."""
    face = stored.face
    width, height = face.image_size_px
    left, top, right, bottom = face_box(face)
    yaw, pitch, roll = head_turn_deg(face)
    order = face.blendshapes.argsort()[::-1][:_SHOWN_BLENDSHAPES]
    expression = ", ".join(f"{BLENDSHAPE_NAMES[i]} {face.blendshapes[i]:.2f}" for i in order)
    return [
        ("name", stored.name),
        ("photograph", f"{stored.photo}, {width}×{height}"),
        ("SHA-256", stored.sha256),
        *((f"photo {k}", str(more.photo)) for k, more in enumerate(stored.more, 2)),
        ("face", f"{stored.face_number} of {stored.face_count}, {face_px(face):.0f} pixels, at "
                 f"x {left:.0f}–{right:.0f}, y {top:.0f}–{bottom:.0f}"),
        ("turned", f"yaw {yaw:+.0f}° (+ is right), pitch {pitch:+.0f}° (+ is up), "
                   f"roll {roll:+.0f}° (+ is to the left)"),
        ("expression", expression),
        ("added", f"{stored.added.astimezone():%Y-%m-%d %H:%M:%S}, "
                  f"by webcam-avatar {stored.program_version}"),
        *_generator(stored),
    ]  # fmt: skip


def _generator(stored: StoredAvatar) -> list[tuple[str, str]]:
    """Return the line about a generator that ``avatar train`` made; none where there is none."""
    try:
        card = read_card(stored.folder, stored.sha256)
    except EngineError as error:
        # Most avatars have none; one that cannot be used is worth a line.
        known = (neural_folder(stored.folder) / CARD).exists()
        return [("generator", f"not usable: {error}")] if known else []
    return [
        ("generator", f"{card.size}, {card.steps} steps, {card.made.astimezone():%Y-%m-%d %H:%M}; "
                      f"rights: {card.rights}"),
    ]  # fmt: skip


def _check_preview(path: Path, force: bool) -> None:
    if path.suffix.lower() != ".png":
        raise UsageError(f"--preview: expected the name of a .png file, found {path}")
    check_output(path, "--preview", force=force)


def write_preview(stored: StoredAvatar, path: Path) -> None:
    """Write the avatar's portrait framing as a labelled PNG. Raises ``SinkError``."""
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    tags = PngInfo()
    for key, value in aigc_metadata(f"webcam-avatar {__version__}", uuid4().hex).items():
        tags.add_itxt(key, value)
    frame = _portrait(stored)
    try:
        with whole_output(path) as part:
            Image.fromarray(frame.image).save(part, "PNG", pnginfo=tags)
    except OSError as error:
        raise SinkError(f"{path} cannot be written: {error.strerror or error}") from error


def _portrait(stored: StoredAvatar) -> LabelledFrame:
    photo = upright(AvatarPhoto(stored.name, load_photo(stored.photo), stored.face), say)
    canvas = make_canvas(photo.photo, photo.face, "portrait", PREVIEW_SIZE_PX, View())
    labeller = create_labeller(size_px=PREVIEW_SIZE_PX, avatar=stored.name)
    return labeller.label(GeneratedFrame(canvas.image, 0, 0, Presence.IDLE))


def remove(name: str, home: Home) -> int:
    """Delete a stored avatar and say what is gone; return the exit status."""
    folder, film = remove_stored(name, home)
    say(f"removed {folder.name}: {folder} with its copy of the photograph")
    if film is not None:
        say(f"removed what was recorded for it: {film}")
    return 0


def rename_stored(name: str, new: str, home: Home) -> str:
    """Call a stored avatar by another name, with what was recorded for it; return the name.

    Raises ``UsageError``.
    """
    from avatar.learn.generator.self_recording import rename_recording

    store = AvatarStore(home.avatars)
    new = store.rename(name, new)
    rename_recording(home, name, new)
    return new


class AvatarAside:
    """A stored avatar that was taken out of the store: it is put back, or deleted for good.

    Raises ``UsageError`` where there is none.
    """

    def __init__(self, name: str, home: Home) -> None:
        self._store, self._home = AvatarStore(home.avatars), home
        self._photos = _photos_of(name, self._store)
        self._aside = self._store.set_aside(name)

    @property
    def name(self) -> str:
        """Return what it was called."""
        return self._aside.name

    def put_back(self) -> str:
        """Put it back where it was; return its name. Raises ``UsageError``."""
        return self._store.put_back(self._aside)

    def delete(self) -> Path | None:
        """Delete it with its outlines, and what its person recorded of themselves for it.

        Returns the folder of such a recording. Raises ``UsageError``.
        """
        from avatar.learn.generator.self_recording import remove_recording

        self._store.delete(self._aside)
        left = {sha256 for name in self._store.names() for sha256 in _photos_of(name, self._store)}
        for sha256 in self._photos:
            if sha256 not in left:
                MatteCache(self._home.mattes).of(sha256).forget()
        if self._store.find(self.name) is not None:  # of another one, who has the name now
            return None
        return remove_recording(self._home, self.name)


def remove_stored(name: str, home: Home) -> tuple[Path, Path | None]:
    """Delete a stored avatar with its outlines, and what its person recorded of themselves for it.

    Returns the folders that are gone. Raises ``UsageError``.
    """
    aside = AvatarAside(name, home)
    return home.avatars / aside.name, aside.delete()


def _photos_of(name: str, store: AvatarStore) -> list[str]:
    """Return the hashes of an avatar's photographs; none where its record is broken."""
    try:
        return [sha256 for _, sha256 in store.read(name).photos]
    except UsageError:  # broken ones can be removed, too
        return []
