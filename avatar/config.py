"""Former names of the options, for one version more; see ``avatar.core.options``."""

from __future__ import annotations

import warnings

from avatar.core.options import Options

_FORMER = {"LiveConfig": Options, "NeuralOptions": Options}


def __getattr__(name: str) -> type[Options]:
    if name not in _FORMER:
        raise AttributeError(f"module 'avatar.config' has no attribute {name!r}")
    warnings.warn(
        f"avatar.config.{name} is avatar.core.options.Options now", DeprecationWarning, stacklevel=2
    )
    return _FORMER[name]
