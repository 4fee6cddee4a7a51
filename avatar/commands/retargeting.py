"""From options to a retargeter: driving, reference and profile."""

from __future__ import annotations

from collections.abc import Callable

from avatar.commands.profiles import stored_person
from avatar.core.options import PUBLISHED, Options, default_of
from avatar.errors import UsageError
from avatar.motion.driving import Driving
from avatar.motion.retarget import FaceRetargeter, Reference

# What the neural engines, which look at the driver's pixels themselves, cannot heed.
_PORTRAIT_ONLY = ("weight", "exaggerate", "max_turn", "lock_head")


def make_retargeter(config: Options, delay_s: Callable[[], float] = lambda: 0.0) -> FaceRetargeter:
    """Return the retargeter that ``config`` describes.

    ``delay_s``: see ``FaceRetargeter``. Raises ``UsageError`` for what the engine cannot heed and
    for a profile that is not there or not readable.
    """
    if config.mirror and config.profile is not None:
        raise UsageError(
            "--mirror does not go with --profile, which knows your left from your right: leave "
            "one of them out"
        )
    return FaceRetargeter(
        config.motion,
        config.smoothing,
        chosen_reference(config),
        person=stored_person(config.profile),
        driving=driving(config),
        delay_s=delay_s,
    )


def chosen_reference(config: Options) -> Reference:
    """Return the reference: with a profile its resting face, unless another one is asked for."""
    if config.profile is not None and config.reference == "auto":
        return "profile"
    return config.reference


def driving(config: Options) -> Driving:
    """Return how far the avatar goes along. Raises ``UsageError``."""
    if config.engine in PUBLISHED:
        for name in _PORTRAIT_ONLY:
            if getattr(config, name) != default_of(name):
                raise UsageError(
                    f"--{name.replace('_', '-')} is for --engine portrait; {config.engine} takes "
                    "the movement from your picture itself. Leave it out; --strength and --region "
                    "are what it heeds."
                )
        # These engines apply the strength themselves.
        return Driving()
    return Driving(
        strength=config.strength,
        **config.weights,
        exaggerate=config.exaggerate,
        max_turn_deg=config.max_turn,
        lock_head=config.lock_head,
    )
