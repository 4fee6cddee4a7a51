"""How good a face put into a film is, beside a naive way: ``python -m avatar.measure.swap``.

Every film with every photograph, some consecutive frames each. dlib, which nothing that draws uses,
judges whose face it is and whether the expression stayed. The naive way bends the photograph onto
the film's landmarks by triangles, gives it the film's average colours and lays it in with a soft
edge; it knows no light, no cover and no grain.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from avatar.core.counting import counted
from avatar.core.face.topology import FACE_OVAL, INNER_LIPS, SURFACE_COUNT
from avatar.core.frames import CameraFrame, Float32, UInt8Image
from avatar.core.home import Home
from avatar.core.outputs import write_json
from avatar.core.terminal import say
from avatar.library.face_model import find_face_model
from avatar.measure.quality.detectors import FaceMeter
from avatar.sessions.avatars import AvatarPhoto, open_one
from avatar.sessions.swap_people import FilmPeople, find_people
from avatar.sessions.swap_plan import SwapPlan
from avatar.stages.generate.swap.layout import FaceSheet, drawn
from avatar.stages.generate.swap.photograph import NewFace, at, face_width
from avatar.stages.sources.video import film_frames
from avatar.stages.track.networks import FaceNetworks

_JUDGED_PX = 256
_INNER = slice(17, 68)
_KEPT_LEVELS = 14
_KEEP = frozenset({"eyes", "mouth", "glasses"})
_OBJECTS = ((30, 60, 160), (200, 200, 190), (25, 25, 28))
_SIDE = 512


@dataclass(frozen=True, eq=False)
class _Shot:
    """Some frames of one film with its main person's landmarks in each."""

    name: str
    images: list[UInt8Image]
    people: FilmPeople
    track_ms: float

    def marks(self) -> list[Float32]:
        (stay,) = self.people.of(1)[:1]
        return [stay.landmarks[k] for k in range(len(self.images)) if k in stay.landmarks]


def naive(image: UInt8Image, marks: Float32, sheet: Float32, layout: FaceSheet) -> UInt8Image:
    """Return the naive swap: bent, the face's average colours, a soft oval, the film's mouth."""
    import cv2

    height, width = image.shape[:2]
    ones = np.ones(SURFACE_COUNT, np.float32)
    places, there = drawn(layout, marks, (0, 0), (width, height), ones)
    skin = at(sheet, places[..., 0], places[..., 1])
    mask = np.zeros((height, width), np.uint8)
    cv2.fillPoly(mask, [marks[FACE_OVAL, :2].astype(np.int32)], 255)
    inside = (mask > 0) & there
    if not inside.any():
        return image
    new, old = skin[inside], image[inside].astype(np.float32)
    skin = (skin - new.mean(axis=0)) / (new.std(axis=0) + 1e-3) * old.std(axis=0) + old.mean(axis=0)
    soft = face_width(marks) / 30
    eroded = cv2.erode(mask, np.ones((round(2 * soft) + 1,) * 2, np.uint8))
    share = cv2.GaussianBlur(eroded, (0, 0), soft).astype(np.float32) / 255
    mouth = np.zeros((height, width), np.uint8)
    cv2.fillPoly(mouth, [marks[INNER_LIPS, :2].astype(np.int32)], 255)
    share *= 1 - cv2.GaussianBlur(mouth, (0, 0), 1.5).astype(np.float32) / 255
    mixed = image + (skin - image) * share[..., None]
    return np.asarray(np.clip(np.rint(mixed), 0, 255), np.uint8)


def _shots(
    films: list[Path], frames: int, networks: FaceNetworks, layout: FaceSheet
) -> list[_Shot]:
    return [_shot(film, frames, networks, layout) for film in films]


def _shot(film: Path, frames: int, networks: FaceNetworks, layout: FaceSheet) -> _Shot:
    # The beginning is often still: what follows the first second is judged.
    images = [frame.image for frame in islice(film_frames(film), 30, 30 + frames)]
    return _seen(film.stem, images, networks, layout)


def _seen(name: str, images: list[UInt8Image], networks: FaceNetworks, layout: FaceSheet) -> _Shot:
    began = time.thread_time()
    camera = (CameraFrame(image, k * 33_333_333, k) for k, image in enumerate(images))
    people = find_people(camera, networks, layout)
    spent = time.thread_time() - began
    return _Shot(name, images, people, 1e3 * spent / len(images))


