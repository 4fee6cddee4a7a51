"""Motion templates: what goes in comes out, and what is no template is refused before its use."""

from __future__ import annotations

import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avatar.core.arrays import write_arrays
from avatar.core.errors import UsageError
from avatar.core.frames import Float32, NetworkMotion, Presence
from avatar.stages.motion.template import (
    MAX_FRAMES,
    Template,
    TemplateRecorder,
    is_template,
    load_template,
)
from tests import ROOT

SHAPES = {"value": (10, 2), "crop": (3,)}
FAMILIES = {"fomm": SHAPES, "liveportrait": {"rotation": (3, 3), "crop": (3,)}}
DOCS = ROOT / "docs"


def values(seed: int) -> dict[str, Float32]:
    rng = np.random.default_rng(seed)
    return {
        "value": rng.normal(size=(10, 2)).astype(np.float32),
        "crop": np.array([320, 240, 200 + seed], np.float32),
    }


def recording(tracked: list[bool]) -> TemplateRecorder:
    made = TemplateRecorder("fomm", 25.0, SHAPES)
    for k, seen in enumerate(tracked):
        motion = NetworkMotion("fomm", values(k), values(99)) if seen else None
        made.add(5_000_000_000 + k * 40_000_000, motion)
    return made


def load(path: Path, family: str = "fomm") -> Template:
    return load_template(path, FAMILIES, family)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "motion.npz"
    recording([True] * 4).save(path)
    return path


@given(tracked=st.lists(st.booleans(), min_size=1, max_size=8).filter(any))
def test_what_was_recorded_is_played(
    tracked: list[bool], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("template") / "motion.npz"
    recording(tracked).save(path)
    template = load(path)
    assert (template.family, template.rate, template.frames) == ("fomm", 25.0, len(tracked))
    for k, motion in enumerate(template.motions(None, "relative")):
        assert (motion.timestamp_ns, motion.index) == (pytest.approx(k * 40_000_000, abs=100), k)
        assert (motion.presence is Presence.TRACKED) == tracked[k]
        assert (motion.network is not None) == tracked[k]
        if motion.network is not None:
            assert np.array_equal(motion.network.values["value"], values(k)["value"])
            assert np.array_equal(motion.network.reference["crop"], values(99)["crop"])


def test_where_nobody_was_seen_the_avatar_holds_and_then_idles(tmp_path: Path) -> None:
    path = tmp_path / "motion.npz"
    recording([True] + [False] * 30).save(path)
    found = [motion.presence for motion in load(path).motions(None, "relative")]
    assert found[1] is Presence.HELD
    assert found[-1] is Presence.IDLE
    assert found == sorted(found, key=[Presence.TRACKED, Presence.HELD, Presence.IDLE].index)


def test_seconds_and_mode_are_heeded(saved: Path) -> None:
    motions = list(load(saved).motions(0.1, "absolute"))
    assert len(motions) == 3
    assert all(motion.absolute for motion in motions)


def test_a_recording_without_a_face_is_not_saved(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no face"):
        recording([False, False]).save(tmp_path / "motion.npz")
    assert list(tmp_path.iterdir()) == []


def rewritten(saved: Path, **changes: object) -> None:
    """Write the file anew with arrays or parts of its description changed."""
    with zipfile.ZipFile(saved) as archive:
        described = json.loads(archive.read("text"))
    with np.load(saved, allow_pickle=False) as content:
        arrays = {name: content[name] for name in content.files if name != "text"}
    for name, value in changes.items():
        if isinstance(value, np.ndarray):
            arrays[name.replace("__", ".")] = value
        else:
            described[name] = value
    write_arrays(saved, arrays, json.dumps(described))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:400]), "damaged"),
        (lambda path: path.write_bytes(b"GIF89a"), "damaged"),
        (lambda path: np.savez(path, a=np.zeros(3)), "no description"),
        (lambda path: rewritten(path, schema_version=2), "newer program"),
        (lambda path: rewritten(path, kind="recipe"), "kind"),
        (lambda path: rewritten(path, frames=MAX_FRAMES + 1), "frames"),
        (lambda path: rewritten(path, frames=-1), "frames"),
        (lambda path: rewritten(path, rate=0), "rate"),
        (lambda path: rewritten(path, family="../x"), "family"),
        (lambda path: rewritten(path, frames=5), "shape"),
        (lambda path: rewritten(path, tracked=np.zeros(4, np.float32)), "no person is seen"),
        (lambda path: rewritten(path, time_s=np.zeros(4, np.float32)), "rise"),
        (lambda path: rewritten(path, reference__crop=np.zeros(3, np.float32)), "side"),
        (lambda path: rewritten(path, values__crop=np.full((4, 3), np.nan, np.float32)), "finite"),
        (lambda path: rewritten(path, values__crop=np.full((4, 3), 1e9, np.float32)), "beyond"),
        (lambda path: rewritten(path, extra=np.zeros(1, np.float32)), "extra"),
        (lambda path: path.write_bytes(b""), "damaged"),
        (lambda path: path.unlink(), "nothing there"),
    ],
)
def test_a_file_that_is_no_template_is_refused(
    saved: Path, spoil: Callable[[Path], object], words: str
) -> None:
    spoil(saved)
    with pytest.raises(UsageError) as caught:
        load(saved)
    assert words in str(caught.value)
    assert str(saved) in str(caught.value)


def test_objects_in_a_template_are_not_opened(saved: Path) -> None:
    with zipfile.ZipFile(saved) as archive:
        text = archive.read("text")
        members = {name: archive.read(name) for name in archive.namelist()}
    trap = saved.with_name("sprung")
    np.save(saved.with_suffix(".npy"), np.array([_Trap(trap)], object), allow_pickle=True)
    members["tracked.npy"] = saved.with_suffix(".npy").read_bytes()
    with zipfile.ZipFile(saved, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, text if name == "text" else data)
    with pytest.raises(UsageError):
        load(saved)
    assert not trap.exists()


class _Trap:
    """What a harmful pickle does: it writes a file when it is opened."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.write_text, (self.path, "sprung")


def test_motion_of_other_networks_is_refused_with_the_engine_to_take(saved: Path) -> None:
    with pytest.raises(UsageError, match="--engine fomm"):
        load(saved, "liveportrait")


@pytest.mark.parametrize("name", ["motion.pkl", "MOTION.PKL", "motion.pickle"])
def test_a_pickle_is_refused_unopened_with_the_way_to_convert_it(tmp_path: Path, name: str) -> None:
    trap = tmp_path / "sprung"
    (tmp_path / name).write_bytes(pickle.dumps(_Trap(trap)))
    with pytest.raises(UsageError, match="convert_motion"):
        is_template(tmp_path / name)
    assert not trap.exists()


def test_suffixes_tell_templates_from_clips() -> None:
    assert is_template(Path("a.npz"))
    assert not is_template(Path("a.mp4"))
