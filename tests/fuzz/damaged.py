"""Reads damaged files of one kind and says what went wrong; a process of its own, as it may hang.

``python -m tests.fuzz.damaged KIND COUNT SEED FOLDER`` prints a line as each file begins, so that
whoever watches knows which one hung, and at its end what came of all as JSON. A file that raised
anything but an ``AvatarError`` stays in FOLDER.
"""

from __future__ import annotations

import io
import json
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image

from avatar.core.config_file import load_options
from avatar.core.errors import AvatarError
from avatar.core.face.head import decompose
from avatar.core.frames import BLENDSHAPE_NAMES, Face
from avatar.core.home import Home
from avatar.library.avatars import AvatarStore
from avatar.library.face_model import find_face_model
from avatar.library.profiles import ProfileStore
from avatar.sessions.choreographies import ChoreographyStore
from avatar.stages.generate.photo import builtin_photo, load_photo
from avatar.stages.generate.picture_file import has_heif, known_formats
from avatar.stages.label import file_metadata
from avatar.stages.motion.choreography import load_choreography
from avatar.stages.motion.live_link import read_take
from avatar.stages.motion.performance import FACE, FACE_SHAPES
from avatar.stages.motion.template import load_template, save_template
from avatar.stages.sinks.film_sound import find_sound
from avatar.stages.sinks.mp4 import Mp4Writer
from avatar.stages.sources.timing import film_timing
from avatar.stages.sources.video import film_frames
from avatar.stages.track.landmarker import detect_faces
from calibrate import fit
from tests.calibrate.people import MadeUpPerson
from tests.calibrate.test_fit import MADE, recorded
from tests.stages.generate.heic import make_heic
from tests.stages.generate.odd_pictures import DAMAGED, exchanged_profile, scene
from tests.stages.motion.test_template import FAMILIES, recording
from tests.stages.sinks.sounding_film import FPS, SIZE, make_sounding_film

Seeds = Sequence[tuple[str, bytes]]
_LONGEST_FILM = 200  # pictures; a damaged header may promise any number


def photographs(folder: Path) -> Seeds:
    """Return whole pictures of every format."""
    image = Image.fromarray(scene(150, 100))
    profile, exif = exchanged_profile(), DAMAGED["nothing"]
    kinds = [
        ("JPEG", {"exif": exif, "icc_profile": profile}), ("JPEG", {"progressive": True}),
        ("PNG", {"exif": exif, "icc_profile": profile}), ("WEBP", {"exif": exif}),
        ("WEBP", {"lossless": True}), ("TIFF", {}), ("TIFF", {"compression": "tiff_lzw"}),
        ("TIFF", {"compression": "jpeg"}), ("GIF", {}), ("BMP", {}), ("AVIF", {}),
        ("JPEG2000", {}), ("PPM", {}),
    ]  # fmt: skip
    made = []
    for name, options in kinds:
        if known_formats([name]):
            data = io.BytesIO()
            image.save(data, name, **options)
            made.append((name.lower(), data.getvalue()))
    if has_heif():
        made.append(("heic", make_heic(folder / "seed.heic", scene(128, 96)).read_bytes()))
    return made


def films(folder: Path) -> Seeds:
    """Return whole films of every container with sound of every kind."""
    kinds = [
        ("mp4", "aac"), ("mkv", "ac3"), ("ts", "mp2"), ("avi", "pcm_s16le"), ("webm", "libopus"),
        ("mov", "pcm_s16le"), ("asf", "wmav2"),
    ]  # fmt: skip
    made = []
    for ending, codec in kinds:
        path = folder / f"seed.{ending}"
        rate = 44_100 if codec == "wmav2" else 48_000
        made.append((ending, make_sounding_film(path, codec, seconds=0.6, rate=rate).read_bytes()))
    return made


def profiles(folder: Path) -> Seeds:
    """Return a whole profile of a driver."""
    face = _portrait_face(folder)
    profile = fit(recorded(MadeUpPerson(decompose(face).shape)), MADE, "test")
    return [("json", profile.model_dump_json(indent=1).encode())]


def records(folder: Path) -> Seeds:
    """Return the record of a stored avatar."""
    store = AvatarStore(Home.under(folder / "home").avatars)
    stored = store.add("Me", builtin_photo(), _portrait_face(folder))
    return [("json", (stored.folder / "avatar.json").read_bytes())]


def _portrait_face(folder: Path) -> Face:
    model = find_face_model(None, Home.under(folder / "home"))
    return detect_faces(load_photo(builtin_photo()), model)[0]


def templates(folder: Path) -> Seeds:
    """Return a whole motion template."""
    recording([True, False, True]).save(folder / "seed.npz")
    return [("npz", (folder / "seed.npz").read_bytes())]


def performances(folder: Path) -> Seeds:
    """Return a whole performance: a take as motion of a face alone."""
    path = folder / "seed-performance.npz"
    shape = decompose(_portrait_face(folder)).shape
    save_template(read_take(_take(folder)).template(shape), path)
    return [("npz", path.read_bytes())]


def takes(folder: Path) -> Seeds:
    """Return a whole take of a telephone."""
    return [("csv", _take(folder).read_bytes())]


def _take(folder: Path) -> Path:
    names = [name for name in BLENDSHAPE_NAMES if name != "_neutral"]
    head = ["Timecode", "BlendshapeCount", *names, "HeadYaw", "HeadPitch", "HeadRoll"]
    rows = [
        [f"14:03:21:{k:02}.512", "52", *["0.25"] * len(names), "0.1", "-0.1", "0.02"]
        for k in range(12)
    ]
    path = folder / "seed.csv"
    path.write_text("\n".join(",".join(row) for row in (head, *rows)) + "\n")
    return path


