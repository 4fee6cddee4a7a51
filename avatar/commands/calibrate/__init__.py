"""Former name of ``avatar.app.calibrate``, for one version more."""

from __future__ import annotations

from avatar.core.moved import moved

__getattr__ = moved(__name__, "avatar.app.calibrate", {"Learnt": "CalibrationResult"})
