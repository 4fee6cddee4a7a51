"""How long a frame takes on this machine: ``python -m engines.measure``.

Every form is run with the same weights and the same inputs as the networks as they were published,
in one process, and compared with them. Without ``--checkpoints`` the weights are made from a seed:
time and operations are those of trained ones.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from avatar.core.errors import AvatarError, EngineError
from engines import precision, samples
from engines.backends import GRAPH_BACKENDS, GraphBackend
from engines.compare import compare
from engines.cost import DEVICES, cost
from engines.export import MODELS, export, model
from engines.graph import Array
from engines.networks import FAMILIES, create
from engines.runner import Runner

if TYPE_CHECKING:
    from onnx import ModelProto
    from torch import nn


@dataclass(frozen=True)
class Time:
    """Of one frame: the best is what the machine can do, the median what it did."""

    best_ms: float = 0.0
    median_ms: float = 0.0

    def __add__(self, other: Time) -> Time:
        return Time(self.best_ms + other.best_ms, self.median_ms + other.median_ms)


@dataclass(frozen=True)
class TimingRow:
    """One line of the result."""

    family: str
    form: str
    time: Time
    error: float | None

    def __str__(self) -> str:
        error = "" if self.error is None else f"{self.error:9.1e}"
        return (
            f"{self.family:<13} {self.form:<24} {self.time.best_ms:9.0f} "
            f"{self.time.median_ms:9.0f} {error:>9}"
        )


HEADER = f"{'network':<13} {'form':<24} {'best ms':>9} {'median ms':>9} {'error':>9}"


def measure(
    family: str,
    networks: Mapping[str, nn.Module],
    forms: Sequence[str],
    *,
    threads: int,
    repeats: int,
    pictures: Sequence[Array],
) -> Iterator[TimingRow]:
    """A row for each of ``forms``: ``original``, or a backend and a precision (``openvino int8``).

    ``pictures`` are uint8 (256, 256, 3): the source, then driving ones; the last is never used for
    int8's ranges, and is what is timed and compared.
    """
    import torch

    from engines.torch import reference

    torch.set_num_threads(threads)
    known = FAMILIES[family]
    names = (*known.each_frame, *known.whole)
    feeds = {name: samples.real_feeds(name, networks, pictures[0], pictures[1:]) for name in names}
    references = {name: reference(name, networks) for name in names}
    if "original" in forms:
        taken = Time()
        for name in names:
            taken = taken + _time(references[name], feeds[name][-1], repeats)
        yield TimingRow(family, "original (torch)", taken, None)
    for backend, kind in (form.split(" ") for form in forms if form != "original"):
        taken, error = Time(), 0.0
        for name in known.each_frame:
            graph = export(name, networks, form=_on_cpu(backend).volume_form())
            graph = _in_precision(name, graph, kind, feeds[name][:-1])
            with _on_cpu(backend).open(name, graph, threads=threads) as runner:
                del graph
                taken = taken + _time(runner, feeds[name][-1], repeats)
                differences = compare(runner, references[name], feeds[name][-1:])
            error = max(d.relative for d in differences)  # of the last model: the picture
        yield TimingRow(family, f"{backend} {kind}", taken, error)


def _in_precision(
    name: str, graph: ModelProto, kind: str, ranges: Sequence[Mapping[str, Array]]
) -> ModelProto:
    made: dict[str, Callable[[], ModelProto]] = {
        "fp32": lambda: graph,
        "fp16": lambda: precision.to_fp16(graph),
        "int8": lambda: precision.to_int8(graph, ranges, only=model(name).eight_bit(graph)),
    }
    if kind not in made:
        raise EngineError(f"no precision is called {kind!r}; known are {', '.join(made)}")
    return made[kind]()


def _on_cpu(name: str) -> GraphBackend:
    known = {key: each for key, each in GRAPH_BACKENDS.items() if "cpu" in each.devices}
    if name not in known:
        raise EngineError(f"no backend is called {name!r} here; known are {', '.join(known)}")
    return known[name]


def _time(runner: Runner, feeds: Mapping[str, Array], repeats: int) -> Time:
    """Of ``repeats`` runs, after one that is not counted."""
    runner.infer(feeds)
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        runner.infer(feeds)
        times.append(1e3 * (time.perf_counter() - start))
    return Time(min(times), sorted(times)[len(times) // 2])


def _networks(family: str, folder: Path | None) -> dict[str, Any]:
    from engines.networks import NAMES
    from engines.networks.checkpoint import load_state, read, recognise
    from engines.networks.seeded import seeded

    known = FAMILIES[family]
    wanted = [n for name in (*known.each_frame, *known.whole) for n in model(name).networks]
    wanted += [n for name in known.each_frame for n in samples.networks_for(name)]
    if folder is None:
        return {name: seeded(name) for name in NAMES if name in wanted}
    found: dict[str, Any] = {}
    for path in sorted(folder.iterdir()):
        content = read(path)
        for name in recognise(content):
            if name in wanted:
                found[name] = load_state(name, content, str(path))
    if missing := sorted(set(wanted) - set(found)):
        raise EngineError(f"{folder} has no checkpoint of {', '.join(missing)}")
    return found


def costs() -> Iterator[str]:
    """A line for each model: operations as published and as deployed, bytes, and floors."""
    yield (
        f"{'model':<50} {'published':>9} {'deployed':>9} {'weights':>9} {'moved':>9}  "
        + "  ".join(f"{device.name:>8}" for device in DEVICES)
    )
    yield (
        f"{'':<50} {'GFLOP':>9} {'GFLOP':>9} {'M values':>9} {'M values':>9}  "
        + "  ".join(f"{'ms':>8}" for _ in DEVICES)
    )
    for name, wanted in MODELS.items():
        networks = {network: create(network) for network in wanted.networks}
        found = cost(export(name, networks))
        floors = "  ".join(f"{device.floor_ms(found):8.3f}" for device in DEVICES)
        yield (
            f"{name:<50} {_published_operations(name, networks) / 1e9:9.3f} "
            f"{found.operations / 1e9:9.3f} {found.weights / 1e6:9.2f} "
            f"{found.activations / 1e6:9.1f}  {floors}"
        )


def _published_operations(name: str, networks: Mapping[str, nn.Module]) -> int:
    """Counted while the published networks run once."""
    from torch.utils.flop_counter import FlopCounterMode

    from engines.torch import reference

    counter = FlopCounterMode(display=False)
    with counter, reference(name, networks) as runner:
        runner.infer(samples.random_feeds(name))
    return int(counter.get_total_flops())


def load() -> str:
    """How busy the machine is, in words."""
    try:
        return f"load {os.getloadavg()[0]:.1f}"
    except (AttributeError, OSError):  # Windows has none
        return "load unknown"


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    text = info.read_text() if info.is_file() else ""
    names = [line.split(":")[1].strip() for line in text.splitlines() if "model name" in line]
    sets = [name for name in ("avx2", "avx512f", "avx512_vnni", "avx_vnni") if name in text]
    return f"{names[0] if names else platform.processor()} ({' '.join(sets) or 'unknown'})"


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; see the module."""
    parser = argparse.ArgumentParser(prog="python -m engines.measure", description=__doc__)
    parser.add_argument("families", nargs="*", default=list(FAMILIES), help=", ".join(FAMILIES))
    parser.add_argument(
        "--form",
        action="append",
        help="original, or a backend and a precision: 'openvino int8' (may be given again)",
    )
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--checkpoints", type=Path, help="a folder of published weights")
    parser.add_argument("--costs", action="store_true", help="count operations and bytes instead")
    options = parser.parse_args(arguments)
    if options.costs:
        for line in costs():
            sys.stdout.write(f"{line}\n")
            sys.stdout.flush()
        return 0
    forms = options.form or ["original", "openvino fp32", "openvino int8", "onnxruntime fp32"]
    out = sys.stdout
    out.write(f"{_cpu()}, {options.threads} threads, {load()} before\n{HEADER}\n")
    try:
        for family in options.families:
            if family not in FAMILIES:
                raise EngineError(
                    f"no family is called {family!r}; known are {', '.join(FAMILIES)}"
                )
            for row in measure(
                family,
                _networks(family, options.checkpoints),
                forms,
                threads=options.threads,
                repeats=options.repeats,
                pictures=samples.random_pictures(4),
            ):
                out.write(f"{row}\n")
                out.flush()
    except AvatarError as error:
        sys.stderr.write(f"measure: {error}\n")
        return error.exit_status
    out.write(f"{load()} after\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
