"""Who is in a film: cuts, everybody followed through each shot, and who is who across shots."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import cycle

import numpy as np

from avatar.core.face.head import head_turn_deg
from avatar.core.face.topology import SURFACE_COUNT
from avatar.core.frames import CameraFrame, Face, Float32, UInt8Image
from avatar.stages.generate.sharpness import blur_px
from avatar.stages.generate.swap.cuts import CutFinder
from avatar.stages.generate.swap.layout import FaceSheet
from avatar.stages.generate.swap.likeness import ALIKE, likeness, traits
from avatar.stages.generate.swap.person import SIDE, seen_share
from avatar.stages.generate.swap.photograph import face_width
from avatar.stages.track.detection import Detection
from avatar.stages.track.find import Tile, detect, distinct, levels, look, settled, tiles
from avatar.stages.track.networks import FaceNetworks
from avatar.stages.track.region import Region, around_detection, around_landmarks, distance

LEAST_FACE_PX = 48.0
"""Smaller faces are nobody that could be another."""
_LOOK_EVERY = 10
"""So often it is seen, in frames, who else came in."""
_SAMPLES = 24
_JUMP = 0.6
_SAME_PLACE = 0.45
_ALIKE_SIZE = 1.7
_SHORTEST = 3
_AROUND = 2.5


@dataclass(eq=False)
class Stay:
    """One person in one shot.

    ``shot``: its number, from 0. ``landmarks``: float32 (478, 3) by frame, pixels of the film.
    ``sheets``: the face laid out, uint8 (S, S, 3), in some of them, and ``seen`` how well.
    ``turns_deg``: by how much the head is turned away, by frame. ``thumbnail``: the largest look.
    """

    shot: int
    landmarks: dict[int, Float32] = field(default_factory=dict)
    turns_deg: dict[int, float] = field(default_factory=dict)
    sheets: list[UInt8Image] = field(default_factory=list)
    seen: list[Float32] = field(default_factory=list)
    blurs_px: list[float] = field(default_factory=list)
    thumbnail: UInt8Image | None = None
    person: int = 0
    _every: int = 1

    @property
    def first(self) -> int:
        """Return the first frame."""
        return min(self.landmarks)

    @property
    def last(self) -> int:
        """Return the last frame."""
        return max(self.landmarks)

    @property
    def width_px(self) -> float:
        """Return how large the face typically is, pixels."""
        return float(np.median([face_width(points) for points in self.landmarks.values()]))

    def keep(self, layout: FaceSheet, image: UInt8Image, index: int, face: Face) -> None:
        """Remember one frame."""
        points = face.landmarks_px
        yaw, pitch, _ = head_turn_deg(face)
        self.landmarks[index] = points
        self.turns_deg[index] = max(abs(yaw), abs(pitch) * 1.2)
        if (len(self.landmarks) - 1) % self._every:
            return
        self.sheets.append(layout.unwrap(image, points, SIDE).astype(np.uint8))
        self.seen.append(seen_share(layout, points))
        self.blurs_px.append(blur_px(image, points))
        if self.thumbnail is None:
            self.thumbnail = _thumbnail(image, points)
        if len(self.sheets) > _SAMPLES:
            self.sheets, self.seen = self.sheets[::2], self.seen[::2]
            self._every *= 2

    def traits(self, layout: FaceSheet) -> Float32:
        """Return what the person is told by; see ``stages.generate.swap.likeness``."""
        sheet = np.median(np.stack(self.sheets), axis=0).astype(np.float32)
        return traits(layout, sheet, np.mean(self.seen, axis=0).astype(np.float32))


@dataclass(frozen=True, eq=False)
class FilmPeople:
    """What is known of a film: everybody's stays, each with the person's number, from 1.

    Person 1 is the one who is seen largest and longest. ``shots``: first frame of each.
    """

    stays: tuple[Stay, ...]
    shots: tuple[int, ...]
    frames: int

    @property
    def persons(self) -> tuple[int, ...]:
        """Return the numbers of all persons."""
        return tuple(sorted({stay.person for stay in self.stays}))

    def of(self, person: int) -> list[Stay]:
        """Return the stays of one person, in the order of the film."""
        return [stay for stay in self.stays if stay.person == person]


def find_people(
    frames: Iterable[CameraFrame],
    networks: FaceNetworks,
    layout: FaceSheet,
    step: Callable[[], None] = lambda: None,
) -> FilmPeople:
    """Look through a film; ``step`` is called once a frame."""
    follower = _Follower(networks, layout)
    count = 0
    for frame in frames:
        follower.look(frame.image, count)
        count += 1
        step()
    stays = [s for s in follower.stays if len(s.landmarks) >= _SHORTEST]
    stays = [s for s in stays if s.width_px >= LEAST_FACE_PX]
    number_persons(stays, layout)
    return FilmPeople(tuple(stays), tuple(follower.shots), count)


def number_persons(stays: list[Stay], layout: FaceSheet) -> None:
    """Give every stay its person's number: who looks alike is one, unless seen side by side."""
    ordered = sorted(stays, key=_weight, reverse=True)
    known: list[tuple[Stay, Float32]] = []
    groups = 0
    for stay in ordered:
        own = stay.traits(layout)
        alike = [
            (likeness(own, other_traits), other)
            for other, other_traits in known
            if not any(_together(stay, s) for s, _ in known if s.person == other.person)
        ]
        best = max(alike, key=lambda pair: pair[0], default=(-1.0, stay))
        if best[0] >= ALIKE:
            stay.person = best[1].person
        else:
            groups += 1
            stay.person = groups
        known.append((stay, own))
    weight = {p: sum(_weight(s) for s in stays if s.person == p) for p in range(1, groups + 1)}
    order = sorted(weight, key=lambda person: -weight[person])
    for stay in stays:
        stay.person = order.index(stay.person) + 1


