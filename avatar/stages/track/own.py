"""A tracker on our own runtime: MediaPipe's networks without MediaPipe, and one person to follow.

Whom it follows it keeps: by place and size. One who is lost is waited for; then whoever turned up
is taken, and after a longer while the nearest, even of those who were there all the time. At the
start it is the one asked for; another one can be asked for at any time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from queue import SimpleQueue
from typing import Self

from avatar.core.errors import TrackerError
from avatar.core.frames import CameraFrame, FaceTrack, Float32, UInt8Image
from avatar.core.messages import Message
from avatar.stages.track.detection import Detection
from avatar.stages.track.find import Tile, detect, distinct, face_of, levels, look, settled, tiles
from avatar.stages.track.networks import OWN_BACKENDS, FaceNetworks
from avatar.stages.track.region import Region, around_detection, around_landmarks, distance
from avatar.stages.track.steadying import Steadying

WAIT_NS = 500_000_000
"""So long somebody lost is waited for before one elsewhere is taken for the same person."""
LONG_WAIT_NS = 2_000_000_000
"""So long before another is taken, who was seen beside the one who is lost."""
_LOOK_AROUND_NS = 1_000_000_000
"""So often it is seen who else is there."""
_NEAR = 0.75
"""How far the same person may have gone while unseen, in sides of the region around the face."""
_ALIKE = 1.8
"""By which factor the size of the same person's face may have changed."""
_TILES_A_FRAME = 6
"""How many tiles are looked at in one frame while nobody is seen; it takes as long as tracking."""
_LYING = (1, 2, 3)
_AROUND = 2.0
"""A tile around somebody lost is so many regions wide."""


