"""How long a picture of a trained generator takes here: ``python -m avatar.measure.trained.speed``.

The demo's drawn person at 1280×720, corrected by networks whose weights and references are made up:
the work is that of trained ones. Engines draw in turns, so that what else the machine does meets
all of them. OpenVINO on one thread, as ``--engine neural`` runs it.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from avatar.core.errors import AvatarError
from avatar.core.face.head import decompose
from avatar.core.face.rotation import rotation_from_vector
from avatar.core.frames import Face, Motion, Presence, UInt8Image, still
from avatar.core.home import Home
from avatar.library.face_model import find_face_model
from avatar.stages.generate.portrait import PortraitGenerator, PortraitSettings
from avatar.stages.generate.trained.generator import PatchCutter, TrainedGenerator
from avatar.stages.generate.trained.maps import telling_parts
from avatar.stages.generate.trained.references import KEPT, Kept, References
from avatar.stages.sources.demo import performance
from avatar.stages.sources.illustration import Illustrator
from avatar.stages.track.choice import detect_faces
from engines.graph import Array
from engines.measure import load
from engines.patches import SIZES, Patch, patches_of, spec_of

if TYPE_CHECKING:
    from onnx import ModelProto

    from engines.runner import Runner

SIZE_PX = (1280, 720)
_PRECISIONS = ("fp32", "int8")
# How far made-up references lie from the face at rest, in sides of a patch.
_SPREAD = 0.02
# How much these distances differ, as a power of e: then as many are taken as of a person's, two for
# seven parts of ten, three or four for the others (three clips).
_UNLIKE = 0.3


@dataclass(frozen=True, eq=False)
class Timed:
    """One engine: milliseconds of every picture, and of its network alone (none: the portrait)."""

    name: str
    picture_ms: list[float]
    network_ms: list[float]


def measure(sizes: Sequence[str], frames: int) -> list[Timed]:
    """Draw ``frames`` pictures with the portrait engine and with each size in both precisions.

    Raises ``AvatarError`` for an unknown size, or where a library is missing.
    """
    illustrator = Illustrator(SIZE_PX)
    photo = illustrator.draw(performance(0.0))
    face = detect_faces(photo, find_face_model(None, Home.of_user()))[0]
    with ExitStack() as stages:
        portrait = stages.enter_context(_portrait(photo, face, "teeth"))
        draws: list[tuple[Timed, Callable[[Motion], object]]] = [
            (Timed("portrait", [], []), portrait.generate)
        ]
        references = _Invented(photo, face)
        for size in sizes:
            patches = patches_of(size)
            for precision, graph in zip(_PRECISIONS, _graphs(patches), strict=True):
                timed = Timed(f"{size} {precision}", [], [])
                trained = TrainedGenerator(
                    _portrait(photo, face, "empty"),
                    patches,
                    partial(references.of, patches),
                    partial(_opened, graph, timed.network_ms),
                )
                draws.append((timed, stages.enter_context(trained).generate))
        for motion in _motions(frames):
            for timed, draw in draws:
                timed.picture_ms.append(_ms(draw, motion))
    return [timed for timed, _ in draws]


def _portrait(photo: UInt8Image, face: Face, mouth: Literal["teeth", "empty"]) -> PortraitGenerator:
    return PortraitGenerator(photo, face, "portrait", SIZE_PX, PortraitSettings(mouth, 1.0))


def _motions(count: int) -> Iterator[Motion]:
    """Yield a head that turns from side to side."""
    for k in range(count):
        turn = rotation_from_vector(np.array([0, 0.1 * np.sin(k / 5), 0], np.float32))
        yield replace(still(k, k, Presence.TRACKED), rotation=turn)


def _graphs(patches: Sequence[Patch]) -> tuple[ModelProto, ModelProto]:
    """Return a network of random weights in float32 and in 8 bits."""
    import torch

    from engines import trained
    from engines.networks.portrait_gan import PortraitGan

    torch.manual_seed(0)
    graph = trained.graph(PortraitGan(patches).eval().requires_grad_(False))
    random = np.random.default_rng(0)
    samples = [
        {
            t.name: random.integers(0, 255, [n or 1 for n in t.shape]).astype(np.uint8)
            for t in spec_of(patches).inputs
        }
        for _ in range(6)
    ]
    return graph, trained.eight_bit(graph, samples)


class _Invented:
    """References of nobody, near the face at rest."""

    def __init__(self, photo: UInt8Image, face: Face) -> None:
        self._photo, self._face = photo, face

    def of(self, patches: Sequence[Patch]) -> References:
        random = np.random.default_rng(0)
        with _portrait(self._photo, self._face, "empty") as portrait:
            cutter = PatchCutter(patches, decompose(portrait.canvas.face))
            pose = portrait.pose(still(0, 0, Presence.TRACKED))
            matrices = cutter.matrices(pose)
            assert matrices is not None  # a face seen from the front has patches
            points = cutter.points(pose, matrices)
        kept = {}
        for patch in patches:
            at = points[patch.name]
            spread = _SPREAD * np.exp(random.normal(0, _UNLIKE, (KEPT, 1, 1, 1)))
            moved = at + spread * random.normal(size=(KEPT, *at.shape))
            shape = (KEPT, patch.count, patch.side_px, patch.side_px, 3)
            pictures = random.integers(0, 255, shape).astype(np.uint8)
            turns = random.normal(0, 0.1, (KEPT, 3)).astype(np.float32)
            kept[patch.name] = Kept(moved.astype(np.float32), turns, pictures, telling_parts(patch))
        return References(kept, opening=1.0)


def _opened(graph: ModelProto, times_ms: list[float]) -> Runner:
    """Return a runner that writes down how long each inference took."""
    from engines.openvino import OpenVinoRunner

    class TimedRunner(OpenVinoRunner):
        def _infer(self, feeds: Mapping[str, Any]) -> dict[str, Array]:
            begin = time.perf_counter()
            found = super()._infer(feeds)
            times_ms.append((time.perf_counter() - begin) * 1e3)
            return found

    return TimedRunner(graph, threads=1)


def _ms(draw: Callable[[Motion], object], motion: Motion) -> float:
    begin = time.perf_counter()
    draw(motion)
    return (time.perf_counter() - begin) * 1e3


def table(results: Sequence[Timed]) -> Iterator[str]:
    """Yield the lines of a table: medians, and how much more than the portrait engine's."""
    yield f"{'':<16} {'a picture':>10} {'more':>8} {'network':>8}   (milliseconds, medians)"
    before = float(np.median(results[0].picture_ms))
    for timed in results:
        taken = float(np.median(timed.picture_ms))
        line = f"{timed.name:<16} {taken:10.1f}"
        if timed.network_ms:
            line += f" {taken - before:8.1f} {np.median(timed.network_ms):8.1f}"
        yield line


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; see the module."""
    parser = argparse.ArgumentParser(prog="python -m avatar.measure.trained.speed")
    parser.add_argument("sizes", nargs="*", default=list(SIZES), help=", ".join(SIZES))
    parser.add_argument("--frames", type=int, default=60)
    options = parser.parse_args(arguments)
    try:
        lines = list(table(measure(options.sizes, options.frames)))
    except AvatarError as error:
        sys.stderr.write(f"speed: {error}\n")
        return error.exit_status
    sys.stdout.write("\n".join([*lines, f"{options.frames} pictures each, {load()}", ""]))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
