"""``avatar train --evaluate`` as a command: figures into the card, frames and a video."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

import numpy as np

from avatar import __version__
from avatar.core.counting import counted
from avatar.core.errors import UsageError
from avatar.core.files import expanded, file_sha256, write_record
from avatar.core.frames import CameraFrame, FaceTrack, GeneratedFrame, Presence, UInt8Image
from avatar.core.home import Home
from avatar.core.machine import Machine
from avatar.core.options import TRAINED, Options
from avatar.core.pictures import jpeg
from avatar.core.stages import Generator
from avatar.core.terminal import say
from avatar.learn.generator.distil import unseen
from avatar.learn.generator.prepare import ReferencePhoto, split
from avatar.learn.generator.session import disk_errors_as_usage
from avatar.learn.generator.teacher import open_again
from avatar.learn.generator.watch import WatchedClip, watch
from avatar.library.avatars import AvatarStore, StoredAvatar
from avatar.library.face_model import find_face_model
from avatar.library.generators.card import CARD, Card, neural_folder, read_card
from avatar.measure.page import Html, element, page, picture, table
from avatar.measure.trained.evaluate import ComparedFrame, Evaluation, comparison, evaluate
from avatar.sessions.engines import open_engine
from avatar.sessions.engines.portrait import portrait_settings
from avatar.stages.generate.framing import default_size
from avatar.stages.generate.photo import load_photo
from avatar.stages.generate.portrait import PortraitGenerator
from avatar.stages.label import create_labeller, file_metadata
from avatar.stages.sinks.mp4 import Mp4Writer

PAGE, VIDEO = "page.html", "side-by-side.mp4"
_TILE_PX = 320
_FPS = 30.0
_FIGURES = {
    "l1": "whole picture, L1",
    "regions_l1": "mouth and eyes, L1",
    "aed": "face descriptor (AED)",
    "akd_px": "landmarks (AKD), px",
    "flicker": "flicker, ratio to the clip's",
    "ms": "ms a frame, with the portrait",
}


def compare(
    name: str,
    clip: Path | None,
    out: Path | None,
    config: Options,
    home: Home,
) -> int:
    """Measure the generator of ``name`` on what it has not seen of ``clip``; return the status.

    ``out``: a new folder for a page and a video; None: figures alone. ``config``: the engine's
    backend and precision. For an avatar that learnt from a teacher, that draws what is true.
    Raises ``UsageError`` and ``EngineError``.
    """
    if clip is None:
        raise UsageError("--evaluate needs a clip: the one trained on, or another of the person")
    stored = AvatarStore(home.avatars).load(name)
    card = read_card(stored.folder, stored.sha256)
    face_model = find_face_model(config.face_model, home)
    watched = watch(expanded(clip), face_model)
    rest = _unseen(clip, watched, card)
    say(f"{watched.summary()}; {counted(len(rest), 'frame')} not trained on")
    with TemporaryDirectory() as folder:
        if card.taught is None:
            seen = source_of(stored), watched, rest
        else:
            teacher = open_again(card.taught.teacher, home, say)
            seen = unseen(stored, teacher, watched, rest, Path(folder), face_model)
        result = _run(stored, *seen, config, home, out, taught=card.taught is not None)
    for key, before, after, change in comparison(result):
        say(f"{_FIGURES[key]:32s} portrait {before:.4f}  trained {after:.4f}  {change:+.1%}")
    metrics = {**card.metrics, **_flat(result)}
    with disk_errors_as_usage(neural_folder(stored.folder)):
        write_record(
            neural_folder(stored.folder) / CARD, card.model_copy(update={"metrics": metrics})
        )
    return 0


def _flat(result: Evaluation) -> dict[str, dict[str, float]]:
    return {name: result.figures(name) for name in result.engines}


def _unseen(clip: Path, watched: WatchedClip, card: Card) -> list[int]:
    """Return the frames that were not learnt from. Raises ``UsageError`` where there are few."""
    known = {recording.sha256 for recording in card.recordings}
    learnt = file_sha256(expanded(clip)) in known
    rest = split(watched, card.trained_share).rest if learnt else watched.usable
    if len(rest) < 10:
        raise UsageError(
            f"expected frames of {clip} that were not trained on, found {len(rest)}: the training "
            "used the whole clip. Give another clip of the same person, or train with --share 0.7"
        )
    return rest


def source_of(stored: StoredAvatar) -> ReferencePhoto:
    """Return a stored avatar's photograph as the moment that motion is counted from."""
    photo = load_photo(stored.photo)
    return ReferencePhoto(
        photo, stored.face, FaceTrack(0, -1, stored.face, CameraFrame(photo, 0, 0))
    )


