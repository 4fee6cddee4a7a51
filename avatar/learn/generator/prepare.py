"""Pairs for a training: what the portrait engine draws of a moment, and what the camera saw."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from avatar.core.errors import UsageError
from avatar.core.face.head import decompose
from avatar.core.face.rotation import vector_from_rotation
from avatar.core.frames import CameraFrame, Face, FaceTrack, Float32, Motion, UInt8Image
from avatar.learn.generator.watch import (
    WatchedClip,
    best_source,
    most_different,
)
from avatar.library.generators.card import REFERENCES
from avatar.stages.generate.deform import Pose
from avatar.stages.generate.portrait import PortraitGenerator, PortraitSettings
from avatar.stages.generate.trained.generator import PatchCutter
from avatar.stages.generate.trained.maps import mouth_opening, telling_parts
from avatar.stages.generate.trained.references import KEPT, Kept, References, farthest
from avatar.stages.motion.retarget import FaceRetargeter
from avatar.stages.track.choice import detect_faces
from engines.patches import Patch
from engines.training.pairs import PairsWriter

MAX_MOMENTS = 480
HELD_OUT_SHARE = 0.12
MAX_HELD_OUT = 20
# Other frames of a clip that its moments are drawn from too: the network then learns to correct
# what it sees, rather than what one photograph shows at one moment.
MORE_SOURCES = 3
# Nothing of the driver's picture enters what is drawn but, in half of the pairs, their creases:
# a live avatar gets these in a share between none and all.
SHADINGS = (0.0, 1.0)
# A moment is not learnt with references so near to it in time, in seconds: while an expression is
# held they would be nearly the truth itself, as they never are when it matters.
_APART_S = (1.0, 4.0)


@dataclass(frozen=True, eq=False)
class ReferencePhoto:
    """The avatar's photograph: uint8 (H, W, 3) RGB, its face, and the clip's frame that it is."""

    photo: UInt8Image
    face: Face
    track: FaceTrack


@dataclass(frozen=True, eq=False)
class Take:
    """What is drawn of one photograph: the moments of ``watched`` to learn from and to hold out.

    ``shadings``: how much of the driver's creases, in [0, 1]; each moment is drawn with each.
    """

    source: ReferencePhoto
    watched: WatchedClip
    train: list[int]
    held_out: list[int]
    shadings: tuple[float, ...] = SHADINGS

    @property
    def moments(self) -> list[int]:
        """Return all of them, in time."""
        return sorted([*self.train, *self.held_out])


@dataclass(frozen=True)
class Split:
    """Frames of one clip by what they are for; indices into ``WatchedClip.frames``."""

    train: list[int]
    held_out: list[int]
    rest: list[int]


def split(watched: WatchedClip, share: float) -> Split:
    """Divide a clip by time: the first ``share`` is learnt from, the rest is never seen.

    The last eighth of the first part is held out, to choose the best weights by.
    """
    last = round(len(watched.frames) * share)
    ours = [i for i in watched.usable if i < last]
    rest = [i for i in watched.usable if i >= last]
    cut = len(ours) - max(1, round(len(ours) * HELD_OUT_SHARE))
    train = most_different(watched, ours[:cut], MAX_MOMENTS)
    held_out = ours[cut:]
    step = max(1, -(-len(held_out) // MAX_HELD_OUT))
    return Split(train, held_out[::step], rest)


def take_source(watched: WatchedClip, among: list[int], face_model: Path) -> ReferencePhoto:
    """Read the frame that becomes the avatar's photograph. Raises ``UsageError``."""
    index = best_source(watched, among)
    for source in _read_sources(watched, [index], face_model):
        return source
    raise UsageError(
        f"expected a face in frame {index} of {watched.path}, found none when it was read again. "
        "Is the file being written to?"
    )


def _read_sources(
    watched: WatchedClip, chosen: list[int], face_model: Path
) -> Iterator[ReferencePhoto]:
    """Yield those of the frames ``chosen`` in which a face is found without the ones before."""
    wanted = {watched.frames[i].index for i in chosen}
    for frame in watched.read():
        if frame.index in wanted:
            found = detect_faces(frame.image, face_model)
            if found:
                track = FaceTrack(frame.timestamp_ns, frame.index, found[0], frame)
                yield ReferencePhoto(frame.image, found[0], track)