def _crop(image: UInt8Image, marks: Float32) -> UInt8Image:
    """Return the head, uint8 (256, 256, 3)."""
    import cv2

    low, high = marks[:SURFACE_COUNT, :2].min(axis=0), marks[:SURFACE_COUNT, :2].max(axis=0)
    side = 1.7 * float(max(high - low))
    scale, middle = _JUDGED_PX / side, (low + high) / 2
    matrix = np.array([[scale, 0, _JUDGED_PX / 2 - scale * middle[0]],
                       [0, scale, _JUDGED_PX / 2 - scale * middle[1]]])  # fmt: skip
    size = (_JUDGED_PX, _JUDGED_PX)
    cut = cv2.warpAffine(image, matrix, size, flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(cut, np.uint8)


def _step(image: UInt8Image, marks: Float32) -> float:
    """Return the mean colour step across the line on which a swap ends, levels."""
    import cv2

    oval = marks[FACE_OVAL, :2]
    middle = oval.mean(axis=0)
    steps = [middle + (oval - middle) * share - np.float32(0.5) for share in (0.88, 1.0)]
    inner, outer = (
        cv2.remap(cv2.GaussianBlur(image, (0, 0), 1.5), p.astype(np.float32)[None], None,  # type: ignore[call-overload]
                  cv2.INTER_LINEAR).astype(np.float32) for p in steps
    )  # fmt: skip
    return float(np.abs(inner - outer).mean())


def _flicker(made: list[UInt8Image], film: list[UInt8Image], marks: list[Float32]) -> float:
    """Return how much consecutive frames differ inside the face, over the film's own."""
    import cv2

    ours = theirs = 0.0
    for k in range(1, len(made)):
        mask = np.zeros(film[k].shape[:2], np.uint8)
        cv2.fillPoly(mask, [marks[k][FACE_OVAL, :2].astype(np.int32)], 1)
        inside = mask > 0
        ours += float(np.abs(made[k][inside].astype(int) - made[k - 1][inside]).mean())
        theirs += float(np.abs(film[k][inside].astype(int) - film[k - 1][inside]).mean())
    return ours / max(theirs, 1e-6)


def _judge(
    meter: FaceMeter, made: list[UInt8Image], shot: _Shot, photo: np.ndarray[Any, Any],
) -> dict[str, float]:  # fmt: skip
    """Return what is told of one way's pictures."""
    to_photo, to_film, moved, jaw_film, jaw_made = [], [], [], [], []
    marks = shot.marks()
    every = max(1, len(made) // 12)
    for image, before, points in list(zip(made, shot.images, marks, strict=False))[::every]:
        new, old = meter.face(_crop(image, points)), meter.face(_crop(before, points))
        if new is None or old is None:
            continue
        to_photo.append(float(np.linalg.norm(new.descriptor - photo)))
        to_film.append(float(np.linalg.norm(new.descriptor - old.descriptor)))
        moved.append(float(np.abs(new.points_px[_INNER] - old.points_px[_INNER]).mean()))
        jaw_film.append(float(old.points_px[57, 1] - old.points_px[51, 1]))
        jaw_made.append(float(new.points_px[57, 1] - new.points_px[51, 1]))
    nearer = np.mean(np.array(to_photo) < np.array(to_film)) if to_photo else np.nan
    steps = [(_step(m, p), _step(f, p)) for m, f, p in zip(made, shot.images, marks, strict=False)]
    still = len(jaw_film) < 3 or np.std(jaw_film) < 0.7
    return {
        "to_photo": float(np.median(to_photo)) if to_photo else np.nan,
        "to_film": float(np.median(to_film)) if to_film else np.nan,
        "nearer_photo": float(nearer),
        "moved_px": float(np.mean(moved)) if moved else np.nan,
        "mouth_correlation": np.nan if still else float(np.corrcoef(jaw_film, jaw_made)[0, 1]),
        "flicker": _flicker(made, shot.images, marks),
        "seam": float(np.sum([a for a, _ in steps]) / max(np.sum([b for _, b in steps]), 1e-6)),
    }


def _covered(shot: _Shot) -> Iterator[tuple[UInt8Image, np.ndarray[Any, Any]]]:
    """Yield the frames with an object that moves across the face, and where it is."""
    import cv2

    marks, count = shot.marks(), len(shot.images)
    for k, image in enumerate(shot.images):
        points = marks[min(k, len(marks) - 1)]
        width, middle = face_width(points), points[:SURFACE_COUNT, :2].mean(axis=0)
        mask = np.zeros(image.shape[:2], np.uint8)
        if count // 4 <= k < count * 3 // 4:
            share = (k - count // 4) / max(count // 2, 1)
            x = middle[0] + (share - 0.5) * 0.9 * width
            box = ((float(x), float(middle[1] + 0.25 * width)), (0.22 * width, 0.7 * width), 20.0)
            cv2.fillPoly(mask, [cv2.boxPoints(box).astype(np.int32)], 1)
        out = image.copy()
        out[mask > 0] = _OBJECTS[len(shot.name) % len(_OBJECTS)]
        yield out, mask > 0


def _kept(shot: _Shot, new: NewFace, networks: FaceNetworks, layout: FaceSheet) -> float:
    """Return the share of an object's pixels that stay as they are before the new face."""
    pairs = list(_covered(shot))
    covered = _seen(shot.name, [image for image, _ in pairs], networks, layout)
    plan = SwapPlan(covered.people, {1: new}, layout, _KEEP, 1.0)
    kept = whole = 0
    for k, (image, mask) in enumerate(pairs):
        if not mask.any():
            continue
        made = plan.draw(image, k)
        same = np.abs(made.astype(int) - image).max(axis=-1) <= _KEPT_LEVELS
        kept, whole = kept + int((same & mask).sum()), whole + int(mask.sum())
    return kept / max(whole, 1)


def measure(
    films: list[Path], photos: list[Path], frames: int, home: Home, pictures: Path | None = None
) -> list[dict[str, Any]]:
    """Return a row for each film, photograph and way; ``pictures``: a folder for looks at each."""
    model, meter, rows = find_face_model(None, home), FaceMeter(), []
    with FaceNetworks(model) as networks:
        layout = FaceSheet(networks.canonical.points)
        shots = _shots(films, frames, networks, layout)
        for path in photos:
            photo = open_one(path, model, home, say)
            own = meter.face(_crop(photo.photo, photo.face.landmarks_px))
            if own is None:
                say(f"{path}: dlib sees no face in it, so nothing can be judged")
                continue
            for shot in shots:
                rows += _pair(meter, shot, path.stem, photo, own.descriptor, networks, layout,
                              pictures)  # fmt: skip
    return rows


def _pair(
    meter: FaceMeter, shot: _Shot, name: str, photo: AvatarPhoto,
    descriptor: np.ndarray[Any, Any], networks: FaceNetworks, layout: FaceSheet,
    pictures: Path | None,
) -> list[dict[str, Any]]:  # fmt: skip
    import cv2

    new = NewFace(photo.photo, photo.face, layout)
    plan = SwapPlan(shot.people, {1: new}, layout, _KEEP, 1.0)
    began = time.thread_time()
    made = [plan.draw(image, k) for k, image in enumerate(shot.images)]
    draw_ms = 1e3 * (time.thread_time() - began) / len(made)
    sheet = layout.unwrap(photo.photo, photo.face.landmarks_px, _SIDE)
    plain = [naive(i, m, sheet, layout) for i, m in zip(shot.images, shot.marks(), strict=False)]
    if pictures is not None:
        k = len(made) // 2
        look = np.hstack([_crop(p[k], shot.marks()[k]) for p in (shot.images, plain, made)])
        cv2.imwrite(str(pictures / f"{shot.name}_{name}.png"), look[..., ::-1])
    where = {"film": shot.name, "photo": name}
    ours = {"way": "swap", **_judge(meter, made, shot, descriptor)}
    ours |= {
        "objects_kept": _kept(shot, new, networks, layout),
        "draw_ms": draw_ms,
        "look_ms": shot.track_ms,
    }
    return [where | {"way": "naive", **_judge(meter, plain, shot, descriptor)}, where | ours]


def table(rows: list[dict[str, Any]]) -> str:
    """Return the medians of both ways as a Markdown table."""
    names = [name for name in rows[-1] if name not in ("film", "photo", "way")]
    lines = ["| | naive | swap | worst of swap |", "|---|---|---|---|"]
    for name in names:
        cells = []
        for way in ("naive", "swap"):
            values = [row[name] for row in rows if row["way"] == way and name in row]
            cells.append(f"{np.nanmedian(values):.2f}" if values else "–")
        ours = [row[name] for row in rows if row["way"] == "swap"]
        low = name in ("nearer_photo", "mouth_correlation", "objects_kept")
        cells.append(f"{(np.nanmin if low else np.nanmax)(ours):.2f}")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Read the command line, measure, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--films", nargs="+", type=Path, required=True)
    parser.add_argument("--photos", nargs="+", type=Path, required=True)
    parser.add_argument("--frames", type=int, default=36)
    parser.add_argument("--out", type=Path, help="JSON with every pair")
    parser.add_argument("--pictures", type=Path, help="folder for a look at every pair")
    asked = parser.parse_args()
    if asked.pictures is not None:
        asked.pictures.mkdir(parents=True, exist_ok=True)
    home = Home.of_user()
    rows = measure(asked.films, asked.photos, asked.frames, home, asked.pictures)
    if asked.out is not None:
        write_json(asked.out, {"pairs": rows})
    sys.stdout.write(table(rows) + "\n")
    say(counted(len(rows) // 2, "pair"))


if __name__ == "__main__":
    main()
