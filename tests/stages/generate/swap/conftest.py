"""The sheet that faces are laid out on, from the installed face model."""

from __future__ import annotations

from pathlib import Path

import pytest

from avatar.stages.generate.swap.layout import FaceSheet
from avatar.stages.track.networks import FaceNetworks


@pytest.fixture(scope="session")
def layout(face_model: Path) -> FaceSheet:
    with FaceNetworks(face_model) as networks:
        return FaceSheet(networks.canonical.points)
