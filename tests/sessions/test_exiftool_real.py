"""ExifTool, which nobody here wrote, finds the mark of every kind of file that is written."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from avatar.core.home import Home
from avatar.core.options import Options
from avatar.sessions.film import animate
from avatar.sessions.still import make_still
from avatar.sessions.still_request import StillRequest
from avatar.stages.generate.photo import builtin_photo
from avatar.stages.label import file_metadata, xmp_packet
from avatar.stages.sinks.loops import LoopWriter

pytestmark = [pytest.mark.real, pytest.mark.slow]


@pytest.fixture(autouse=True)
def exiftool() -> None:
    if not shutil.which("exiftool"):
        pytest.skip("needs ExifTool: apt-get install libimage-exiftool-perl")


def tags(path: Path) -> dict[str, Any]:
    """Return what ExifTool reads, tags that it does not know among them."""
    command = ["exiftool", "-json", "-a", "-U", "-G1", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    found: dict[str, Any] = json.loads(done.stdout)[0]
    return found


def says_so(path: Path) -> None:
    """Expect the AIGC mark, whole, whatever the kind's own name for such a tag is."""
    found = tags(path)
    assert not [name for name in found if name.endswith((":Error", ":Warning"))], found
    # Structures of XMP come as such, other tags as their text.
    marks = [value for value in found.values() if "ContentProducer" in str(value)]
    assert marks, found
    mark = (
        marks[0]
        if isinstance(marks[0], dict)
        else json.JSONDecoder().raw_decode(marks[0][marks[0].index("{") :])[0]
    )
    assert mark["Label"] == "1" and mark["ContentProducer"].startswith("webcam-avatar"), mark


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_a_still_is_marked(home: Home, tmp_path: Path, suffix: str) -> None:
    out = tmp_path / f"still{suffix}"
    make_still(StillRequest(photo=builtin_photo(), out=out, smile=0.5), home, lambda line: None)
    says_so(out)


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".webm"])
def test_a_film_is_marked(home: Home, tmp_path: Path, suffix: str) -> None:
    out = tmp_path / f"film{suffix}"
    config = Options(avatar=("builtin",), size="320x180", seconds=0.5)
    if suffix != ".mp4":
        config = replace(config, background="transparent")
    given: dict[str, Any] = {"size_px": (320, 180), "audio": "none", "face": 1}
    assert animate(config, home, driving=Path("demo"), out=out, **given) == 0
    says_so(out)


@pytest.mark.parametrize("suffix", [".gif", ".webp"])
def test_a_loop_is_marked(tmp_path: Path, suffix: str) -> None:
    out = tmp_path / f"loop{suffix}"
    said = file_metadata("webcam-avatar 1", "abc")
    with LoopWriter(out, 20, said, xmp_packet("webcam-avatar 1", said["AIGC"])) as loop:
        for level in range(0, 250, 25):
            loop.write_rgb(np.full((48, 64, 3), level, np.uint8))
    says_so(out)
