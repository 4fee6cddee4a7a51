"""From the best weights to files that run: graphs, their precisions, and the card."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from avatar import __version__
from avatar.core.errors import UsageError
from avatar.core.files import file_sha256, write_record, write_whole
from avatar.learn.generator.session import disk_errors_as_usage
from avatar.library.avatars import StoredAvatar
from avatar.library.generators.card import (
    CARD,
    REFERENCES,
    SCHEMA_VERSION,
    WEIGHTS,
    Card,
    neural_folder,
    pairs_folder,
    training_folder,
    utc_now,
)

if TYPE_CHECKING:
    from avatar.learn.generator.record import TrainingRecord
    from avatar.learn.generator.session import TrainingSession
    from engines.precision import Feeds
    from engines.training.loop import Trainer
    from engines.training.pairs import Pairs

Say = Callable[[str], None]

_SAMPLES = 24


def finish(
    stored: StoredAvatar,
    given: TrainingRecord,
    trainer: Trainer,
    session: TrainingSession,
    device: str,
    say: Say,
) -> Card:
    """Export the best weights and write the card; return it.

    Raises ``UsageError`` when there are no weights yet or the disk refuses.
    """
    from engines.training.loop import BEST

    best = training_folder(stored.folder) / BEST
    if not best.exists():
        raise UsageError("expected trained weights, found none yet: train for longer")
    say("exporting …")
    folder = neural_folder(stored.folder)
    with disk_errors_as_usage(folder):
        folder.mkdir(mode=0o700, exist_ok=True)
        int8_error = _export(best, folder, trainer.pairs)
        references = (pairs_folder(stored.folder) / REFERENCES).read_bytes()
        write_whole(folder / REFERENCES, references, flush=True)
        card = _card(stored, given, trainer, session, device, folder, int8_error)
        write_record(folder / CARD, card)
    gain = 1 - card.held_out_error / card.untrained_error
    say(
        f"{stored.name}: held-out error {card.held_out_error:.4f}, {gain:.0%} below the portrait "
        f"engine's {card.untrained_error:.4f}"
    )
    say(f'use it: avatar run --engine neural --avatar "{stored.name}"')
    return card


def _export(best: Path, folder: Path, pairs: Pairs) -> float | None:
    """Write weights and graphs; return int8's mean error in levels, None without ONNX Runtime."""
    from engines import precision, trained

    network = trained.load(best, pairs.patches)
    write_whole(folder / WEIGHTS, best.read_bytes(), flush=True)
    graph = trained.graph(network)
    write_whole(folder / "fp32.onnx", graph.SerializeToString(), flush=True)
    write_whole(folder / "fp16.onnx", precision.to_fp16(graph).SerializeToString(), flush=True)
    eight = trained.eight_bit(graph, _samples(pairs, pairs.train))
    write_whole(folder / "int8.onnx", eight.SerializeToString(), flush=True)
    return _int8_error(graph, eight, pairs)


def _samples(pairs: Pairs, among: Any) -> Iterator[Feeds]:
    """Yield inputs of the generator, evenly spread over ``among``."""
    from engines.patches import inputs_of

    for pair in among[np.linspace(0, len(among) - 1, min(_SAMPLES, len(among))).astype(int)]:
        feeds: dict[str, Any] = {}
        for patch in pairs.patches:
            batch = pairs.batch(patch, np.array([pair]))
            given = (batch.picture, batch.reference, batch.maps)
            feeds.update(zip(inputs_of(patch), given, strict=True))
        yield feeds


def _int8_error(exact: Any, eight: Any, pairs: Pairs) -> float | None:
    """Return the mean difference of what is drawn in 8 bits and in 32, in levels, held out."""
    from engines.onnxruntime import OnnxRuntimeRunner
    from engines.patches import outputs_of

    apart = []
    with OnnxRuntimeRunner(exact) as full, OnnxRuntimeRunner(eight) as small:
        for feeds in _samples(pairs, pairs.held_out):
            a, b = full.infer(feeds), small.infer(feeds)
            for patch in pairs.patches:
                name, _ = outputs_of(patch)
                apart.append(np.abs(a[name].astype(np.int16) - b[name]).mean())
    return float(np.mean(apart)) if apart else None


def _card(
    stored: StoredAvatar,
    given: TrainingRecord,
    trainer: Trainer,
    session: TrainingSession,
    device: str,
    folder: Path,
    int8_error: float | None,
) -> Card:
    import torch

    return Card(
        schema_version=SCHEMA_VERSION,
        size=given.size,
        rights=given.rights,
        photo_sha256=stored.sha256,
        weights_sha256=file_sha256(folder / WEIGHTS),
        data_sha256=trainer.pairs.sha256,
        base_sha256=given.base_sha256,
        recordings=given.recordings,
        trained_share=given.share,
        train_pairs=len(trainer.pairs.train),
        held_out_pairs=len(trainer.pairs.held_out),
        steps=trainer.step_count,
        seconds=round(session.spent_s, 1),
        device=device,
        held_out_error=trainer.kept_error if math.isfinite(trainer.kept_error) else 0.0,
        untrained_error=session.untrained_error,
        int8_error=int8_error,
        seed=given.seed,
        made=utc_now(),
        program_version=__version__,
        torch_version=torch.__version__,
        taught=given.taught,
    )
