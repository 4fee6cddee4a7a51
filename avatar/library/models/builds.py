"""Installed networks made ready for this machine: exported, converted, compiled, and kept.

Both ``avatar models build`` and an engine that opens its models go through ``open_model``, so that
what the first made is what the second finds. An export's file name holds a hash of all that it
was made from: its checkpoints, its form and precision, and the code that made it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from avatar.core.errors import EngineError
from avatar.core.files import write_whole
from avatar.library.models.catalog import find
from avatar.library.models.store import ModelRecord, build_folder, installed_states, read_record
from engines import export, precision, samples, select
from engines.backends import BACKENDS, GRAPH_BACKENDS, GraphBackend, Precision, TorchBackend
from engines.locking import locked
from engines.networks import FAMILIES

if TYPE_CHECKING:
    from onnx import ModelProto

    from engines.build import Progress, Say
    from engines.deploy import Colour
    from engines.graph import Array
    from engines.runner import Runner

    Pictures = Callable[[], Sequence[Array]]

# What makes a graph: a change of any of these is a reason to export again.
_MAKERS = (
    "deploy.py",
    "deploy_convolutions.py",
    "export.py",
    "precision.py",
    "resample.py",
    "networks",
)


@dataclass(frozen=True)
class Target:
    """What models are made ready for: a backend that was chosen, and a precision."""

    choice: select.Choice
    precision: Precision

    @property
    def on_processor(self) -> bool:
        """Whether no card is used."""
        return self.choice.device == "cpu"

    @property
    def words(self) -> str:
        """What it is, for keys: two targets with the same compute the same."""
        return f"{self.choice.backend} {self.choice.device} {self.precision}"

    def precision_of(self, name: str) -> Precision:
        """Return the precision of one model: what runs once a source stays as exact as it is."""
        family = FAMILIES[name.split("/", 1)[0]]
        if self.precision == "int8" and name not in family.each_frame:
            return "fp32"
        return self.precision


def choose_target(
    backend: str = "auto",
    wanted: str = "auto",
    device: str = "auto",
    *,
    ahead: bool = False,
    probes: select.Probes = select.PROBES,
) -> Target:
    """Return the backend, precision and device to use; ``auto`` takes the first of each.

    ``ahead``: for a card that is not in this machine, which TensorRT-RTX can build for.
    ``probes``: as ``engines.select.choose`` has them, which also says what is raised; a precision
    that the backend has not is an ``EngineError``.
    """
    choice = _ahead(backend) if ahead else select.choose(backend, device, probes)
    known = BACKENDS[choice.backend].precisions_on(choice.device)
    if wanted == "auto":
        return Target(choice, known[0])
    for kind in known:
        if kind == wanted:
            return Target(choice, kind)
    raise EngineError(
        f"expected --precision auto, {' or '.join(known)} with {choice.backend}, found {wanted!r}"
    )


def _ahead(backend: str) -> select.Choice:
    able = [row.name for row in GRAPH_BACKENDS.values() if row.ahead]
    if backend not in able:
        raise EngineError(
            f"expected --backend {' or '.join(able)} with --ahead, found {backend}: only its "
            "engines can be built for a card that is not here"
        )
    from engines.nvidia import import_library

    version = import_library(backend).__version__
    return select.Choice(backend, f"{version}, for any RTX card, none looked for here", {}, "cuda")


def models_of(family: str) -> tuple[str, ...]:
    """Return the names of the models that are made of a family's networks."""
    return tuple(FAMILIES[family].models)


def open_model(
    name: str,
    folder: Path,
    target: Target,
    *,
    colour: Colour = "rgb",
    device: str = "cpu",
    threads: int = 0,
    pictures: Pictures | None = None,
    progress: Progress = lambda _what, _share: None,
    say: Say = lambda _line: None,
) -> Runner:
    """Return a runner of the model ``name`` (a key of ``engines.export.MODELS``).

    ``folder``: as ``model_folder`` gave it. ``colour``, ``device``, ``threads``, ``progress`` and
    ``say``: as ``engines.export`` and ``engines.select`` have them. ``pictures``: where int8 is
    made, called for a source and driving pictures, uint8 (256, 256, 3) RGB, whose ranges it
    takes. Raises ``EngineError`` and ``MissingDependencyError``.
    """
    backend = BACKENDS[target.choice.backend]
    if isinstance(backend, TorchBackend):
        return backend.open_networks(
            name,
            _networks(folder, name),
            precision=target.precision_of(name),
            device=target.choice.device,
            colour=colour,
            say=say,
        )
    made = exported(name, folder, target, colour=colour, pictures=pictures, say=say)
    assert isinstance(backend, GraphBackend)
    return backend.open(name, made, device=device, threads=threads, progress=progress, say=say)


