"""``avatar models``: listing, fetching, importing, building, verifying and removing networks."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from avatar.app.model_calibration import calibration_pictures
from avatar.core.clock import MonotonicClock
from avatar.core.errors import AvatarError, EngineError, UsageError
from avatar.core.files import file_sha256, move
from avatar.core.home import Home
from avatar.core.tables import print_table
from avatar.core.terminal import say
from avatar.library.models import builds, checking, download, importing, store
from avatar.library.models.catalog import ENTRIES, Entry, PublishedFile, find
from engines.backends import GRAPH_BACKENDS

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress

Ask = Callable[[str], str]
PEOPLE = "people"


def typed(question: str) -> str:
    """Return what the user types; raises ``UsageError`` where nobody can be asked."""
    if not sys.stdin.isatty():
        raise UsageError(f"{question} Nothing can be typed here: give the option")
    say(question)
    return sys.stdin.readline()


def list_models(root: Path) -> int:
    """Print what can be had and what is here; return the exit status."""
    from rich.console import Console
    from rich.table import Table

    table = Table("model", "variant", "licence", "installed", "size", "built")
    faults = []
    for entry in ENTRIES:
        folder = store.entry_folder(root, entry)
        try:
            state = _state(root, entry)
        except AvatarError as error:
            faults.append(str(error))
            state = "not readable"
        table.add_row(
            entry.family,
            entry.variant or PEOPLE,
            entry.licence.name,
            state,
            _megabytes(_bytes_in(folder)),
            _megabytes(_bytes_in(store.build_folder(folder))),
        )
    print_table(table, Console(highlight=False))
    for fault in faults:
        say(fault)
    say(f"they lie in {root}. Get one: avatar models pull MODEL")
    return 0


def _state(root: Path, entry: Entry) -> str:
    record = store.read_record(store.entry_folder(root, entry))
    if record is None:
        if not entry.files:
            return "no; import it"
        sizes = [file.size_bytes for file in entry.files]
        return f"no; {_megabytes(sum(sizes))} to fetch" if all(sizes) else "no"
    store.installed_states(store.entry_folder(root, entry))
    missing = store.missing_networks(entry, record)
    return f"{len(missing)} networks missing" if missing else "yes"


def _bytes_in(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _megabytes(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:.0f} MB" if size_bytes else "-"


def pull(
    family: str,
    variant: str | None = None,
    *,
    root: Path,
    accept_licence: bool = False,
    patience: download.Patience = download.PATIENCE,
    ask: Ask = typed,
) -> int:
    """Fetch a published set from its official home; return the exit status.

    Raises ``UsageError``, ``EngineError`` and ``MissingDependencyError``.
    """
    entry = find(family, _variant(variant))
    return pull_entry(entry, root, accept_licence=accept_licence, patience=patience, ask=ask)


def pull_entry(
    entry: Entry, root: Path, *, accept_licence: bool, patience: download.Patience, ask: Ask
) -> int:
    """Fetch the files of ``entry``; see ``pull``.

    Files that are here are not fetched again, and each is installed as soon as it is whole and
    found good.
    """
    if not entry.files:
        raise EngineError(
            f"{entry.title} cannot be fetched by this program: {entry.by_hand}. Then: avatar "
            f"models import FILE (licence: {entry.licence.name}, {entry.licence.terms})"
        )
    with store.disk_errors(root):
        missing = [file for file in entry.files if not _is_here(root, entry, file)]
    if not missing:
        say(f"{entry.title} is installed already. Check it: avatar models verify")
        return 0
    download.require_network()
    checking.require_reader()
    download.import_hub()
    accepted = _accepted(root, entry, accept_licence, ask)
    with store.disk_errors(root):
        root.mkdir(parents=True, exist_ok=True)
    download.check_space(root, sum(file.size_bytes for file in missing))
    say(f"fetching {len(missing)} files of {entry.title} into {store.entry_folder(root, entry)}")
    with _interruption(), download.connection() as hub, _progress() as bars:
        for file in missing:
            show = _bar(bars, file)
            with store.disk_errors(root), download.claimed(root / ".parts", entry, file, say):
                if not _is_here(root, entry, file):  # another process may have been quicker
                    _pull_file(hub, root, entry, file, accepted, patience, show)
    return _done(root, entry)


def _pull_file(
    hub: Any,
    root: Path,
    entry: Entry,
    file: PublishedFile,
    accepted: datetime | None,
    patience: download.Patience,
    show: download.Progress,
) -> None:
    """Fetch one file, look into it, and install it."""
    part, sha256 = download.fetch(
        hub, entry, file, root / ".parts", patience=patience, progress=show, say=say
    )
    with store.staging(root) as staging:
        whole = staging / file.name
        move(part, whole)
        networks = checking.networks_in(whole)
        checked = store.Checked(whole, file.name, sha256, networks, _origin(entry, file))
        store.add(root, entry, [checked], accepted=accepted)


@contextmanager
def _interruption() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        say("stopped; what came is kept, and the next pull goes on there")
        raise


def _bar(bars: RichProgress, file: PublishedFile) -> download.Progress:
    """Add a bar for ``file`` and return what moves it."""
    bar = bars.add_task(file.name, total=file.size_bytes or None)
    return lambda have, size: bars.update(bar, completed=have, total=size)


def _variant(given: str | None) -> str:
    return "" if given in (None, "", PEOPLE) else given


def _is_here(root: Path, entry: Entry, file: PublishedFile) -> bool:
    """Say whether a published file is installed, and as it was then."""
    folder = store.entry_folder(root, entry)
    record = store.read_record(folder)
    for here in record.files if record else []:
        # Where the hash is not known here, what was fetched is known by its origin.
        published = (
            here.sha256 == file.sha256 if file.sha256 else here.origin == _origin(entry, file)
        )
        if published and (folder / here.name).is_file():
            return file_sha256(folder / here.name) == here.sha256
    return False


def _origin(entry: Entry, file: PublishedFile) -> str:
    return f"{entry.repository}@{entry.revision[:12]}/{file.path}"


def _accepted(root: Path, entry: Entry, given: bool, ask: Ask) -> datetime | None:
    """Show the licence, and return when it was accepted now; None: it was before.

    Raises ``UsageError`` when it is not.
    """
    record = store.read_record(store.entry_folder(root, entry))
    if record is not None and record.licence == entry.licence.name:
        return None
    licence = entry.licence
    say(f"{entry.title}: licence {licence.name} ({licence.terms}). See {licence.url}")
    if not given and ask("Type yes to accept it (or give --accept-licence).").strip() != "yes":
        raise UsageError(
            f"the licence of {entry.title} was not accepted: nothing was installed. To accept it, "
            "give the command again and type yes, or add --accept-licence"
        )
    return datetime.now(UTC).replace(microsecond=0)


def _progress() -> RichProgress:
    from rich import progress
    from rich.console import Console

    return progress.Progress(
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.DownloadColumn(),
        progress.TransferSpeedColumn(),
        progress.TimeRemainingColumn(),
        console=Console(stderr=True),
    )


def _done(root: Path, entry: Entry) -> int:
    record = store.read_record(store.entry_folder(root, entry))
    missing = store.missing_networks(entry, record) if record else list(entry.networks)
    if missing:
        say(f"{entry.title} still lacks {', '.join(missing)}. {store.remedy(entry)}")
    else:
        say(f"{entry.title} is complete. Next: avatar models build {entry.arguments}")
    return 0


def import_files(
    paths: Sequence[Path],
    variant: str | None = None,
    *,
    root: Path,
    accept_licence: bool = False,
    ask: Ask = typed,
) -> int:
    """Install checkpoints that the user has; return the exit status.

    ``variant``: "people" or "animals" where the files cannot tell, None when not given. Raises
    ``UsageError``, ``EngineError`` and ``MissingDependencyError``.
    """
    if variant is not None and _variant(variant) not in {entry.variant for entry in ENTRIES}:
        raise UsageError(f"expected --variant people or animals, found {variant!r}")
    checking.require_reader()
    wanted = None if variant is None else _variant(variant)
    with store.staging(root) as staging:
        with store.disk_errors(root):
            found = importing.gather(paths, staging, say)
        chosen = importing.choose(found, wanted)
        for entry in [entry for entry in ENTRIES if entry.slug in chosen]:
            files = [importing.checked(entry, file) for file in chosen[entry.slug]]
            accepted = _accepted(root, entry, accept_licence, ask)
            store.add(root, entry, files, accepted=accepted)
            for file in files:
                say(f"{file.name}: {', '.join(file.networks)}")
            _done(root, entry)
    return 0


def build(
    family: str,
    variant: str | None = None,
    *,
    home: Home,
    backend: str = "auto",
    precision: str = "auto",
    ahead: bool = False,
) -> int:
    """Export and compile an installed set for this machine; return the exit status.

    ``ahead``: for a card that is not in it. Raises ``EngineError``, ``UsageError`` and
    ``MissingDependencyError``.
    """
    entry = find(family, _variant(variant))
    folder = store.model_folder(home.models, entry.family, entry.variant)
    target = builds.choose_target(backend, precision, ahead=ahead)
    say(str(target.choice))
    clock = MonotonicClock()
    start_ns = clock.now_ns()
    pictures = partial(calibration_pictures, home)
    for name in builds.models_of(entry.family):
        _build_one(name, folder, target, pictures, ahead=ahead)
    made = store.build_folder(folder)
    say(
        f"built {entry.title} for {target.choice.backend} in {target.precision} in "
        f"{(clock.now_ns() - start_ns) / 1e9:.0f} s: {_megabytes(_bytes_in(made))} in {made}"
    )
    return 0


def _build_one(
    name: str, folder: Path, target: builds.Target, pictures: builds.Pictures, *, ahead: bool
) -> None:
    """Make one model; where it can run here, run it once, and say how long that took."""
    from engines.samples import random_feeds

    clock = MonotonicClock()
    start_ns = clock.now_ns()
    with build_steps() as progress:
        if ahead:
            made = builds.exported(name, folder, target, pictures=pictures, say=say)
            backend = GRAPH_BACKENDS[target.choice.backend]
            engine = backend.compiled(name, made, progress=progress, say=say)
            seconds = (clock.now_ns() - start_ns) / 1e9
            say(f"  {name}: {len(engine) / 1e6:.1f} MB in {seconds:.1f} s")
            return
        runner = builds.open_model(
            name, folder, target, pictures=pictures, progress=progress, say=say
        )
    with runner:
        opened_ns = clock.now_ns()
        runner.infer(random_feeds(name))
        ran_ns = clock.now_ns()
    say(
        f"  {name}: ready in {(opened_ns - start_ns) / 1e9:.1f} s, runs "
        f"(the first time in {(ran_ns - opened_ns) / 1e6:.0f} ms)"
    )


@contextmanager
def build_steps() -> Iterator[Callable[[str, float], None]]:
    """Show a bar for what an engine's builder is doing; it goes away when it is done."""
    from rich import progress
    from rich.console import Console

    with progress.Progress(console=Console(stderr=True), transient=True) as bars:
        bar = bars.add_task("", total=1.0, visible=False)
        yield lambda what, share: bars.update(bar, description=what, completed=share, visible=True)