def _weight(stay: Stay) -> float:
    return len(stay.landmarks) * stay.width_px


def _together(one: Stay, other: Stay) -> bool:
    return not one.landmarks.keys().isdisjoint(other.landmarks.keys())


class _Follower:
    """Follows everybody through a film's frames."""

    def __init__(self, networks: FaceNetworks, layout: FaceSheet) -> None:
        self._networks, self._layout = networks, layout
        self._cuts = CutFinder()
        self.stays: list[Stay] = []
        self.shots: list[int] = []
        self._now: list[tuple[Stay, Region]] = []
        self._gone: list[tuple[Stay, Region]] = []
        self._tiles: Iterator[Tile] = iter(())

    def look(self, image: UInt8Image, index: int) -> None:
        """See who is in the next frame."""
        begins = self._cuts.cuts_before(image)
        if begins:
            self.shots.append(index)
            self._now, self._gone = [], []
        self._follow(image, index)
        found = self._seen_near(image)
        if begins:
            found += self._seen_everywhere(image)
        elif index % _LOOK_EVERY == 0:
            found += detect(self._networks, image)
        else:
            tile = next(self._tiles, None)
            found += [] if tile is None else detect(self._networks, image, tile)
        self._take(distinct(found), image, index)

    def _seen_near(self, image: UInt8Image) -> list[Detection]:
        """Return who is seen where somebody was lost."""
        found: list[Detection] = []
        for _, region in self._gone:
            side = region.width * _AROUND
            tile = Tile(region.x - side / 2, region.y - side / 2, side)
            found += detect(self._networks, image, tile)
        return found

    def _seen_everywhere(self, image: UInt8Image) -> list[Detection]:
        """Return all faces, small ones, too; later one part after the other is looked at."""
        squares = self._every_tile((image.shape[1], image.shape[0]))
        self._tiles = cycle(squares)
        found = detect(self._networks, image)
        for tile in squares:
            found = distinct([*found, *detect(self._networks, image, tile)])
        return found

    @staticmethod
    def _every_tile(size_px: tuple[int, int]) -> list[Tile]:
        return [tile for side in levels(size_px) for tile in tiles(size_px, side)]

    def _follow(self, image: UInt8Image, index: int) -> None:
        """Look where everybody just was."""
        before, self._now = self._now, []
        for stay, region in before:
            points = look(self._networks, image, region)
            there = None if points is None else around_landmarks(points)
            if points is None or there is None or not self._is_new_place(region, there):
                self._gone.append((stay, region))
                continue
            self._keep(stay, image, index, points, there)

    def _is_new_place(self, last: Region, now: Region) -> bool:
        """Return whether one who was at ``last`` may be at ``now``, and nobody else is there."""
        ratio = now.width / last.width
        near = distance(last, now) < _JUMP and 1 / _ALIKE_SIZE < ratio < _ALIKE_SIZE
        return near and not self._is_taken(now)

    def _is_taken(self, region: Region) -> bool:
        return any(distance(other, region) < _SAME_PLACE for _, other in self._now)

    def _take(self, found: list[Detection], image: UInt8Image, index: int) -> None:
        """Follow those of ``found`` who are not followed yet."""
        for detection in found:
            region = around_detection(detection)
            if self._is_taken(region):
                continue
            points = settled(self._networks, image, region)
            if points is None:
                continue
            there = around_landmarks(points)
            if self._is_taken(there) or face_width(points) < LEAST_FACE_PX / 2:
                continue
            self._keep(self._returned(there), image, index, points, there)

    def _returned(self, there: Region) -> Stay:
        """Return the stay of one who was gone near by, else a new one."""
        for k, (stay, region) in enumerate(self._gone):
            if distance(region, there) < _JUMP and 1 / 2 < there.width / region.width < 2:
                del self._gone[k]
                return stay
        stay = Stay(len(self.shots) - 1)
        self.stays.append(stay)
        return stay

    def _keep(
        self, stay: Stay, image: UInt8Image, index: int, points: Float32, there: Region
    ) -> None:
        size_px = image.shape[1], image.shape[0]
        pose = self._networks.canonical.pose(points, size_px)
        face = Face(points, np.zeros(52, np.float32), pose, size_px)
        stay.keep(self._layout, image, index, face)
        self._now.append((stay, there))


def _thumbnail(image: UInt8Image, points: Float32, side: int = 192) -> UInt8Image:
    """Return the head, uint8 (side, side, 3)."""
    low, high = points[:SURFACE_COUNT, :2].min(axis=0), points[:SURFACE_COUNT, :2].max(axis=0)
    middle, wide = (low + high) / 2, float(max(high - low)) * 1.7
    return Region(float(middle[0]), float(middle[1]), wide, wide, 0.0).cut(image, side)