def exported(
    name: str,
    folder: Path,
    target: Target,
    *,
    colour: Colour = "rgb",
    pictures: Pictures | None = None,
    say: Say = lambda _line: None,
) -> Path:
    """Return the ONNX file of the model ``name``, made now where there is none yet.

    Its arguments are those of ``open_model``.
    """
    record = read_record(folder)
    if record is None:
        raise EngineError(f"expected an installed model in {folder}, found none")
    builds = build_folder(folder)
    form = GRAPH_BACKENDS[target.choice.backend].volume_form()
    kind = target.precision_of(name)
    stem = ".".join((name.replace("/", "-"), form, kind, colour))
    path = builds / f"{stem}.{_key(name, record)}.onnx"
    with _disk_errors_as_engine_errors(builds):
        builds.mkdir(parents=True, exist_ok=True)
        lock = builds / f"{stem}.lock"
        with locked(lock, lambda: say(f"another process is exporting {name}: waiting for it")):
            if path.is_file():
                return path
            say(f"exporting {name} ({kind})")
            graph = _graph(name, folder, record, form, kind, colour, pictures)
            write_whole(path, graph.SerializeToString())
            for old in builds.glob(f"{stem}.*.onnx"):
                if old != path:
                    old.unlink(missing_ok=True)
    return path


def _graph(
    name: str,
    folder: Path,
    record: ModelRecord,
    form: export.Form,
    kind: Precision,
    colour: Colour,
    pictures: Pictures | None,
) -> ModelProto:
    if kind != "int8":
        graph = export.export(name, _networks(folder, name), form=form, colour=colour)
        return precision.to_fp16(graph) if kind == "fp16" else graph
    if pictures is None:
        raise EngineError(
            f"{name} was not built in int8 yet, which takes minutes. Build it once: avatar models "
            f"build {find(record.family, record.variant).arguments} --precision int8"
        )
    source, *driving = pictures()
    networks = _networks(folder, name, *samples.networks_for(name))
    feeds = samples.real_feeds(name, networks, source, driving)
    graph = export.export(name, networks, form=form, colour=colour)
    return precision.to_int8(graph, feeds, only=export.model(name).eight_bit(graph))


def _networks(folder: Path, *names: str) -> Mapping[str, Any]:
    """Load the networks that models and networks of these names are made of."""
    from engines.networks.checkpoint import load_state
    from engines.networks.checkpoint import read as read_checkpoint

    states = installed_states(folder)
    wanted = {
        network
        for name in names
        for network in (export.MODELS[name].networks if name in export.MODELS else (name,))
    } | {name for name in names if name in states}
    loaded: dict[str, Any] = {}
    for path in sorted({states[name] for name in wanted}):
        content = read_checkpoint(path)
        for name in sorted(wanted):
            if states[name] == path:
                loaded[name] = load_state(name, content, str(path))
    return loaded


def _key(name: str, record: ModelRecord) -> str:
    """Return what an export is made from, as 16 digits."""
    hashes = {network: file.sha256 for file in record.files for network in file.networks}
    parts = [hashes.get(network, "") for network in export.MODELS[name].networks]
    return hashlib.sha256("\n".join([*parts, _code()]).encode()).hexdigest()[:16]


@cache
def _code() -> str:
    """Return a hash of the code that makes graphs."""
    made = hashlib.sha256()
    root = Path(export.__file__).parent
    for part in _MAKERS:
        path = root / part
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            made.update(file.read_bytes())
    return made.hexdigest()


class SaidProgress:
    """Says how far a long piece of work has come, a quarter at a time."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._said: dict[str, int] = {}

    def __call__(self, what: str, share: float) -> None:
        """Take what is being done and the share of it that is done."""
        quarter = int(share * 4)
        if quarter > self._said.get(what, 0):
            self._said[what] = quarter
            self._say(f"{what}: {quarter * 25} %")


@contextmanager
def _disk_errors_as_engine_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise EngineError(
            f"what is built cannot be kept in {folder}: {error.strerror or error}. Free some "
            "space, or set AVATAR_MODELS to another folder"
        ) from error
