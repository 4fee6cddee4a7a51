"""``avatar swap``: a photograph's face on a person of a film, frame by frame, with the sound."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

import numpy as np

from avatar import __version__
from avatar.core.counting import counted
from avatar.core.errors import SourceError, UsageError
from avatar.core.files import expanded, file_sha256
from avatar.core.frames import CameraFrame, GeneratedFrame, LabelledFrame, Presence, UInt8Image
from avatar.core.home import Home
from avatar.core.machine import ended_by_signals
from avatar.core.outputs import check_output, same_file, write_json, write_output
from avatar.library.face_model import find_face_model
from avatar.sessions.avatars import AvatarPhoto, open_one
from avatar.sessions.clip_motions import clip_sound, clip_timing, frames_of, made_ahead, open_clip
from avatar.sessions.film import INTERRUPTED, Slots, film_progress, planned_frames
from avatar.sessions.protection import refuse_protected
from avatar.sessions.swap_people import FilmPeople, find_people
from avatar.sessions.swap_plan import SwapPlan
from avatar.sessions.swap_request import SwapRequest
from avatar.stages.generate.swap.layout import FaceSheet
from avatar.stages.generate.swap.photograph import NewFace
from avatar.stages.label import VisibleLabel, swap_metadata
from avatar.stages.sinks.mp4 import MP4, Mp4Writer, check_film
from avatar.stages.sources.timing import FilmTiming
from avatar.stages.track.networks import FaceNetworks

Say = Callable[[str], None]
_PRODUCER = f"webcam-avatar {__version__}"
_RECORD_SUFFIX, _SHEET_SUFFIX = ".swap.json", ".people.png"
_BLUR_CELLS = 12


class _StopError(Exception):
    """The user stopped before there was anything to write."""


def make_swap(request: SwapRequest, home: Home, say: Say) -> int:
    """Do what ``request`` asks; return the exit status.

    ``say`` is told who was found and what was written. Raises ``UsageError``, ``PhotoError`` and
    the errors of the stages.
    """
    assert request.film is not None
    film = expanded(request.film)
    if request.list:
        return _list_people(request, film, home, say)
    assert request.out is not None
    out = expanded(request.out)
    _check(request, film, out)
    label = VisibleLabel(request.label_text, request.label_corner)
    stop = threading.Event()
    with ExitStack() as stages:
        stages.enter_context(ended_by_signals(stop.set))
        model = find_face_model(request.face_model, home)
        networks = stages.enter_context(FaceNetworks(model))
        layout = FaceSheet(networks.canonical.points)
        photos = _photos(request, model, home, say)
        for photo in photos.values():
            refuse_protected(photo, layout, home)
        timing = clip_timing(film, None, request.seconds)
        size_px = _size_px(film)
        label.prepare(size_px)
        try:
            people = _people(film, timing, networks, layout, request.seconds, stop)
        except _StopError:
            say("stopped by you before anything was written")
            return INTERRUPTED
        chosen = _chosen(request, people, film)
        _say_people(people, chosen, say)
        faces = {name: NewFace(p.photo, p.face, layout) for name, p in photos.items()}
        plan = SwapPlan(
            people, {person: faces[name] for person, name in chosen.items()}, layout,
            request.kept, request.strength,
        )  # fmt: skip
        record = _record(request, film, photos)
        writer = _writer(request, film, out, size_px, timing, record, say)
        stages.enter_context(writer)
        slots = _write(request, film, SwapPainter(plan, request, label), writer, timing, stop)
        if stop.is_set():
            writer.close(cut=True)
    _report(writer, slots, timing, record, say)
    if stop.is_set():
        say(f"stopped by you: {writer.path} plays up to there")
        return INTERRUPTED
    return 0


def _check(request: SwapRequest, film: Path, out: Path) -> None:
    """Raise ``UsageError`` for what would destroy a file."""
    named = [request.face] if request.face else list(request.faces.values())
    for other in (film, *map(expanded, named)):
        if same_file(out, other):
            raise UsageError(f"--out and {other} are the same file: name another --out")
    check_film(out, overwrite=request.force, suffix=MP4.suffix)
    check_output(_record_of(out), "the record of --out", force=request.force)


def _record_of(film: Path) -> Path:
    """Return where it stands what a film was made of, and by what right: beside it."""
    return film.with_name(film.name + _RECORD_SUFFIX)


def _photos(request: SwapRequest, model: Path, home: Home, say: Say) -> dict[str, AvatarPhoto]:
    """Return the photographs that were named, by their names."""
    names = {request.face} if request.face else set(request.faces.values())
    return {name: open_one(name, model, home, say) for name in sorted(n for n in names if n)}


def _people(
    film: Path, timing: FilmTiming, networks: FaceNetworks, layout: FaceSheet,
    seconds: float | None, stop: threading.Event,
) -> FilmPeople:  # fmt: skip
    with (
        film_progress(planned_frames(timing, seconds)) as step,
        closing(made_ahead(_film(film, seconds))) as frames,
    ):
        people = find_people(_until(frames, stop), networks, layout, step)
    if stop.is_set():
        raise _StopError
    if not people.stays:
        raise SourceError(
            f"expected a face in {film}, found none in its {counted(people.frames, 'frame')}. "
            "Name a film in which somebody looks about into the camera, the face 50 pixels high "
            "or more."
        )
    return people


def _until(frames: Iterator[CameraFrame], stop: threading.Event) -> Iterator[CameraFrame]:
    for frame in frames:
        if stop.is_set():
            return
        yield frame


def _film(film: Path, seconds: float | None) -> Generator[CameraFrame, None, None]:
    """Yield the film's frames, of an even size, as films of H.264 are."""
    with open_clip(film) as source:
        for frame in frames_of(source, seconds):
            height, width = (size // 2 * 2 for size in frame.image.shape[:2])
            even = np.ascontiguousarray(frame.image[:height, :width])
            yield CameraFrame(even, frame.timestamp_ns, frame.index)


def _size_px(film: Path) -> tuple[int, int]:
    """Return the (width, height) of the film's first frame, and so of the new film."""
    with closing(_film(film, None)) as frames:
        height, width = next(frames).image.shape[:2]
    return width, height


def _chosen(request: SwapRequest, people: FilmPeople, film: Path) -> dict[int, str]:
    """Return the name of each person's new face. Raises ``UsageError`` for who is not there."""
    if request.face is None:
        chosen = request.faces
    else:
        chosen = dict.fromkeys(request.persons or people.persons, request.face)
    for person in chosen:
        if person not in people.persons:
            raise UsageError(
                f"expected one of the {counted(len(people.persons), 'person')} of {film}, found "
                f"person {person}; `avatar swap --list --film {film}` shows who is there"
            )
    return chosen


def _say_people(people: FilmPeople, chosen: dict[int, str], say: Say) -> None:
    shots = counted(len(people.shots), "shot")
    say(f"{counted(len(people.persons), 'person')} in {shots}")
    for person, face in chosen.items():
        frames = sum(len(stay.landmarks) for stay in people.of(person))
        say(f"person {person}, seen in {counted(frames, 'frame')}, gets the face of {face}")


def _record(request: SwapRequest, film: Path, photos: dict[str, AvatarPhoto]) -> dict[str, Any]:
    """Return what stands beside the film: what it was made of, and by what right."""
    return {
        "made_by": _PRODUCER,
        "id": uuid4().hex,
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "generated": "a face in this film was replaced",
        "film": {
            "name": film.name, "sha256": file_sha256(film), "right": request.right_of_film,
        },
        "faces": [
            {
                "name": photo.name,
                "sha256": hashlib.sha256(np.ascontiguousarray(photo.photo).data).hexdigest(),
                "right": request.right_of_face,
            }
            for photo in photos.values()
        ],
    }  # fmt: skip


def _writer(
    request: SwapRequest, film: Path, out: Path, size_px: tuple[int, int], timing: FilmTiming,
    record: dict[str, Any], say: Say,
) -> Mp4Writer:  # fmt: skip
    rights = f"face {request.right_of_face}, film {request.right_of_film}"
    writer = Mp4Writer(
        out, size_px, float(timing.rate), swap_metadata(_PRODUCER, record["id"], rights),
        preset="veryfast", crf=18, low_latency=False, overwrite=request.force, say=say,
    )  # fmt: skip
    sound = clip_sound(film, None)
    if sound is not None:
        writer.take_sound(sound, timing.shifts_s)
    return writer


def _write(
    request: SwapRequest, film: Path, painter: SwapPainter, writer: Mp4Writer,
    timing: FilmTiming, stop: threading.Event,
) -> Slots:  # fmt: skip
    """Draw and write every frame until the end, or until ``stop``."""
    slots = Slots(writer, Fraction(timing.rate))
    with (
        film_progress(planned_frames(timing, request.seconds)) as step,
        closing(made_ahead(painter.frames(_until(_film(film, request.seconds), stop)))) as frames,
    ):
        for frame in frames:
            if stop.is_set():
                break
            slots.put(frame)
            step()
    return slots


class Drawing(Protocol):
    """What is drawn in each frame: a ``SwapPlan``."""

    def lost(self, index: int) -> bool:
        """Return whether somebody cannot be given the new face wholly."""
        ...

    def draw(self, image: UInt8Image, index: int) -> UInt8Image:
        """Return the frame with its new faces."""
        ...


@dataclass
class SwapPainter:
    """Draws and labels a film's frames, and remembers the last whole one."""

    plan: Drawing
    request: SwapRequest
    label: VisibleLabel
    last: UInt8Image | None = None

    def frames(self, film: Iterator[CameraFrame]) -> Iterator[LabelledFrame]:
        """Yield every frame of ``film`` with its new faces and its label."""
        for index, frame in enumerate(film):
            image = self._picture(frame.image, index)
            yield self.label.label(
                GeneratedFrame(image, frame.timestamp_ns, frame.index, Presence.TRACKED)
            )

    def _picture(self, image: UInt8Image, index: int) -> UInt8Image:
        if self.request.when_lost != "film" and self.plan.lost(index):
            if self.request.when_lost == "hold" and self.last is not None:
                return self.last
            return beyond_recognition(image)
        self.last = self.plan.draw(image, index)
        return self.last


def beyond_recognition(image: UInt8Image) -> UInt8Image:
    """Return a picture so blurred that nobody in it can be recognised, uint8 (H, W, 3)."""
    import cv2

    height, width = image.shape[:2]
    cells = (max(2, round(_BLUR_CELLS * width / max(height, 1))), _BLUR_CELLS)
    small = cv2.resize(image, cells, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def _report(
    writer: Mp4Writer, slots: Slots, timing: FilmTiming, record: dict[str, Any], say: Say
) -> None:
    """Say what was written, and put the record beside it."""
    if not slots.frames:
        return
    rate = float(timing.rate)
    say(
        f"{writer.path}: {counted(slots.frames, 'frame')}, {rate:.5g} fps, "
        f"{slots.frames / rate:.2f} s"
    )
    beside = _record_of(writer.path)
    write_json(beside, record)
    say(f"{beside}: what it was made of, and by what right")


def _list_people(request: SwapRequest, film: Path, home: Home, say: Say) -> int:
    """Write the sheet of who is in the film."""
    sheet_path = expanded(request.out) if request.out else film.with_name(film.name + _SHEET_SUFFIX)
    if sheet_path.suffix.lower() != ".png":
        raise UsageError(f"--list writes a sheet: expected --out FILE.png, found {sheet_path}")
    check_output(sheet_path, "--out", force=request.force)
    stop = threading.Event()
    model = find_face_model(request.face_model, home)
    with ended_by_signals(stop.set), FaceNetworks(model) as networks:
        timing = clip_timing(film, None, request.seconds)
        layout = FaceSheet(networks.canonical.points)
        try:
            people = _people(film, timing, networks, layout, request.seconds, stop)
        except _StopError:
            return INTERRUPTED
    for person in people.persons:
        stays = people.of(person)
        seen_s = sum(len(stay.landmarks) for stay in stays) / float(timing.rate)
        shots = ", ".join(f"{people.shots[s.shot] / float(timing.rate):.1f}" for s in stays)
        say(f"person {person}: {seen_s:.1f} s, in the shots that begin at {shots} s")
    write_output(sheet_path, _sheet(people))
    say(f"{sheet_path}: choose with --person")
    return 0


def _sheet(people: FilmPeople) -> bytes:
    """Return a PNG with a row for each person: the number, and how they look in each shot."""
    import cv2

    rows = []
    shown = max(1, min(8, max(len(people.of(p)) for p in people.persons)))
    for person in people.persons:
        looks = [s.thumbnail for s in people.of(person)[:shown] if s.thumbnail is not None]
        side = looks[0].shape[0]
        row = np.full((side, side * (shown + 1), 3), 32, np.uint8)
        cv2.putText(
            row, str(person), (side // 4, side * 2 // 3), cv2.FONT_HERSHEY_SIMPLEX, side / 64,
            (255, 255, 255), 3, cv2.LINE_AA,
        )  # fmt: skip
        for k, look in enumerate(looks):
            row[:, side * (k + 1) : side * (k + 2)] = look
        rows.append(row)
    done, data = cv2.imencode(".png", np.vstack(rows)[..., ::-1])
    assert done
    return data.tobytes()
