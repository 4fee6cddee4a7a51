"""``avatar avatars build``: a trained generator made ready for a backend before it is used."""

from __future__ import annotations

from avatar.app.models import build_steps
from avatar.core.clock import MonotonicClock
from avatar.core.home import Home
from avatar.core.terminal import say
from avatar.library.avatars import AvatarStore
from avatar.library.generators.exported import (
    choose_generator_target,
    find_exported,
    open_exported,
)
from engines.backends import GRAPH_BACKENDS


def build(
    name: str,
    home: Home,
    *,
    backend: str = "auto",
    precision: str = "auto",
    ahead: bool = False,
) -> int:
    """Compile the generator of the stored avatar ``name``; return the exit status.

    ``ahead``: for a card that is not in this machine; else it is run once on zeros. What is built
    is what ``--engine neural`` with the same backend and precision opens. Raises ``UsageError``,
    ``EngineError`` and ``MissingDependencyError``.
    """
    stored = AvatarStore(home.avatars).load(name)
    target = choose_generator_target(backend, precision, ahead=ahead)
    say(str(target.choice))
    made = find_exported(stored.folder, stored.name, stored.sha256, target)
    clock = MonotonicClock()
    start_ns = clock.now_ns()
    if ahead:
        from engines.graph import model_spec, read

        made.check(model_spec(read(made.path)))
        with build_steps() as progress:
            engine = GRAPH_BACKENDS[target.choice.backend].compiled(
                "generator", made.path, progress=progress, say=say
            )
        done = f"{len(engine) / 1e6:.1f} MB, not run: no card was looked for"
    else:
        with open_exported(made, target, say) as runner:
            runner.warm_up()
        done = f"runs on {runner.device}"
    seconds = (clock.now_ns() - start_ns) / 1e9
    chosen = f"{target.choice.backend} in {target.precision}"
    say(f"the generator of {stored.name} for {chosen}: ready in {seconds:.1f} s, {done}")
    return 0