def verify(root: Path) -> int:
    """Check all installed files by hash and contents; return the exit status: 1 for a fault."""
    checking.require_reader()
    faults = 0
    entries = [entry for entry in ENTRIES if store.entry_folder(root, entry).exists()]
    for entry in entries:
        for line, good in _verified(root, entry):
            say(f"{'good' if good else 'BAD '}  {line}")
            faults += not good
    if not entries:
        say(f"nothing is installed in {root}: avatar models pull MODEL")
    return 1 if faults else 0


def _verified(root: Path, entry: Entry) -> Iterator[tuple[str, bool]]:
    """Give a line for each file of an installed set, and whether it is good."""
    folder = store.entry_folder(root, entry)
    try:
        record = store.read_record(folder)
    except AvatarError as error:
        yield str(error), False
        return
    if record is None:
        yield f"{folder} has no {store.RECORD}: avatar models remove {entry.arguments}", False
        return
    for file in record.files:
        fault = _fault(folder, file)
        origin = "as published" if file.sha256 in _published(entry) else file.origin
        yield f"{folder / file.name}: {fault or origin}", not fault
    if missing := store.missing_networks(entry, record):
        yield f"{entry.title} is incomplete: {', '.join(missing)} missing", False


def _published(entry: Entry) -> set[str]:
    return {file.sha256 for file in entry.files}


