"""``avatar doctor --gpu``: do the networks run here, are they right, and how fast are they?

Each model of a family is built for a backend, run, compared with the published networks in PyTorch
(``engines.compare``) and timed. What is printed also goes into a report that can be attached to an
issue: the names of this user, this machine and its folders are taken out of it.
"""

from __future__ import annotations

import getpass
import os
import platform
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from avatar import __version__
from avatar.core.errors import AvatarError, UsageError
from avatar.core.options import PUBLISHED
from avatar.core.outputs import check_output, write_output
from avatar.library.models.builds import SaidProgress, Target, choose_target, models_of, open_model
from avatar.library.models.store import installed_states, model_folder
from avatar.measure.process import machine
from engines import samples
from engines.backends import BACKENDS, GraphBackend, TorchBackend, of_device
from engines.compare import LIMITS, compare, table
from engines.networks import FAMILIES
from engines.runner import TwoFrames
from engines.select import PROBES

if TYPE_CHECKING:
    from torch import nn

    from engines.graph import Array
    from engines.runner import Runner

Say = Callable[[str], None]

_PACKAGES = (
    "torch", "onnx", "onnxscript", "onnxruntime", "openvino", "tensorrt-rtx", "tensorrt",
    "cuda-core", "cuda-bindings",
)  # fmt: skip
_PICTURES = 3
# Enough runs for a median; a slow model gets fewer.
_MOST_RUNS, _MOST_S = 50, 8.0


@dataclass(frozen=True)
class Weights:
    """The networks to try: installed ones, or made from a seed (``folder`` is None).

    ``cache``: where what is built of the latter is kept.
    """

    folder: Path | None
    networks: Mapping[str, nn.Module]
    cache: Path


@dataclass(frozen=True)
class Verdict:
    """How one model did: ``ms`` is the median of its runs, ``right`` that it computes the same."""

    name: str
    ms: float
    right: bool


