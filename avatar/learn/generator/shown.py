"""What recordings never show of what a generator will be asked to draw."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from avatar.core.errors import UsageError
from avatar.core.frames import FaceTrack
from avatar.learn.person.watch import Watcher
from calibrate import REST, SPEECH, TRAINING_STEPS, Session

_ALL = (*TRAINING_STEPS, *SPEECH)


def shown_in(tracks: Iterable[FaceTrack]) -> set[str]:
    """Return the steps that tracked faces show, in any order, the resting face among them."""
    session = Session(_ALL, any_order=True)
    watcher = Watcher(session)
    for track in tracks:
        watcher.see(track)
    session.finish()
    return set(session.seen) | {REST} - set(session.missing)


def lacking(shown: Collection[str]) -> list[str]:
    """Return what is not ``shown``, in the order it is asked for."""
    return [step.name for step in _ALL if step.name not in shown]


def needed() -> list[str]:
    """Return what no avatar can do without."""
    return [step.name for step in _ALL if step.needed]


def advice(shown: Collection[str]) -> str | None:
    """Return a line about what recordings never show; None where they show all."""
    missing = lacking(shown)
    if not missing:
        return None
    return (
        f"never seen in it: {', '.join(missing)}. The avatar learns only what it has seen; "
        "`avatar train --record` films you and asks for each of them"
    )


def check_enough(shown: Collection[str], what: str, name: str) -> None:
    """Raise ``UsageError`` where ``what`` lacks something that no avatar can do without."""
    missing = [step for step in needed() if step not in shown]
    if not missing:
        return
    others = [step for step in lacking(shown) if step not in missing]
    raise UsageError(
        f"expected a recording that shows at least {', '.join(needed())}; never seen in {what}: "
        f"{', '.join(missing)}{' (nor ' + ', '.join(others) + ')' if others else ''}. Record what "
        f'is missing: `avatar train --record --name "{name}"` asks for it. Or train with what '
        "there is: --anyway"
    )