def _fault(folder: Path, file: store.FileRecord) -> str:
    """Return what is wrong with an installed file, and the remedy; empty when nothing is."""
    remedy = "Install it again: avatar models pull or import"
    path = folder / file.name
    try:
        found = file_sha256(path)
        if found != file.sha256:
            return f"was changed: expected SHA-256 {file.sha256}, found {found}. {remedy}"
        networks = checking.networks_in(path)
    except OSError as error:
        return f"cannot be read: {error.strerror}. {remedy}"
    except EngineError as error:
        return f"{error}. {remedy}"
    if set(networks) != set(file.networks):
        return f"holds {', '.join(networks)}, expected {', '.join(file.networks)}. {remedy}"
    return ""


def remove(
    family: str, variant: str | None = None, *, root: Path, yes: bool = False, ask: Ask = typed
) -> int:
    """Delete an installed set and what was built of it; return the exit status.

    Raises ``UsageError`` when it is not installed or not confirmed.
    """
    entry = find(family, _variant(variant))
    folder = store.entry_folder(root, entry)
    folders = (folder, store.build_folder(folder))
    here = [folder for folder in folders if folder.exists()]
    if not here:
        raise UsageError(f"{entry.title} is not installed (looked in {folder})")
    what = f"{entry.title} ({_megabytes(sum(map(_bytes_in, here)))})"
    if not yes and ask(f"Delete {what}? Type yes (or give --yes).").strip() != "yes":
        raise UsageError(f"{what} was kept: not confirmed. Type yes, or add --yes")
    store.remove(root, entry)
    say(f"removed {what}")
    return 0
