"""What every engine of the table promises: it says what it uses, and refuses the rest."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from avatar.core.choices import Framing
from avatar.core.errors import EngineError, MissingDependencyError, UsageError
from avatar.core.frames import Face, NetworkMotion, UInt8Image
from avatar.core.home import Home
from avatar.core.machine import Machine
from avatar.core.options import ENGINE_NAMES, Options, declared, flag_of
from avatar.sessions.avatars import AvatarPhoto
from avatar.sessions.engines import ENGINES, find_engine, open_engine
from avatar.sessions.engines.engine import Engine, OpenEngine, Say
from avatar.sessions.retargeting import driving
from avatar.sessions.template import family_of, open_template, recording_of
from avatar.stages.generate.deck import ViewedGenerator
from avatar.stages.generate.portrait import PortraitGenerator
from avatar.stages.motion.driving import UNCHANGED
from avatar.stages.motion.performance import FACE
from engines.backends import BACKENDS
from tests import ROOT

OTHER: dict[str, Any] = {
    "background": "green", "weight": ("mouth=1.3",), "exaggerate": 1.5, "max_turn": 20.0,
    "lock_head": True, "regions": ("lips",), "stitching": False, "retarget_eyes": True,
    "retarget_lips": True, "variant": "animals", "crop": "1,2,300", "backend": "openvino",
    "device": "cpu", "precision": "fp32", "drive": "auto", "mouth": "teeth", "shading": 0.5,
    "play": "wave",
}  # fmt: skip
"""Another value than its default for every option that not all engines use."""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home.under(tmp_path)


class Dummy(Engine):
    """An engine of somebody else's."""

    name = "dummy"
    help = "draws nothing new"

    def _open(self, options: Options, say: Say, home: Home, machine: Machine) -> OpenEngine:
        return OpenDummy(self, home)


class OpenDummy(OpenEngine):
    frame_s = 0.25

    def _make(
        self, avatar: AvatarPhoto, framing: Framing, size_px: tuple[int, int] | None
    ) -> ViewedGenerator:
        return PortraitGenerator(avatar.photo, avatar.face, framing, size_px)


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Engine:
    return ENGINES[request.param]


@pytest.fixture
def photo(portrait: UInt8Image, portrait_face: Face, tmp_path: Path) -> AvatarPhoto:
    return AvatarPhoto("anna", portrait, portrait_face, folder=tmp_path)


def given(option: str) -> Options:
    """The defaults but for one option, and what cannot be without it."""
    needed = {"drive": {"mic": "0"}, "variant": {"crop": OTHER["crop"]}}
    return Options(**{option: OTHER[option], **needed.get(option, {})})


def pairs(used: bool) -> list[Any]:
    return [
        pytest.param(engine, option, id=f"{name} {option}")
        for name, engine in ENGINES.items()
        for option in OTHER
        if engine.uses(option) == used
    ]


def test_the_table_has_every_engine_that_options_name() -> None:
    assert tuple(ENGINES) == ENGINE_NAMES
    assert all(name == engine.name for name, engine in ENGINES.items())


def test_it_is_told_in_words(engine: Engine) -> None:
    assert engine.help and "\n" not in engine.help
    assert engine.name in declared()["engine"].help


def test_every_option_that_not_all_engines_use_is_tried() -> None:
    assert {name for name, option in declared().items() if option.engines} == set(OTHER)


@pytest.mark.parametrize(("engine", "option"), pairs(used=False))
def test_an_option_that_it_does_not_use_is_refused_by_name(
    home: Home, engine: Engine, option: str
) -> None:
    with pytest.raises(UsageError) as refused:
        open_engine(replace(given(option), engine=engine.name), print, home, Machine())
    said = str(refused.value)
    # Weights for animals come with a crop, which may be what is told.
    flags = {flag_of(option), flag_of("crop") if option == "variant" else flag_of(option)}
    assert any(said.startswith(f"{flag} is for --engine") for flag in flags)
    assert f"with --engine {engine.name}" in said
    named = {name for name in declared()[option].engines if name in said}
    assert named, "it says which engines use it"


@pytest.mark.parametrize(("engine", "option"), pairs(used=True))
def test_what_it_uses_is_accepted(engine: Engine, option: str) -> None:
    engine.check(given(option))


def test_what_is_left_as_it_is_stands_in_nobodys_way(engine: Engine) -> None:
    engine.check(Options(engine=engine.name))


def test_several_faces_and_photographs_are_drawn_or_refused(
    engine: Engine, photo: AvatarPhoto
) -> None:
    engine.check_avatar(photo)
    faces = replace(photo, others=(photo.face, photo.face))
    album = replace(photo, more=((photo.photo, photo.face),))
    if engine.several:
        engine.check_avatar(faces)
        engine.check_avatar(album)
        return
    with pytest.raises(UsageError, match=f"{engine.name} animates one face.*all with 3 faces"):
        engine.check_avatar(faces)
    with pytest.raises(UsageError, match=f"{engine.name} animates one photograph; found 2 of anna"):
        engine.check_avatar(album)


def test_people_are_cut_out_where_it_says_so(engine: Engine) -> None:
    options = Options(engine=engine.name, background="transparent")
    if engine.alpha:
        engine.check(options)
        return
    with pytest.raises(
        UsageError, match=r"--background is for --engine portrait.*cannot cut you out"
    ):
        engine.check(options)