def choreographies(folder: Path) -> Seeds:
    """Return the choreographies that come with the program."""
    store = ChoreographyStore(Home.under(folder / "home"))
    return [("toml", store.path(name).read_bytes()) for name in store.names()]


def configs(folder: Path) -> Seeds:
    """Return options in a file."""
    text = (
        'avatar = ["builtin", "Me.jpg"]\nfps = 25\nsize = "640x480"\nmirror = true\n'
        'strength = 1.2\nbackground = "#00ff00"\nout = ["none"]\nlabel-text = "AI ü"\n'
        'camera = 0\nmax-turn = 30.0\n\n# a remark\nhotkey = ["mute=m"]\n'
    )
    return [("toml", text.encode())]


def read_photograph(path: Path) -> None:
    """Read a photograph."""
    load_photo(path)


def read_film(path: Path) -> None:
    """Read a film's pictures and times, and carry its sound over."""
    for _ in islice(film_frames(path), _LONGEST_FILM):
        pass
    timing = film_timing(path)
    sound = find_sound(path)
    if sound is None or not sound.codec:
        return
    tags = file_metadata("test", "1")
    out = path.with_name("out.mp4")
    writer = Mp4Writer(out, SIZE, FPS, tags, low_latency=False, overwrite=True)
    writer.take_sound(sound, timing.shifts_s)
    with writer:
        for _ in range(FPS):
            writer.write_rgb(np.full((SIZE[1], SIZE[0], 3), 9, np.uint8))


def read_profile(path: Path) -> None:
    """Read a driver's profile, and take from it what retargeting does."""
    ProfileStore(path.parent).load(path.stem).person()


def read_record(path: Path) -> None:
    """Read the record of a stored avatar."""
    folder = path.parent / "avatars" / "Me"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "avatar.json").write_bytes(path.read_bytes())
    AvatarStore(folder.parent).read("Me")


def read_template(path: Path) -> None:
    """Read a motion template and play it."""
    list(load_template(path, FAMILIES, "fomm").motions(None, "relative"))


def read_performance(path: Path) -> None:
    """Read a performance and play it."""
    list(load_template(path, {FACE: FACE_SHAPES}, FACE).motions(None, "relative"))


def read_telephone(path: Path) -> None:
    """Read a telephone's take."""
    read_take(path)


def read_choreography(path: Path) -> None:
    """Read a choreography and move two faces by it."""
    found = load_choreography(path)
    for beat in np.linspace(0, found.beats, 9):
        found.look(float(beat), 1)


def read_config(path: Path) -> None:
    """Read options from a file."""
    load_options(path)


KINDS: dict[str, tuple[Callable[[Path], Seeds], Callable[[Path], None]]] = {
    "photographs": (photographs, read_photograph),
    "films": (films, read_film),
    "profiles": (profiles, read_profile),
    "records": (records, read_record),
    "templates": (templates, read_template),
    "performances": (performances, read_performance),
    "takes": (takes, read_telephone),
    "choreographies": (choreographies, read_choreography),
    "configs": (configs, read_config),
}


def damaged(data: bytes, rng: np.random.Generator) -> bytes:
    """Return a file with some bytes changed, a part cut off, left out or twice."""
    made = bytearray(data)
    # Half of the time where formats say what follows.
    reach = min(len(made), 800) if rng.random() < 0.5 else len(made)
    for at in rng.integers(0, reach, rng.integers(1, 12)):
        made[at] = rng.integers(256)
    how = rng.random()
    first, second = sorted(rng.integers(0, len(made), 2))
    if how < 0.2:
        return bytes(made[: rng.integers(1, len(made))])
    if how < 0.35:
        return bytes(made[:first] + made[second:])
    if how < 0.5:
        return bytes(made[:second] + made[first:second] + made[second:])
    return bytes(made)


def main(kind: str, count: int, seed: int, folder: Path) -> None:
    """Read ``count`` damaged files of ``kind``; see the module."""
    make, read = KINDS[kind]
    seeds = make(folder)
    rng = np.random.default_rng(seed)
    came = {"read": 0, "refused": 0, "failed": 0, "slowest_s": 0.0}
    for number in range(count):
        ending, data = seeds[number % len(seeds)]
        path = folder / f"damaged.{ending}"
        path.write_bytes(damaged(data, rng))
        _tell(str(number))
        begun_s = time.process_time()
        try:
            read(path)
            came["read"] += 1
        except AvatarError:
            came["refused"] += 1
        except Exception:
            traceback.print_exc()
            path.rename(folder / f"failed-{number}.{ending}")
            came["failed"] += 1
        came["slowest_s"] = max(came["slowest_s"], time.process_time() - begun_s)
    _tell(json.dumps(came | {"peak_mb": peak_mb()}))


def _tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def peak_mb() -> float:
    """Return the most memory that this process had since its program began, megabytes."""
    import psutil

    memory = psutil.Process().memory_info()
    peak = getattr(memory, "peak_wset", 0)  # Windows
    if peak:
        return float(peak) / 1e6
    status = Path("/proc/self/status")
    if status.exists():
        # Since this program began: getrusage counts what the process was before it, too.
        line = next(x for x in status.read_text().splitlines() if x.startswith("VmHWM"))
        return int(line.split()[1]) * 1024 / 1e6
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
