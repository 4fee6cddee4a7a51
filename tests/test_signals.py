"""A signal at any moment: every file that is left can be used, and every old one is whole.

``AVATAR_SIGNALS=60`` tries so many moments in place of a few.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import av
import pytest
from PIL import Image, ImageSequence

from avatar.core.face.head import decompose
from avatar.core.frames import Face
from avatar.core.home import APP, Home
from avatar.library.avatars import AvatarStore
from avatar.library.profiles import ProfileStore
from avatar.stages.generate.photo import builtin_photo
from calibrate import Profile, fit
from tests import ROOT
from tests.calibrate.people import MadeUpPerson
from tests.calibrate.test_fit import MADE, recorded

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="sends POSIX signals"),
    pytest.mark.slow,
]
MOMENTS = int(os.environ.get("AVATAR_SIGNALS", "10"))
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)


@dataclass(frozen=True)
class Place:
    """``folder``: a user's, empty. ``profile``: one that may be there before."""

    folder: Path
    profile: Profile

    @property
    def home(self) -> Home:
        """Where the program keeps what it makes."""
        home = self.folder / "home"
        return replace(Home.under(home), data=home / "data" / APP, cache=home / "cache" / APP)

    def avatar(self, *command: str) -> subprocess.Popen[str]:
        """Start the program here, as its user would."""
        data, cache = self.home.data, self.home.cache
        return subprocess.Popen(
            [sys.executable, "-m", "avatar", *command],
            cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env={
                **os.environ, "PYTHONPATH": str(ROOT),
                "XDG_DATA_HOME": str(data.parent), "XDG_CACHE_HOME": str(cache.parent),
            },
        )  # fmt: skip


@dataclass(frozen=True)
class Kind:
    """A command, how long it takes at the most, and what has to be so after it.

    ``old`` makes what the command is to replace. ``check`` is told whether that was there.
    """

    command: tuple[str, ...]
    seconds: float
    old: Callable[[Place], None]
    check: Callable[[Place, bool], None]


def _film(name: str, *command: str, seconds: float = 14) -> Kind:
    old = b"precious"

    def check(place: Place, had_old: bool) -> None:
        goal = place.folder / name
        left = sorted(place.folder.glob("film*"))
        if had_old:
            assert goal in left, "the old film is gone"
            if goal.read_bytes() == old:
                left.remove(goal)
        for path in left:
            assert path.stem in ("film", "film.part")
            assert _shows(path), f"{path.name} does not play"

    return Kind(command, seconds, lambda place: _write(place.folder / name, old), check)


def _shows(path: Path) -> bool:
    """Return whether a film plays: at least a picture comes."""
    with av.open(str(path)) as film:
        return next(film.decode(video=0), None) is not None


def _picture(name: str, *command: str) -> Kind:
    """Return a command that makes a picture, or a short loop, whole or not at all."""
    old = b"precious"

    def check(place: Place, had_old: bool) -> None:
        goal = place.folder / name
        assert had_old <= goal.exists(), "the old picture is gone"
        if goal.exists() and not (had_old and goal.read_bytes() == old):
            with Image.open(goal) as picture:
                for frame in ImageSequence.Iterator(picture):
                    frame.load()
        _no_leftovers(place, name)

    return Kind(command, 8, lambda place: _write(place.folder / name, old), check)


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def _old_profile(place: Place) -> None:
    ProfileStore(place.home.profiles).save("me", place.profile)
    (place.folder / "page.html").write_text("<html>old</html>")


def _check_profile(place: Place, had_old: bool) -> None:
    store, page = ProfileStore(place.home.profiles), place.folder / "page.html"
    assert had_old <= ("me" in store.names()), "the old profile is gone"
    assert had_old <= page.exists(), "the old page is gone"
    for name in store.names():
        store.load(name)
    if page.exists():
        assert page.read_text().rstrip().endswith("</html>"), "half a page"
    _no_leftovers(place, "page.html")


