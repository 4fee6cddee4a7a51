"""Former name of ``avatar.core.options``, for one version more."""

from __future__ import annotations

from avatar.core.moved import moved

__getattr__ = moved(
    __name__, "avatar.core.options", {"LiveConfig": "Options", "NeuralOptions": "Options"}
)
