"""Former name of ``avatar.learn.person.learn``, for one version more."""

from __future__ import annotations

from avatar.core.moved import moved

__getattr__ = moved(__name__, "avatar.learn.person.learn", {"Learnt": "CalibrationResult"})