def _check_training(place: Place, _: bool) -> None:
    store = AvatarStore(place.home.avatars)
    for name in store.names():
        store.load(name)
    resumed = ("train", "--name", "me", "--rights", "self", "--resume", "--steps", "2")
    with place.avatar(*resumed) as process:
        said, _ = process.communicate(timeout=240)
    assert "Traceback" not in said, said
    if "me" in store.names() and (store.load("me").folder / "training").is_dir():
        assert process.returncode == 0 or "avatar train" in said, said
    else:
        assert "there is no training of me to resume" in said


def _no_leftovers(place: Place, *expected: str) -> None:
    left = {path.name for path in place.folder.iterdir()} - {"home"}
    assert left <= set(expected), left


def _old_swap(place: Place) -> None:
    _write(place.folder / "film.mp4", b"precious")


def _check_swap(place: Place, had_old: bool) -> None:
    record = place.folder / "film.mp4.swap.json"
    if record.exists():
        json.loads(record.read_text())
        record.unlink()
    _film("film.mp4").check(place, had_old)


KINDS = {
    "run": _film("film.mp4", "run", "--camera", "demo", "--size", "320x240",
                 "--out", "file:film.mp4"),
    "mp4": _film("film.mp4", "animate", "--driving", "demo", "--size", "256x256",
                 "--out", "film.mp4"),
    "mov": _film("film.mov", "animate", "--driving", "demo", "--size", "128x128",
                 "--out", "film.mov", "--background", "transparent"),
    "webm": _film("film.webm", "animate", "--driving", "demo", "--size", "128x128",
                  "--out", "film.webm", "--background", "transparent"),
    "clip": _film("film.mp4", "clip", "builtin", "--to", "2", "--out", "film.mp4"),
    "loop": _picture("loop.gif", "clip", "builtin", "--to", "1", "--out", "loop.gif"),
    "still": _picture("still.png", "still", "builtin", "--smile", "1", "--out", "still.png"),
    "swap": Kind(("swap", "--face", str(builtin_photo()), "--film", "CLIP", "--seconds", "1",
                  "--rights", "self", "--out", "film.mp4"), 12, _old_swap, _check_swap),
    "calibrate": Kind(("calibrate", "--camera", "CLIP", "--unattended", "--name", "me",
                       "--html", "page.html"), 20, _old_profile, _check_profile),
    "train": Kind(("train", "CLIP", "--name", "me", "--rights", "self", "--steps", "30"),
                  60, lambda place: None, _check_training),
}  # fmt: skip


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built-in portrait, speaking for some seconds."""
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    subprocess.run(
        [sys.executable, "-m", "avatar", "animate", "--driving", "demo", "--seconds", "6",
         "--size", "480x480", "--out", str(path)],
        cwd=ROOT, check=True, capture_output=True,
    )  # fmt: skip
    return path


@pytest.fixture(scope="session")
def profile(portrait_face: Face) -> Profile:
    """A profile that was made before."""
    return fit(recorded(MadeUpPerson(decompose(portrait_face).shape)), MADE, "old")


@pytest.mark.parametrize("moment", range(MOMENTS))
def test_a_signal_leaves_what_can_be_used_and_the_old_whole(
    tmp_path: Path, clip: Path, profile: Profile, moment: int
) -> None:
    chance = random.Random(moment)
    name = list(KINDS)[moment % len(KINDS)]
    kind, place = KINDS[name], Place(tmp_path, profile)
    command = [str(clip) if word == "CLIP" else word for word in kind.command]
    has_old = chance.random() < 0.5
    if has_old:
        kind.old(place)
        command.append("--force")
    sent = chance.choice(SIGNALS)
    with place.avatar(*command) as process:
        with suppress(subprocess.TimeoutExpired):
            process.wait(chance.uniform(0.5, kind.seconds))
        process.send_signal(sent)
        said, _ = process.communicate(timeout=120)
    # Before the program is loaded, Python itself complains of Ctrl-C.
    assert "Traceback" not in said or "avatar/app/" not in said, said
    try:
        kind.check(place, has_old)
    except Exception as error:
        error.add_note(f"{name}, {sent.name}, old {has_old}: {said}")
        raise