def test_a_voice_moves_the_mouth_where_it_says_so(engine: Engine) -> None:
    options = Options(engine=engine.name, mic="0", drive="audio")
    if engine.by_voice:
        engine.check(options)
        return
    with pytest.raises(UsageError, match=r"--drive is for --engine portrait.*your picture itself"):
        engine.check(options)


def test_strength_is_its_own_where_its_networks_see_the_driver(engine: Engine) -> None:
    found = driving(Options(engine=engine.name, strength=0.5))
    assert (found == UNCHANGED) == engine.sees_driver


def test_motion_is_its_networks_own_or_any_faces(engine: Engine, tmp_path: Path) -> None:
    assert (engine.seen_shapes is not None) == engine.sees_driver
    assert family_of(engine.name) == (engine.name if engine.sees_driver else FACE)
    with pytest.raises(UsageError, match="nothing there"):
        open_template(tmp_path / "motion.npz", engine.name, nobody)
    other = "fomm" if engine.name == "liveportrait" else "liveportrait"
    with pytest.raises(UsageError, match=rf"other.npz holds motion of {other}.*--engine {other}"):
        open_template(saved_motion(other, tmp_path / "other.npz"), engine.name, nobody)


def test_the_motion_of_a_face_moves_every_engine(engine: Engine, tmp_path: Path) -> None:
    path = saved_motion("portrait", tmp_path / "face.npz")
    template = open_template(path, engine.name, nobody)
    assert template is not None and template.family == FACE


def nobody() -> Any:
    raise AssertionError("no face is needed to open a template")


def saved_motion(engine: str, path: Path) -> Path:
    """Write a template of one frame at rest that moves ``engine``."""
    recording = recording_of(engine, 30)
    rest = {name: np.zeros(shape, np.float32) for name, shape in recording.shapes.items()}
    for turn in {"rotation", "crop"} & rest.keys():
        rest[turn] = np.eye(3, dtype=np.float32) if turn == "rotation" else np.ones(3, np.float32)
    recording.add(0, NetworkMotion(recording.family, rest, rest))
    recording.save(path)
    return path


def test_without_its_extra_it_says_what_to_install(
    home: Home, engine: Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if not engine.extra:
        return
    assert engine.extra in {backend.extra for backend in BACKENDS.values()}

    def absent(*_: Any) -> Any:
        raise MissingDependencyError("not installed")

    monkeypatch.setattr("engines.backends.find_spec", lambda _name: None)
    monkeypatch.setattr("engines.nvidia.import_library", absent)
    monkeypatch.setattr(
        "avatar.sessions.engines.published.model_folder", lambda *_: tmp_path, raising=True
    )
    with pytest.raises(EngineError, match=re.escape(f"webcam-avatar[{engine.extra}]")):
        engine.open(Options(engine=engine.name), print, home, Machine())


def test_one_that_teaches_has_networks_to_install(engine: Engine) -> None:
    assert not engine.teaches or engine.extra


@pytest.mark.parametrize(
    "options", [{"mouth": "driver"}, {"variant": "animals"}], ids=lambda given: next(iter(given))
)
def test_options_that_do_not_go_together_are_refused(options: dict[str, Any]) -> None:
    name = "neural" if "mouth" in options else "liveportrait"
    with pytest.raises(UsageError, match=r"--mouth driver|needs --crop X,Y,SIZE"):
        ENGINES[name].check(Options(engine=name, **options))


@pytest.mark.parametrize(
    "options",
    [{"regions": ("lips",)}, {"retarget_eyes": True}, {"retarget_lips": True}],
)
def test_keypoints_of_the_whole_face_have_no_regions(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=r"liveportrait.*its keypoints stand for no region"):
        ENGINES["fomm"].check(Options(engine="fomm", **options))


def test_a_trained_engine_takes_stored_avatars(photo: AvatarPhoto) -> None:
    with pytest.raises(UsageError, match="was trained, found anna"):
        ENGINES["neural"].check_avatar(replace(photo, folder=None))


def test_a_further_engine_is_a_line_in_the_table(
    home: Home, photo: AvatarPhoto, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ENGINES, "dummy", Dummy())
    opened = open_engine(Options(engine="dummy"), print, home, Machine())
    with opened.make(photo, "portrait", (64, 64)) as generator:
        assert generator.size_px == (64, 64)
        assert opened.seen(generator) is None
    assert opened.slowness is not None and "dummy on a CPU takes about 0.25 s" in opened.slowness
    assert "4.0 fps" in opened.slowness
    with pytest.raises(UsageError, match=r"--crop is for --engine .* with --engine dummy"):
        open_engine(Options(engine="dummy", crop="1,2,300"), print, home, Machine())
    with pytest.raises(UsageError, match="neural, liveportrait, fomm, dummy, found 'dumy'"):
        find_engine("dumy")


@pytest.mark.parametrize("family", ["liveportrait", "fomm|firstorder"])
def test_a_family_of_networks_is_named_in_few_files(family: str) -> None:
    """A new one is options, arithmetic, where its files are, and its networks."""
    naming = [
        str(path.relative_to(ROOT))
        for room in ("avatar", "engines", "calibrate")
        for path in (ROOT / room).rglob("*.py")
        if re.search(family, path.read_text("utf-8"), re.IGNORECASE)
    ]
    assert len(naming) <= 6, sorted(naming)


def test_the_picture_is_the_engines_own(home: Home, photo: AvatarPhoto) -> None:
    opened = open_engine(Options(), print, home, Machine())
    with opened.make(photo, "photo", None) as generator:
        assert isinstance(generator, PortraitGenerator)
    assert opened.slowness is None and opened.runs_on is None