def clip_takes(
    source: ReferencePhoto, watched: WatchedClip, chosen: Split, face_model: Path
) -> list[Take]:
    """Return what is drawn of a clip: its moments, by ``source`` and by some of its own frames."""
    takes = [Take(source, watched, chosen.train, chosen.held_out)]
    frames = most_different(watched, chosen.train, MORE_SOURCES)
    for count, other in enumerate(_read_sources(watched, frames, face_model)):
        shading = SHADINGS[count % len(SHADINGS)]
        takes.append(Take(other, watched, chosen.train, [], (shading,)))
    return takes


def photo_takes(watched: WatchedClip) -> list[Take]:
    """Let each photograph be drawn as every other one shows the person; the last is held out."""
    last = len(watched.frames) - 1
    takes = []
    for picture, seen in zip(watched.read(), watched.frames, strict=True):
        assert seen.face is not None
        track = replace(seen.track, camera=picture)
        others = [i for i in range(last) if i != seen.index]
        held_out = [last] if seen.index != last else []
        takes.append(
            Take(ReferencePhoto(picture.image, seen.face, track), watched, others, held_out)
        )
    return takes


def write_pairs(
    folder: Path,
    size: str,
    patches: Sequence[Patch],
    takes: Sequence[Take],
    tick: Callable[[], None] = lambda: None,
) -> None:
    """Draw every chosen moment and write it with the truth into ``folder``.

    Beside them ``references.npz``: the person's pictures for running, out of the first take. Raises
    ``OSError`` when the disk refuses.
    """
    moments = sum(len(take.moments) for take in takes)
    pairs = sum(len(take.moments) * len(take.shadings) for take in takes)
    writer = PairsWriter(folder, patches, pairs, moments, size)
    held_out: list[int] = []
    at = _Place(0, 0)
    for number, take in enumerate(takes):
        seen = _write_take(writer, patches, take, at, tick)
        known = _Known(writer, patches, take, at, seen)
        known.write_references(number)
        if number == 0:
            known.references.save(folder / REFERENCES)
        kept = set(take.held_out)
        held_out += [at.moment + k for k, index in enumerate(take.moments) if index in kept]
        at = _Place(at.moment + len(take.moments), at.pair + len(take.moments) * len(take.shadings))
    writer.finish(held_out)


@dataclass(frozen=True)
class _Place:
    """Where a take begins among all moments and pairs."""

    moment: int
    pair: int


@dataclass(frozen=True, eq=False)
class _Seen:
    """What a moment is compared by: landmarks by patch, and how the head is turned.

    ``opening``: how far the mouth is open.
    """

    points: dict[str, Float32]
    turn: Float32
    opening: float


def _write_take(
    writer: PairsWriter,
    patches: Sequence[Patch],
    take: Take,
    at: _Place,
    tick: Callable[[], None],
) -> list[_Seen]:
    """Write pictures, maps and truths; return how each moment looks."""
    seen = []
    with ExitStack() as stages:
        artists = [stages.enter_context(_Artist(take.source, patches, s)) for s in take.shadings]
        shots = driven(take.watched, take.moments, take.source)
        for moment, (frame, motion) in enumerate(shots, at.moment):
            writer.truth(moment, artists[0].truth(frame.image, motion))
            for artist in artists:
                writer.pair(moment, *artist.draw(motion))
            seen.append(artists[0].seen)
            tick()
    return seen