class _Notes:
    """What was said, kept for the report."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self.lines: list[str] = []

    def __call__(self, line: str) -> None:
        self.lines += line.splitlines() or [""]
        self._say(line)


def doctor_gpu(
    models: Path,
    *,
    engine: str | None,
    backend: str,
    device: str = "auto",
    precision: str,
    report: Path,
    force: bool,
    say: Say,
) -> int:
    """Check the networks on this machine, write ``report``, and return the exit status.

    ``models``: the folder of the installed ones. ``engine``: a family; None takes an installed one,
    else the first. ``backend``: ``auto`` is a card's; only one by name, or ``device`` as ``cpu``,
    checks the processor. The status is 1 where nothing can run or something is wrong. Raises
    ``UsageError`` for options that cannot be meant.
    """
    family = engine or _installed_family(models) or PUBLISHED[0]
    if family not in PUBLISHED:
        known = " or ".join(PUBLISHED)
        raise UsageError(f"--engine: expected {known} with --gpu, found {family!r}")
    check_output(report, "--report", force=force)
    notes = _Notes(say)
    try:
        status = _examined(family, models, (backend, device), precision, notes)
    except AvatarError as error:
        notes(f"not possible here: {error}")
        status = 1
    write_output(report, anonymous("\n".join(notes.lines), models) + "\n")
    say(f"{report}: the same as text, without names and folders, to attach to an issue")
    return status


def _examined(
    family: str, models: Path, asked: tuple[str, str], precision: str, notes: _Notes
) -> int:
    for line in describe():
        notes(line)
    target = _target(*asked, precision, notes)
    if target is None:
        return 1
    notes(str(target.choice))
    weights = _weights(family, models)
    kind = "installed" if weights.folder else "made from a seed (none are installed)"
    notes(f"{family}, {target.precision}, weights {kind}")
    verdicts = list(examine(models_of(family), weights, target, notes))
    frame_ms = sum(v.ms for v in verdicts if v.name in FAMILIES[family].each_frame)
    notes(
        f"a frame of {family}: {frame_ms:.1f} ms, {1e3 / frame_ms:.1f} fps for the networks alone"
    )
    if wrong := [verdict.name for verdict in verdicts if not verdict.right]:
        notes(f"WRONG here: {', '.join(wrong)}. Please attach the report to an issue")
        return 1
    notes("all models compute what the published networks compute")
    return 0


def describe() -> Iterator[str]:
    """Yield what this machine has, one thing a line."""
    about = machine()
    yield f"webcam-avatar {__version__}, Python {about['python']}, {about['system']}"
    yield f"{about['cpu']}, {about['cores']} cores, {about['memory']}"
    yield "packages: " + ", ".join(f"{name} {_version(name)}" for name in _PACKAGES)
    yield f"card: {_card()}"
    for (name, device), probe in PROBES.items():
        called = (
            f"backend {name} on {device}" if len(BACKENDS[name].devices) > 1 else f"backend {name}"
        )
        try:
            yield f"{called}: can be used, {probe()}"
        except AvatarError as error:
            yield f"{called}: not usable, {error}"


def _version(package: str) -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"


def _card() -> str:
    from engines.nvidia import find_gpu

    try:
        gpu = find_gpu()
    except AvatarError as error:
        return f"none that can be used: {error}"
    cuda = f"{gpu.driver_cuda // 1000}.{gpu.driver_cuda % 1000 // 10}"
    return f"{gpu.name} ({gpu.architecture}), driver speaks CUDA {cuda}"


def _target(backend: str, device: str, precision: str, notes: _Notes) -> Target | None:
    """Return what to build for; None, with the remedy told, where no card can be used."""
    if backend != "auto" or device == "cpu":
        return choose_target(backend, precision, device)
    reasons: list[tuple[str, str]] = []
    for name in of_device("cuda"):
        try:
            return choose_target(name, precision, "cuda")
        except AvatarError as error:
            reasons.append((name, str(error)))
    notes("no NVIDIA card can be used here; the reason and what to do are shown above")
    for name, reason in reasons:
        if not any(reason in line for line in notes.lines):
            notes(f"  {name}: {reason}")
    notes("the same check on the processor: avatar doctor --gpu --backend openvino")
    return None


def _installed_family(models: Path) -> str | None:
    for family in PUBLISHED:
        try:
            model_folder(models, family)
        except AvatarError:
            continue
        return family
    return None


def _weights(family: str, models: Path) -> Weights:
    from engines.networks.checkpoint import load
    from engines.networks.seeded import seeded

    names = list(FAMILIES[family].sections)
    cache = models / "builds" / "doctor"
    try:
        folder = model_folder(models, family)
    except AvatarError:
        return Weights(None, {name: seeded(name) for name in names}, cache)
    states = installed_states(folder)
    return Weights(folder, {name: load(name, states[name]) for name in names}, cache)


def examine(
    names: Sequence[str], weights: Weights, target: Target, notes: Say
) -> Iterator[Verdict]:
    """Build, compare and time each model; tell each as it is done."""
    from engines.torch import reference

    pictures = samples.random_pictures(_PICTURES)
    for name in names:
        feeds = samples.real_feeds(name, weights.networks, pictures[0], pictures[1:])
        limit = LIMITS[target.precision_of(name)]
        started = time.perf_counter()
        with _open(name, weights, target, feeds, notes) as runner:
            notes(f"{name}: ready after {time.perf_counter() - started:.1f} s")
            differences = compare(runner, reference(name, weights.networks), feeds[-1:])
            notes(table(differences, limit))
            times, beside = _times(runner, feeds[-1]), _overlapped(runner, feeds[-1])
        median = sorted(times)[len(times) // 2]
        notes(f"{name}: {median:.2f} ms (median of {len(times)}, best {min(times):.2f}){beside}")
        yield Verdict(name, median, all(d.within(limit) for d in differences))


def _open(
    name: str,
    weights: Weights,
    target: Target,
    feeds: Sequence[Mapping[str, Array]],
    notes: Say,
) -> Runner:
    if weights.folder is not None:
        return open_model(name, weights.folder, target, progress=SaidProgress(notes), say=notes)
    from engines import precision
    from engines.export import export, model

    backend, kind = BACKENDS[target.choice.backend], target.precision_of(name)
    if isinstance(backend, TorchBackend):
        return backend.open_networks(
            name, weights.networks, precision=kind, device=target.choice.device, say=notes
        )
    assert isinstance(backend, GraphBackend)
    graph = export(name, weights.networks, form=backend.volume_form())
    if kind == "fp16":
        graph = precision.to_fp16(graph)
    elif kind == "int8":
        graph = precision.to_int8(graph, feeds, only=model(name).eight_bit(graph))
    return backend.open(name, graph, cache=weights.cache, progress=SaidProgress(notes), say=notes)


def _times(runner: Runner, feeds: Mapping[str, Any]) -> list[float]:
    """Return the milliseconds of each run, after one that is not counted."""
    runner.infer(feeds)
    times: list[float] = []
    until = time.perf_counter() + _MOST_S
    while len(times) < _MOST_RUNS and (len(times) < 3 or time.perf_counter() < until):
        start = time.perf_counter()
        runner.infer(feeds)
        times.append(1e3 * (time.perf_counter() - start))
    return times


def _overlapped(runner: Runner, feeds: Mapping[str, Any]) -> str:
    """Return, in words, what a frame takes where a card has two under way."""
    if not isinstance(runner, TwoFrames):
        return ""
    runner.submit(feeds)
    start = time.perf_counter()
    for _ in range(_MOST_RUNS):
        runner.submit(feeds)
        runner.result()
    each = 1e3 * (time.perf_counter() - start) / _MOST_RUNS
    runner.result()
    return f"; {each:.2f} ms a frame with two under way"


def anonymous(text: str, models: Path) -> str:
    """Return ``text`` without the names of this user, this machine and its folders."""
    for folder, stands_for in (
        (models, "MODELS"),
        (Path.cwd(), "HERE"),
        (Path.home(), "HOME"),
    ):
        if folder != Path(folder.anchor):
            text = text.replace(str(folder), stands_for)
    # What is left of absolute paths: an error may name any.
    text = re.sub(r"(?<![\w:/.])(?:[A-Za-z]:)?[/\\](?:[\w.@+~ -]+[/\\])+", "…/", text)
    for name in _private_names():
        text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", "NAME", text, flags=re.IGNORECASE)
    return text


def _private_names() -> list[str]:
    names = [platform.node(), platform.node().split(".")[0], os.environ.get("USERNAME", "")]
    with suppress(OSError, KeyError, ImportError):  # a user without a name has none to hide
        names.append(getpass.getuser())
    return [name for name in names if len(name) > 1]