class OwnTracker:
    """Tracks one face through a video with the networks of ``face_landmarker.task``.

    ``face_model``: its path. ``person``: whom to follow where there are several, ``largest``,
    ``left``, ``right`` (of the picture) or a number by size, 1 the largest. ``backend``: what runs
    the networks, see ``OWN_BACKENDS``. ``say`` is told when somebody asked for is not there.
    Entering raises what ``FaceNetworks`` raises.
    """

    def __init__(
        self, face_model: Path, person: str = "largest", backend: str = OWN_BACKENDS[0],
        say: Callable[[str], None] = lambda line: None,
    ) -> None:  # fmt: skip
        self._networks = FaceNetworks(face_model, backend)
        self._person, self._say = person, say
        self._asked: SimpleQueue[str] = SimpleQueue()  # whom to follow from the next picture on
        self._count = 0  # of people chosen
        self._entered = False
        self._begin()

    def _begin(self) -> None:
        self._region: Region | None = None  # where the one who is followed was just seen
        self._last: Region | None = None  # where somebody was followed last
        self._last_ns = 0
        self._others: list[Region] = []  # where others were seen beside the one who is followed
        self._around_ns: int | None = None
        self._size_px = (0, 0)
        self._tiles: Iterator[Tile] | None = None  # still to look at; None before the first picture
        self._steadying = Steadying()

    def __enter__(self) -> Self:
        self._networks.__enter__()
        self._entered = True
        self._begin()
        return self

    def __exit__(self, *_: object) -> None:
        self._entered = False
        self._networks.__exit__()

    def track(self, frame: CameraFrame) -> FaceTrack:
        """Return the driver's face in ``frame``; ``face`` is None when nobody is there."""
        if not self._entered:
            raise TrackerError("the tracker is closed: use it inside a `with` block")
        self._fit((frame.image.shape[1], frame.image.shape[0]))
        while not self._asked.empty():
            self._choose(frame, self._asked.get())
        landmarks = self._landmarks(frame)
        if landmarks is None:
            self._region = None
            return FaceTrack(frame.timestamp_ns, frame.index, None, frame, self._count)
        self._region = self._last = around_landmarks(landmarks)
        self._last_ns = frame.timestamp_ns
        self._look_around(frame, self._region)
        steady = self._steadying.apply(landmarks, frame.timestamp_ns)
        face = face_of(self._networks, steady, self._size_px)
        return FaceTrack(frame.timestamp_ns, frame.index, face, frame, self._count)

    def follow(self, person: str) -> None:
        """See ``ChoosingTracker``."""
        self._asked.put(person)

    def _choose(self, frame: CameraFrame, person: str) -> None:
        """Follow who was asked for, if he is there."""
        seen = detect(self._networks, frame.image)
        for tile in self._every_tile():
            seen += detect(self._networks, frame.image, tile)
        regions = self._ordered(distinct(seen), person)
        if person != "next":
            self._person = person
        if self._last is None:
            return  # nobody was followed yet: the first one will be whom was asked for
        for region in regions:
            landmarks = settled(self._networks, frame.image, region)
            if landmarks is not None:
                found = around_landmarks(landmarks)
                if not _may_be(self._last, found):
                    self._region = self._last = found
                    self._others, self._around_ns = [], None
                    self._steadying = Steadying()
                    self._count += 1
                return
        self._say(_absent(person))

    def _ordered(self, found: Sequence[Detection], person: str) -> list[Region]:
        """Return where to look for the one asked for, the best place first."""
        if person != "next" or self._last is None:
            return _chosen(found, "largest" if person == "next" else person)
        last = self._last
        others = [r for r in map(around_detection, found) if not _may_be(last, r)]
        return sorted(others, key=lambda region: (region.x <= last.x, region.x))

    def _fit(self, size_px: tuple[int, int]) -> None:
        """Take what is known of the last picture into one of another size."""
        if size_px != self._size_px:
            if self._last is not None:
                across, down = (new / old for new, old in zip(size_px, self._size_px, strict=True))
                self._last = _scaled(self._last, across, down)
                self._region = self._last if self._region is not None else None
            self._size_px = size_px
            self._tiles = None if self._tiles is None else iter(())
            self._steadying = Steadying()

    def _look_around(self, frame: CameraFrame, mine: Region) -> None:
        """See from time to time who else is there."""
        now = frame.timestamp_ns
        if self._around_ns is None or now - self._around_ns >= _LOOK_AROUND_NS:
            self._around_ns = now
            seen = map(around_detection, detect(self._networks, frame.image))
            self._others = [region for region in seen if not _may_be(mine, region)]

    def _landmarks(self, frame: CameraFrame) -> Float32 | None:
        """Return the landmarks of the face that is followed, else of one that is found."""
        if self._region is not None:
            landmarks = look(self._networks, frame.image, self._region)
            if landmarks is not None:
                return landmarks
            self._steadying = Steadying()
        for region in self._candidates(frame):
            landmarks = settled(self._networks, frame.image, region)
            if landmarks is not None:
                self._tiles = iter(())
                return landmarks
        return None

    def _candidates(self, frame: CameraFrame) -> list[Region]:
        """Return where to look for somebody to follow, the best place first."""
        if self._last is None:
            return _chosen(self._all(frame.image), self._person)
        last, unseen_ns = self._last, frame.timestamp_ns - self._last_ns
        if unseen_ns < WAIT_NS:
            near = detect(self._networks, frame.image, _around(last), (last.quarters,))
            return [r for r in map(around_detection, near) if _may_be(last, r)]
        found = [around_detection(face) for face in self._all(frame.image)]
        if unseen_ns < LONG_WAIT_NS:
            found = [r for r in found if not any(_may_be(other, r) for other in self._others)]
        return sorted(found, key=lambda region: distance(last, region))

    def _all(self, image: UInt8Image) -> list[Detection]:
        """Return the faces in the whole picture, and where they are too few in its tiles, too."""
        found = detect(self._networks, image) or detect(self._networks, image, turns=_LYING)
        wanted = int(self._person) if self._person.isdecimal() else 1
        if len(found) >= wanted:
            return found
        return distinct([*found, *self._in_tiles(image, wanted)])

    def _in_tiles(self, image: UInt8Image, wanted: int) -> list[Detection]:
        """Return the faces in tiles: of a first picture in all, later in a few of each picture."""
        if self._tiles is None:
            self._tiles, squares = iter(()), list(self._every_tile())
        else:
            squares = list(islice(self._tiles, _TILES_A_FRAME))
            self._tiles = self._tiles if squares else self._every_tile()
        found: list[Detection] = []
        for tile in squares:
            found += detect(self._networks, image, tile)
            if len(found) >= wanted and len(distinct(found)) >= wanted:
                break
        return found

    def _every_tile(self) -> Iterator[Tile]:
        return (tile for side in levels(self._size_px) for tile in tiles(self._size_px, side))


def _chosen(found: Sequence[Detection], person: str) -> list[Region]:
    """Return the regions of faces, the person asked for first; none where that one is not there."""
    if person == "left":
        ordered = sorted(found, key=lambda face: float(face.box[0] + face.box[2]))
    elif person == "right":
        ordered = sorted(found, key=lambda face: -float(face.box[0] + face.box[2]))
    else:
        ordered = sorted(found, key=lambda face: face.size, reverse=True)
    if person.isdecimal():
        ordered = ordered[int(person) - 1 : int(person)]
    return [around_detection(face) for face in ordered]


def _absent(person: str) -> Message:
    if person == "next":
        return Message("said.nobodyElse", "nobody else is seen: whoever is followed stays")
    return Message(
        "said.personAbsent",
        "person {person} is not seen: whoever is followed stays",
        person=person,
    )


def _may_be(last: Region, found: Region) -> bool:
    """Return whether who was at ``last`` may be whom was found."""
    ratio = max(found.width, found.height) / last.width
    return distance(last, found) <= _NEAR and 1 / _ALIKE <= ratio <= _ALIKE


def _around(last: Region) -> Tile:
    side = last.width * _AROUND
    return Tile(last.x - side / 2, last.y - side / 2, side)


def _scaled(region: Region, across: float, down: float) -> Region:
    side = region.width * (across * down) ** 0.5
    return replace(region, x=region.x * across, y=region.y * down, width=side, height=side)
