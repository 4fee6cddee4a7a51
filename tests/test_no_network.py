"""Nothing leaves the machine: no connection is opened that the user did not ask for.

MediaPipe from 0.10.35 on looks a Google host up a few seconds after its first result, to upload
usage statistics. Its library then carries the folder name ``mediapipe/util/analytics``. These
tests look for both: the name in the library, and connections to internet addresses (TCP, or a
datagram such as a look-up) while a face is tracked for longer than the upload waits. Whoever
lifts the pin in pyproject.toml sees them fail; docs/decisions/0002-mediapipe-pin.md says why.

The same is proven of the whole product: every command that works with pictures runs in a network
namespace without a route, and once more where there is one, with every connection recorded.
"""

from __future__ import annotations

import importlib.util
import mmap
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from avatar.stages.generate.photo import builtin_photo
from tests import ROOT
from tests.learn.person.test_calibrate import film_of_the_performer
from tests.stages.sinks.pipewire_session import PipeWireSession

TRACKED_SECONDS = 8
ASKING = "connect,sendto,sendmsg,sendmmsg"
ANALYTICS = b"mediapipe/util/analytics"
INTERNET = re.compile(r"sa_family=AF_INET6?\b")

# Tracks the built-in portrait; Python's own connections end it with what they were.
TRACK = """
import sys

def refuse(event, details):
    if event in ("socket.connect", "socket.sendto", "socket.getaddrinfo"):
        sys.exit(f"tracking asked for the network: {event} {details[1:]}")

sys.addaudithook(refuse)

import threading
import time
from pathlib import Path
from avatar.core.frames import CameraFrame
from avatar.stages.generate.photo import builtin_photo, load_photo
from avatar.stages.track.landmarker import FaceLandmarker

picture = load_photo(builtin_photo())
faces = frames = 0
pause = threading.Event()
with FaceLandmarker(Path(sys.argv[1])) as tracker:
    end = time.monotonic() + float(sys.argv[2])
    while time.monotonic() < end:
        track = tracker.track(CameraFrame(picture, time.monotonic_ns(), frames))
        faces += track.face is not None
        frames += 1
        pause.wait(0.1)  # a camera's pace, so that the seconds cost little
print(f"tracked {faces} of {frames}")
"""


def permitted(*command: str) -> bool:
    """Say whether this machine lets ``command`` run at all (containers may forbid it)."""
    if shutil.which(command[0]) is None:
        return False
    return subprocess.run([*command, "true"], capture_output=True).returncode == 0


def track(face_model: Path, *before: str, seconds: float = TRACKED_SECONDS) -> str:
    """Track in a process of its own, behind the command ``before``; return what it printed."""
    result = subprocess.run(
        [*before, sys.executable, "-c", TRACK, str(face_model), str(seconds)],
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    found = re.fullmatch(r"tracked (\d+) of (\d+)\n", result.stdout)
    assert found, result.stdout
    assert int(found[1]) > 0.9 * int(found[2]) > 0, "the portrait's face was tracked"
    return result.stdout


def native_libraries() -> list[Path]:
    spec = importlib.util.find_spec("mediapipe")
    if spec is None:
        pytest.skip("needs MediaPipe, whose library is read")
    assert spec.submodule_search_locations
    folder = Path(spec.submodule_search_locations[0])
    return [
        path for ending in (".so", ".dylib", ".dll", ".pyd") for path in folder.rglob(f"*{ending}")
    ]


def test_the_library_has_no_analytics() -> None:
    libraries = native_libraries()
    assert libraries, "MediaPipe's native library is where this test looks"
    for path in libraries:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
            assert text.find(ANALYTICS) < 0, f"{path.name} carries {ANALYTICS.decode()}"


@pytest.mark.slow
def test_no_system_call_asks_for_the_network(face_model: Path, tmp_path: Path) -> None:
    """Under strace, which sees what native code does too."""
    log = tmp_path / "calls"
    strace = ("strace", "-f", "-qq", "-e", f"trace={ASKING}", "-o", str(log))
    if not permitted(*strace):
        pytest.skip(
            "strace is not installed or not permitted here (Debian: apt-get install strace)"
        )
    track(face_model, *strace)
    asked = [line for line in log.read_text().splitlines() if INTERNET.search(line)]
    assert asked == []


@pytest.mark.slow
def test_tracking_works_without_any_network(face_model: Path) -> None:
    """In a network namespace with no interface: what needs a connection fails here."""
    unshare = ("unshare", "--map-root-user", "--net")
    track(face_model, *(unshare if permitted(*unshare) else ()), seconds=2)


def test_the_recording_sees_a_look_up(tmp_path: Path) -> None:
    """The strace test can fail: the same filter catches a connection and a datagram."""
    log = tmp_path / "calls"
    strace = ("strace", "-f", "-qq", "-e", f"trace={ASKING}", "-o", str(log))
    if not permitted(*strace):
        pytest.skip(
            "strace is not installed or not permitted here (Debian: apt-get install strace)"
        )
    ask = (
        "import socket; u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM);"
        "u.sendto(b'x', ('127.0.0.1', 9)); t = socket.socket(); t.connect_ex(('127.0.0.1', 1))"
    )
    subprocess.run([*strace, sys.executable, "-c", ask], check=True)
    asked = [line for line in log.read_text().splitlines() if INTERNET.search(line)]
    assert len(asked) == 2


def test_the_audit_sees_a_look_up(face_model: Path) -> None:
    ask = TRACK.split("import threading")[0] + "import socket; socket.getaddrinfo('localhost', 80)"
    result = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True)
    assert result.returncode == 1
    assert "socket.getaddrinfo" in result.stderr


