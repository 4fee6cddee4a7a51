"""Choices by name that several parts know: the words of options, and defaults that parts share."""

from __future__ import annotations

from typing import Literal

MotionMode = Literal["relative", "absolute"]
"""Whether the driver's change moves the avatar, or the driver's own face is reproduced."""

Reference = Literal["auto", "first", "key", "profile"]
"""Which of the driver's faces stands for the photograph's."""

Smoothing = Literal["off", "light", "strong"]
"""How strongly tracked movement is steadied."""

Framing = Literal["portrait", "photo"]
"""What of the photograph the output shows: head and shoulders, or all of it."""

Mouth = Literal["auto", "driver", "teeth"]
"""What shows between the avatar's lips."""

Corner = Literal["top-right", "top-left", "bottom-left", "bottom-right"]
"""Where the visible label stands."""

Region = Literal["expression", "pose", "lips", "eyes"]
"""What of the driver's face drives a published network; the expression has lips and eyes in it."""

StreamPreset = Literal["twitch", "youtube"]
"""Whose recommendations a stream follows."""

Drive = Literal["video", "audio", "both", "auto"]
"""What moves the mouth: the face, the voice, both, or the voice where no face is seen."""

TrackerName = Literal["auto", "own", "mediapipe"]
"""What finds and follows faces: our own tracker, MediaPipe's, or the one that runs here."""

Precision = Literal["auto", "fp32", "fp16", "int8"]
"""How exactly networks compute."""

ComputeDevice = Literal["auto", "cuda", "cpu"]
"""What networks compute on: an NVIDIA card or the processor."""

PublishedEngineName = Literal["liveportrait", "fomm"]
"""The engines that run published networks, by the names of their families."""
