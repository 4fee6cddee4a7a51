"""From options to a retargeter: driving, reference and profile."""

from __future__ import annotations

from collections.abc import Callable

from avatar.core.choices import Reference
from avatar.core.errors import UsageError
from avatar.core.home import Home
from avatar.core.options import Options
from avatar.library.profiles import ProfileStore, stored_person
from avatar.sessions.engines import find_engine
from avatar.stages.motion.driving import Driving
from avatar.stages.motion.retarget import FaceRetargeter


def make_retargeter(
    config: Options, home: Home, delay_s: Callable[[], float] = lambda: 0.0
) -> FaceRetargeter:
    """Return the retargeter that ``config`` describes.

    ``delay_s``: see ``FaceRetargeter``. Raises ``UsageError`` for what the engine cannot use and
    for a profile that is not there or not readable.
    """
    if config.mirror and config.profile is not None:
        raise UsageError(
            "--mirror cannot be combined with --profile, which tells your left from your right: "
            "leave one of them out"
        )
    return FaceRetargeter(
        config.motion,
        config.smoothing,
        chosen_reference(config),
        person=stored_person(config.profile, ProfileStore(home.profiles)),
        driving=driving(config),
        delay_s=delay_s,
        watches_mouth=not find_engine(config.engine).sees_driver,
    )


def chosen_reference(config: Options) -> Reference:
    """Return the reference: with a profile its resting face, unless another one is asked for."""
    if config.profile is not None and config.reference == "auto":
        return "profile"
    return config.reference


def driving(config: Options) -> Driving:
    """Return how strongly the avatar follows the driver. Raises ``UsageError``."""
    engine = find_engine(config.engine)
    engine.check(config)
    if engine.sees_driver:  # it applies the strength itself
        return Driving()
    return Driving(
        strength=config.strength,
        **config.weights,
        exaggerate=config.exaggerate,
        max_turn_deg=config.max_turn,
        lock_head=config.lock_head,
    )
