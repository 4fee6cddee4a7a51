"""Networks that are known by heart: one that changes nothing, one that paints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from avatar.core.choices import Framing
from avatar.core.frames import Face, UInt8Image
from avatar.stages.generate.portrait import PortraitGenerator, PortraitSettings
from avatar.stages.generate.trained.generator import TrainedGenerator
from avatar.stages.generate.trained.references import Kept, References
from engines.graph import Array
from engines.patches import Patch, inputs_of, outputs_of, patches_of, spec_of
from engines.runner import Runner


class ToyRunner(Runner):
    """Gives every picture back, or one colour in its place; ``share`` of it is to be taken."""

    backend = "toy"

    def __init__(self, patches: Sequence[Patch], colour: Any = None, share: int = 255) -> None:
        super().__init__(spec_of(patches), "cpu")
        self._patches, self._colour, self._share = patches, colour, share
        self.seen: list[dict[str, Array]] = []

    def _infer(self, feeds: Mapping[str, Any]) -> dict[str, Array]:
        self.seen.append(dict(feeds))
        found = {}
        for patch in self._patches:
            corrected, mask = outputs_of(patch)
            found[corrected] = feeds[inputs_of(patch)[0]].copy()
            if self._colour is not None:
                found[corrected][:] = self._colour
            found[mask] = np.full(found[corrected].shape[:3], self._share, np.uint8)
        return found

    def _close(self) -> None:
        """Nothing to free."""


def trained(
    photo: UInt8Image,
    face: Face,
    framing: Framing = "photo",
    size_px: tuple[int, int] | None = None,
    *,
    size: str = "regions",
    colour: Any = None,
    share: int = 255,
    settings: PortraitSettings | None = None,
    opening: float = 1.0,
) -> tuple[TrainedGenerator, list[ToyRunner]]:
    """Return a generator with a toy network, and the runners that it opened so far.

    ``opening``: see ``References``.
    """
    patches = patches_of(size)
    opened: list[ToyRunner] = []

    def open_runner() -> ToyRunner:
        opened.append(ToyRunner(patches, colour, share))
        return opened[-1]

    settings = settings or PortraitSettings("teeth")
    portrait = PortraitGenerator(photo, face, framing, size_px, settings)
    references = no_references(patches, opening)
    return TrainedGenerator(portrait, patches, lambda: references, open_runner), opened


def no_references(patches: Sequence[Patch], opening: float = 1.0) -> References:
    """Return references of a person of whom nothing but the mouth's ``opening`` is known."""
    return References(
        {
            patch.name: Kept(
                np.zeros((0, patch.count, 1, 2), np.float32),
                np.zeros((0, 3), np.float32),
                np.zeros((0, patch.count, patch.side_px, patch.side_px, 3), np.uint8),
                (1,),
            )
            for patch in patches
        },
        opening,
    )
