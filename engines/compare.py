"""Parity: how far a backend's outputs are from the reference's, output by output."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from avatar.core.errors import EngineError
from engines.graph import Array
from engines.runner import Runner

LIMITS: Mapping[str, float] = {"fp32": 1e-3, "fp16": 2e-2, "int8": 5e-2}
"""The relative error that each precision may have. fp32 leaves room for ``tile4c`` resampling."""


@dataclass(frozen=True)
class Difference:
    """One output against the reference's, over all samples.

    ``relative`` is ‖found − expected‖ / ‖expected‖; ``largest`` and ``mean`` are of the absolute
    differences, in the output's own unit: levels of 255 for a picture.
    """

    output: str
    relative: float
    largest: float
    mean: float

    def within(self, limit: float) -> bool:
        """Whether the relative error is below ``limit``; what is not a number is not."""
        return bool(self.relative < limit)


def compare(
    runner: Runner, reference: Runner, samples: Iterable[Mapping[str, Array]]
) -> tuple[Difference, ...]:
    """Run both on every sample. Raises ``EngineError`` when their outputs differ in kind."""
    if runner.spec.outputs != reference.spec.outputs:
        raise EngineError(
            f"the models differ: {runner.backend} gives "
            f"{', '.join(map(str, runner.spec.outputs))}; {reference.backend} gives "
            f"{', '.join(map(str, reference.spec.outputs))}"
        )
    pairs = [(runner.infer(feeds), reference.infer(feeds)) for feeds in samples]
    if not pairs:
        raise EngineError("comparing needs at least one sample; found none")
    return tuple(
        _difference(spec.name, [(f[spec.name], e[spec.name]) for f, e in pairs])
        for spec in reference.spec.outputs
    )


def _difference(name: str, pairs: Sequence[tuple[Array, Array]]) -> Difference:
    found = np.concatenate([f.ravel() for f, _ in pairs]).astype(np.float64)
    expected = np.concatenate([e.ravel() for _, e in pairs]).astype(np.float64)
    gap = np.abs(found - expected)
    size = float(np.linalg.norm(expected)) or 1.0
    return Difference(name, float(np.linalg.norm(gap)) / size, float(gap.max()), float(gap.mean()))


def table(differences: Sequence[Difference], limit: float) -> str:
    """The differences as lines of text, one an output, with a verdict against ``limit``."""
    width = max(len("output"), *(len(d.output) for d in differences))
    lines = [f"{'output':<{width}}  {'relative':>9}  {'largest':>9}  {'mean':>9}  below {limit:g}"]
    for d in differences:
        verdict = "yes" if d.within(limit) else "NO"
        lines.append(
            f"{d.output:<{width}}  {d.relative:9.1e}  {d.largest:9.3g}  {d.mean:9.3g}  {verdict}"
        )
    return "\n".join(lines)