def _run(
    stored: StoredAvatar,
    source: ReferencePhoto,
    watched: WatchedClip,
    rest: list[int],
    config: Options,
    home: Home,
    out: Path | None,
    *,
    taught: bool,
) -> Evaluation:
    """Measure and write what can be looked at; ``taught``: a teacher drew the truth."""
    from avatar.sessions.avatars import AvatarPhoto

    config = replace(config, engine=TRAINED, mouth="teeth")
    size_px = default_size(source.photo, "photo")
    avatar = AvatarPhoto(
        stored.name, source.photo, source.face, folder=stored.folder, photo_sha256=stored.sha256
    )
    engine = open_engine(config, say, home, Machine.of_process())
    with ExitStack() as stages:
        portrait = PortraitGenerator(
            source.photo, source.face, "photo", size_px, portrait_settings(config, home)
        )
        generators: dict[str, Generator] = {
            "portrait": stages.enter_context(portrait),
            "neural": stages.enter_context(engine.make(avatar, "photo", size_px)),
        }
        if out is None:
            return evaluate(watched, rest, source, generators)
        with disk_errors_as_usage(out):
            out.mkdir()
        film = stages.enter_context(_Film(out / VIDEO))
        result = evaluate(watched, rest, source, generators, film.add)
    with disk_errors_as_usage(out):
        (out / PAGE).write_text(_page(result, taught), "utf-8")
    say(f"to look at: {out / PAGE}; it shows the person, keep it to yourself")
    return result


class _Film:
    """A video of camera, portrait engine and trained generator side by side, labelled."""

    def __init__(self, path: Path) -> None:
        size_px = (3 * _TILE_PX, _TILE_PX)
        metadata = file_metadata(f"webcam-avatar {__version__}", uuid4().hex)
        self._writer = Mp4Writer(path, size_px, _FPS, metadata, preset="veryfast")
        self._labeller = create_labeller(size_px=size_px)

    def __enter__(self) -> _Film:
        self._writer.__enter__()
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        self._writer.__exit__(kind, error, trace)

    def add(self, shown: ComparedFrame) -> None:
        """Append one frame."""
        row = np.hstack([_tile(image) for image in _images(shown)])
        frame = GeneratedFrame(row, 0, 0, Presence.TRACKED)
        self._writer.write_rgb(self._labeller.label(frame).image)


def _images(shown: ComparedFrame) -> list[UInt8Image]:
    return [shown.truth, shown.drawn["portrait"], shown.drawn["neural"]]


def _tile(image: UInt8Image) -> UInt8Image:
    """Return the centred square of a picture, small."""
    import cv2

    height, width = image.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    cut = image[top : top + side, left : left + side]
    small = cv2.resize(cut, (_TILE_PX, _TILE_PX), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8)


def _page(result: Evaluation, taught: bool) -> str:
    """Return a page with figures, video and frames: the truth, portrait engine, trained."""
    truth = "teacher" if taught else "camera"
    rows = [
        [_FIGURES[key], f"{before:.4f}", f"{after:.4f}", f"{change:+.1%}"]
        for key, before, after, change in comparison(result)
    ]
    return page(
        "Trained avatar",
        element(
            "p",
            f"From left to right: {truth}, portrait engine, trained. What is marked AI is "
            "generated. It shows a real person: keep this page to yourself.",
        ),
        table(["", "portrait engine", "trained", "change"], rows),
        element("video", src=VIDEO, controls="", loop="", muted=""),
        *(_figure(shown, taught) for shown in result.shown),
    )


def _figure(shown: ComparedFrame, taught: bool) -> Html:
    labeller = create_labeller(size_px=(_TILE_PX, _TILE_PX))
    tiles = [_tile(image) for image in _images(shown)]
    # What a teacher drew is no camera's picture.
    tiles = [
        labeller.label(GeneratedFrame(tile, 0, 0, Presence.TRACKED)).image if k or taught else tile
        for k, tile in enumerate(tiles)
    ]
    alt = ", ".join(("teacher" if taught else "camera", "portrait engine", "trained"))
    return picture(alt, jpeg(np.hstack(tiles), 90), "jpeg")