# The product's own commands, each a process as a user starts it; {home} is a folder of the test's.
FIRST = "avatars add {photo} --name Me"
PRODUCT = [
    "run --avatar Me --camera demo --size 320x240 --seconds 2 "
    "--out file:{home}/talk.mp4 --out {camera} --background blur",
    "bench --camera demo --size 320x240 --seconds 1",
    "animate --avatar Me --driving {film} --seconds 1 --size 256x256 --out {home}/us.mp4",
    "calibrate --camera {film} --unattended --name me",
    "doctor",
    "devices",
    "avatars list",
    "models list",
]


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A drawn person who does what calibration wants to see."""
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    film_of_the_performer(path, 12)
    return path


@pytest.fixture
def session() -> Iterator[tuple[str, dict[str, str]]]:
    """A camera for other programs, and the session it lives in; none where there is no PipeWire."""
    if shutil.which("pipewire") is None:
        yield "none", dict(os.environ)
        return
    with PipeWireSession(managed=False) as own:
        yield "pipewire", own.environment


def use_everything(
    home: Path, film: Path, face_model: Path, session: tuple[str, dict[str, str]],
    before: Callable[[str], Sequence[str]],
) -> None:  # fmt: skip
    """Run every command of ``PRODUCT`` behind ``before``; each must do its work."""
    camera, environment = session
    places = {"home": home, "film": film, "photo": builtin_photo(), "camera": camera}
    own = {
        "HOME": str(home), "XDG_CACHE_HOME": str(home / "cache"),
        "XDG_DATA_HOME": str(home / "data"), "AVATAR_FACE_MODEL": str(face_model),
        "PYTHONPATH": str(ROOT),
    }  # fmt: skip

    def use(line: str) -> None:
        name, *options = [word.format(**places) for word in line.split()]
        done = subprocess.run(
            [*before(name), sys.executable, "-m", "avatar", name, *options],
            capture_output=True, text=True, cwd=home, env={**environment, **own},
        )  # fmt: skip
        # That this machine has no webcam is what doctor is there to find.
        assert done.returncode == 0 or name == "doctor", f"{line}\n{done.stderr}"
        assert "Traceback" not in done.stderr, done.stderr

    use(FIRST)
    with ThreadPoolExecutor(3) as pool:  # they wait for cameras and films more than they compute
        list(pool.map(use, PRODUCT))
    for name in ("talk.mp4", "us.mp4"):
        assert (home / name).stat().st_size > 1000, name


@pytest.mark.slow
def test_everything_works_without_any_network(
    tmp_path: Path, film: Path, face_model: Path, session: tuple[str, dict[str, str]]
) -> None:
    """In a network namespace with no interface but loopback, which is not even up."""
    unshare = ("unshare", "--map-root-user", "--net")
    if not permitted(*unshare):
        pytest.skip("a network namespace is not permitted here (unshare --map-root-user --net)")
    use_everything(tmp_path, film, face_model, session, lambda name: unshare)


@pytest.mark.slow
def test_nothing_connects_beyond_the_session(
    tmp_path: Path, film: Path, face_model: Path, session: tuple[str, dict[str, str]]
) -> None:
    """Under strace, with whatever network there is: none of it is asked for."""
    strace = ["strace", "-f", "-qq", "--seccomp-bpf", "-e", f"trace={ASKING}", "-A", "-o"]
    if not permitted(*strace, str(tmp_path / "trial")):
        pytest.skip(
            "strace is not installed or not permitted here (Debian: apt-get install strace)"
        )
    use_everything(
        tmp_path, film, face_model, session, lambda name: [*strace, str(tmp_path / f"calls-{name}")]
    )
    logs = {path.name: path.read_text() for path in tmp_path.glob("calls-*")}
    assert len(logs) == 1 + len(PRODUCT) - 1  # two of them are `avatars`
    asked = {name: [line for line in log.splitlines() if INTERNET.search(line)]
             for name, log in logs.items()}  # fmt: skip
    assert {name: lines for name, lines in asked.items() if lines} == {}
    camera, environment = session
    if camera == "pipewire":  # the recording sees what is asked of the session
        assert environment["XDG_RUNTIME_DIR"] in logs["calls-run"]
