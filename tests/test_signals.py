"""A signal at any moment: every film that is left plays or is gone, and every old one is whole.

``AVATAR_SIGNALS=60`` tries so many moments in place of a few.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import av
import pytest

from tests import ROOT

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="sends POSIX signals"),
    pytest.mark.slow,
]
MOMENTS = int(os.environ.get("AVATAR_SIGNALS", "4"))
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
KINDS = {
    "run": ["run", "--camera", "demo", "--size", "320x240", "--out", "file:FILM.mp4"],
    "mp4": ["animate", "--driving", "demo", "--size", "256x256", "--out", "FILM.mp4"],
    "mov": ["animate", "--driving", "demo", "--size", "128x128", "--out", "FILM.mov",
            "--background", "transparent"],
    "webm": ["animate", "--driving", "demo", "--size", "128x128", "--out", "FILM.webm",
             "--background", "transparent"],
}  # fmt: skip


def shows(path: Path) -> bool:
    """Return whether a film plays: at least a picture comes."""
    with av.open(str(path)) as film:
        return next(film.decode(video=0), None) is not None


@pytest.mark.parametrize("moment", range(MOMENTS))
def test_a_signal_leaves_films_that_play_and_old_ones_whole(tmp_path: Path, moment: int) -> None:
    chance = random.Random(moment)
    kind = list(KINDS)[moment % len(KINDS)]
    command = [word.replace("FILM", str(tmp_path / "film")) for word in KINDS[kind]]
    goal = next(tmp_path / Path(word).name for word in command if "film." in word)
    has_old = chance.random() < 0.5
    if has_old:
        goal.write_bytes(b"precious")
        command.append("--force")
    sent = chance.choice(SIGNALS)
    with subprocess.Popen(
        [sys.executable, "-m", "avatar", *command],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    ) as process:  # fmt: skip
        with suppress(subprocess.TimeoutExpired):
            process.wait(chance.uniform(0.5, 14))
        process.send_signal(sent)
        said, _ = process.communicate(timeout=120)
    what = f"{kind}, {sent.name}, old {has_old}: {said}"
    left = sorted(tmp_path.iterdir())
    if has_old and goal.read_bytes() == b"precious":
        left.remove(goal)
    for path in left:
        assert path.stem in ("film", "film.part"), what
        assert shows(path), f"{path.name}; {what}"
    # Before the program is loaded, Python itself complains of Ctrl-C.
    assert "Traceback" not in said or "avatar/app/" not in said, what