class _Known:
    """What is known of a take's person: its moments to learn from, those that differ most.

    Of a person who is held out as a whole it is the moments that are held out.
    """

    def __init__(
        self,
        writer: PairsWriter,
        patches: Sequence[Patch],
        take: Take,
        at: _Place,
        seen: list[_Seen],
    ) -> None:
        self._writer, self._patches, self._take, self._at = writer, patches, take, at
        self._seen = seen
        learnt = set(take.train or take.held_out)
        ours = np.array([k for k, index in enumerate(take.moments) if index in learnt], np.int64)
        self._kept: dict[str, NDArray[np.int64]] = {}
        kept = {}
        for patch in patches:
            known = np.stack([seen[k].points[patch.name] for k in ours])
            chosen = ours[farthest(known, KEPT)]
            self._kept[patch.name] = chosen
            pictures = np.stack([writer.read("truth", patch, at.moment + k) for k in chosen])
            known = np.stack([seen[k].points[patch.name] for k in chosen])
            turns = np.stack([seen[k].turn for k in chosen])
            kept[patch.name] = Kept(known, turns, pictures, telling_parts(patch))
        self.references = References(kept, max(seen[k].opening for k in ours))
        frames = take.watched.frames
        self._seconds = np.array([frames[i].timestamp_ns / 1e9 for i in take.moments])

    def write_references(self, number: int) -> None:
        """Write each pair's references: of other moments, some time before or after it.

        How long is drawn anew each time, from the take's ``number``.
        """
        random = np.random.default_rng(number)
        shadings = len(self._take.shadings)
        for moment in range(len(self._seen)):
            for pair in range(shadings * moment, shadings * (moment + 1)):
                apart_s = random.uniform(*_APART_S)
                found = {
                    patch.name: self._found(patch, moment, pair, apart_s) for patch in self._patches
                }
                self._writer.reference(self._at.pair + pair, found)

    def _found(self, patch: Patch, moment: int, pair: int, apart_s: float) -> UInt8Image:
        between = np.abs(self._seconds[self._kept[patch.name]] - self._seconds[moment])
        pictures = self._writer.read("picture", patch, self._at.pair + pair)
        seen = self._seen[moment]
        return self.references.find(
            patch.name, seen.points[patch.name], seen.turn, pictures, between > apart_s
        )


def driven(
    watched: WatchedClip, moments: Sequence[int], source: ReferencePhoto
) -> Iterator[tuple[CameraFrame, Motion]]:
    """Yield the frames ``moments`` of a clip with the absolute motion that reproduces them."""
    retargeter = FaceRetargeter("absolute", "off", watches_mouth=False)
    retargeter.begin_with(source.track)
    wanted = {watched.frames[i].index: watched.frames[i] for i in moments}
    for frame in watched.read():
        seen = wanted.get(frame.index)
        if seen is not None:
            track = replace(seen.track, camera=frame)
            yield frame, retargeter.retarget(track, track.timestamp_ns)


class _Artist:
    """A portrait engine whose pictures are cut into patches.

    ``seen``: how the moment drawn last looks.
    """

    def __init__(self, source: ReferencePhoto, patches: Sequence[Patch], shading: float) -> None:
        settings = PortraitSettings("empty", shading)
        self._portrait = PortraitGenerator(source.photo, source.face, "photo", None, settings)
        self._patches = patches
        self.seen = _Seen({}, np.zeros(3, np.float32), 0.0)

    def __enter__(self) -> _Artist:
        self._portrait.__enter__()
        self._cutter = PatchCutter(self._patches, decompose(self._portrait.canvas.face))
        return self

    def __exit__(self, *_: object) -> None:
        self._portrait.__exit__(None, None, None)

    def draw(self, motion: Motion) -> tuple[dict[str, UInt8Image], dict[str, UInt8Image]]:
        """Return the patches' pictures and maps."""
        image = self._portrait.generate(motion).image
        pose = self._portrait.pose(motion)
        matrices = self._cutter.matrices(pose)
        assert matrices is not None  # a face that is tracked is not seen from its edge
        self.seen = _Seen(
            self._cutter.points(pose, matrices),
            vector_from_rotation(pose.rotation),
            mouth_opening(pose.landmarks_px),
        )
        rect = self._portrait.canvas.photo_rect
        return self._cutter.pictures(image, matrices), self._cutter.maps(pose, matrices, rect)

    def truth(self, image: UInt8Image, motion: Motion) -> dict[str, UInt8Image]:
        """Return the patches of the camera's own picture."""
        drawn = self._portrait.pose(motion)
        centre = np.append(motion.translation, drawn.centre_px[2]).astype(np.float32)
        here = Pose(drawn.landmarks_px, motion.rotation, centre, motion.scale, motion.eye_closure)
        matrices = self._cutter.matrices(here)
        assert matrices is not None
        return self._cutter.pictures(image, matrices)
