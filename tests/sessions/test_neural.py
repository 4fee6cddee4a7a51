"""The neural engines behind the commands, with installed networks of seeded weights."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from avatar.core.errors import AvatarError, EngineError, UsageError
from avatar.core.face.rotation import rotation_from_vector
from avatar.core.frames import Presence, UInt8Image, still
from avatar.core.home import Home
from avatar.core.machine import Machine
from avatar.core.options import Options
from avatar.library.models import store
from avatar.library.models.catalog import find
from avatar.library.models.store import Checked
from avatar.sessions.driver import Driver
from avatar.sessions.engines import ENGINES, published
from avatar.sessions.engines.published import open_cropped
from avatar.sessions.film import animate
from avatar.sessions.live import LiveSession
from avatar.stages.motion.performance import FACE, FACE_SHAPES, seen_of
from avatar.stages.motion.template import TemplateRecorder
from avatar.stages.sinks.none import NullSink
from engines.compare import LIMITS
from engines.nvidia import has_driver
from tests.engines.conftest import relative_error
from tests.sessions.test_film import write_film

SIZE_PX = (256, 256)
SIZE = "256x256"


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A store of networks, empty at first; a family that is installed is also kept built."""
    root = tmp_path_factory.mktemp("models")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AVATAR_MODELS", str(root))
        yield root


def install(family: str, root: Path) -> None:
    """Put every network of a family with seeded weights into the store."""
    torch = pytest.importorskip("torch", reason="checkpoints are written and read by PyTorch")
    pytest.importorskip("openvino", reason="the networks run on OpenVINO here")
    from engines.networks.seeded import seeded

    entry = find(family)
    if (root / entry.slug).exists():
        return
    files = []
    for name in entry.networks:
        path = root / f"{name.replace('/', '-')}.pth"
        state: dict[str, Any] = dict(seeded(name).state_dict())
        torch.save(state, path)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        files.append(Checked(path, path.name, digest, (name,), "seeded"))
    store.add(root, entry, files)


def frames_of(path: Path) -> list[UInt8Image]:
    with av.open(str(path)) as container:
        assert json.loads(container.metadata["AIGC"])["Label"] == "1"
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def make(engine: str, driving: Path, out: Path, **options: Any) -> int:
    given = {"size": SIZE, "engine": engine, "backend": "openvino"}
    seconds, save_motion = options.pop("seconds", None), options.pop("save_motion", None)
    config = Options(**(given | options), seconds=seconds)
    return animate(
        config, Home.of_user(), driving=driving, out=out, size_px=SIZE_PX, audio="none", face=1,
        save_motion=save_motion,
    )  # fmt: skip


def test_a_recorded_face_moves_networks_that_look_at_a_picture(
    models: Path, portrait: UInt8Image, tmp_path: Path
) -> None:
    """Somebody is drawn who does what was recorded, and the networks look at that."""
    install("fomm", models)
    photo, wave = tmp_path / "me.png", tmp_path / "wave.npz"
    Image.fromarray(portrait).save(photo)
    recorder = TemplateRecorder(FACE, 30, FACE_SHAPES)
    for k in range(4):
        turn = rotation_from_vector(np.radians([0, 6.0 * k, 0]).astype(np.float32))
        recorder.add(
            round(k / 30 * 1e9), seen_of(replace(still(0, k, Presence.TRACKED), rotation=turn))
        )
    recorder.save(wave)
    assert make("fomm", wave, tmp_path / "a.mp4", avatar=(str(photo),)) == 0
    pictures = frames_of(tmp_path / "a.mp4")
    assert len(pictures) == 4
    assert not np.array_equal(pictures[0], pictures[-1])


@pytest.mark.slow
def test_fomm_animates_a_clip_and_its_template_gives_the_same_pictures(
    models: Path, shared_media: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    install("fomm", models)
    clip = shared_media / "clips" / "d0.mp4"
    avatar = (str(shared_media / "avatars" / "mona-lisa.jpg"),)
    template, first, again = tmp_path / "m.npz", tmp_path / "a.mp4", tmp_path / "b.mp4"
    assert make("fomm", clip, first, avatar=avatar, seconds=0.2, save_motion=template) == 0
    assert "backend openvino: asked for" in capfd.readouterr().err
    pictures = frames_of(first)
    assert len(pictures) == 5
    assert any(not np.array_equal(a, pictures[0]) for a in pictures)
    assert make("fomm", template, again, avatar=avatar) == 0
    assert all(np.array_equal(a, b) for a, b in zip(pictures, frames_of(again), strict=True))
    with pytest.raises(UsageError, match="exists already"):
        make("fomm", clip, first, avatar=avatar, save_motion=template, force=False)


@pytest.mark.slow
def test_pytorch_draws_what_the_others_draw(models: Path, portrait: UInt8Image) -> None:
    install("fomm", models)
    moved = np.roll(portrait, 6, axis=1)
    drawn = []
    for backend, precision in (("openvino", "fp32"), ("torch", "fp16")):
        asked: dict[str, Any] = {"backend": backend, "device": "cpu", "precision": precision}
        with Driver("builtin", "fomm", size_px=SIZE_PX, **asked) as driver:
            driver.step(portrait, 1_000_000)
            frame = driver.step(moved, 40_000_000)
        assert frame is not None
        drawn.append(frame.image.astype(float))
    assert relative_error(drawn[1], drawn[0]) < LIMITS["fp16"]


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"backend": "openvino", "device": "cuda"}, r"openvino does not run on an NVIDIA card"),
        ({"backend": "tensorrt-rtx", "device": "cpu"}, r"those that do are openvino, onnxruntime"),
        ({"backend": "torch", "device": "cuda"}, r"no NVIDIA driver was found"),
        ({"device": "cuda"}, r"no backend can run on an NVIDIA card.*--device cpu"),
        ({"backend": "torch", "device": "cpu", "precision": "int8"}, r"fp32 or fp16 with torch"),
        ({"backend": "openvino", "precision": "fp16"}, r"fp32 or int8 with openvino"),
    ],
)
@pytest.mark.parametrize("engine", ["liveportrait", "fomm"])
def test_a_device_that_was_asked_for_is_used_or_refused(
    engine: str,
    asked: dict[str, Any],
    words: str,
    home: Home,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for package in ("torch", "openvino"):
        pytest.importorskip(package, reason="one of the backends that are asked for")
    if has_driver():
        pytest.skip("this machine has a driver: what is refused here would run")
    monkeypatch.setattr(published, "model_folder", lambda *_: tmp_path)
    with pytest.raises(AvatarError, match=words):
        ENGINES[engine].open(Options(engine=engine, **asked), print, home, Machine())


@pytest.mark.slow
def test_liveportrait_animates_a_clip(models: Path, shared_media: Path, tmp_path: Path) -> None:
    install("liveportrait", models)
    try:
        clip = shared_media / "clips" / "d0.mp4"
        out = tmp_path / "a.mp4"
        avatar = (str(shared_media / "avatars" / "llama-no-human-face.jpg"),)
        options = {"crop": "60,20,300", "retarget_lips": True, "seconds": 0.08}
        assert make("liveportrait", clip, out, avatar=avatar, **options) == 0
        assert len(frames_of(out)) == 2
    finally:
        shutil.rmtree(models / "builds" / "liveportrait", ignore_errors=True)  # half a gigabyte


@pytest.mark.slow
def test_the_driver_takes_the_neural_engines(models: Path, portrait: UInt8Image) -> None:
    install("fomm", models)
    options = {"backend": "openvino", "strength": 0.5}
    with Driver("builtin", "fomm", size_px=SIZE_PX, **options) as driver:
        frame = driver.step(portrait, 1_000_000)
    assert frame is not None
    assert frame.image.shape == (256, 256, 3)


def test_networks_that_are_not_installed_are_told_with_the_way_to_get_them(
    home: Home,
) -> None:
    for engine in ("liveportrait", "fomm"):
        with pytest.raises(EngineError, match="avatar models"):
            ENGINES[engine].open(Options(smoothing="off"), print, home, Machine())


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"engine": "portrait", "stitching": False}, "--stitching is for"),
        ({"engine": "portrait", "backend": "openvino"}, "--backend is for"),
        ({"engine": "portrait", "crop": "1,2,300"}, "--crop is for"),
        ({"engine": "fomm", "regions": ("lips",)}, "--engine fomm"),
        ({"engine": "liveportrait", "variant": "animals"}, "needs --crop"),
        ({"engine": "liveportait"}, "portrait, neural, liveportrait, fomm"),
    ],
)
def test_options_that_do_not_go_together_are_refused_at_once(
    config: dict[str, Any], words: str, home: Home
) -> None:
    with pytest.raises(UsageError) as caught:
        LiveSession(
            Options(camera="demo", size=SIZE, **config),
            print,
            home=home,
            sinks=[NullSink(SIZE_PX)],
        )
    assert words in str(caught.value)


@pytest.mark.parametrize(("strength", "regions"), [(-0.1, ("pose",)), (2.1, ("pose",)), (1, ())])
def test_options_out_of_range_are_refused(strength: float, regions: tuple[Any, ...]) -> None:
    with pytest.raises(UsageError):
        Options(strength=strength, regions=regions)


def test_a_live_run_on_a_processor_says_how_slow_it_will_be(
    models: Path, monkeypatch: pytest.MonkeyPatch, home: Home
) -> None:
    pytest.importorskip("openvino", reason="the backend that is asked for")
    monkeypatch.setattr(published, "model_folder", lambda root, family, variant: models)
    monkeypatch.setattr(published, "_weights", lambda folder: "none")
    said: list[str] = []
    config = Options(camera="demo", engine="liveportrait", backend="openvino", size=SIZE)
    LiveSession(config, said.append, home=home, sinks=[NullSink(SIZE_PX)])
    assert any("5 s a frame" in line and "0.2 fps" in line for line in said)
    assert any(line.startswith("backend openvino: asked for") for line in said)


def test_a_picture_without_a_face_is_opened_by_its_square(portrait: UInt8Image, home: Home) -> None:
    blank = np.full((300, 400, 3), 90, np.uint8)
    opened = open_cropped(blank, "100,50,200", home, print)
    assert opened.face.landmarks_px[:, :2].mean(axis=0) == pytest.approx([200, 150], abs=1)
    with pytest.raises(AvatarError, match="400×300"):
        open_cropped(blank, "390,50,200", home, print)


@pytest.mark.parametrize(
    ("driving", "engine", "words"),
    [
        ("motion.pkl", "fomm", "never opened here.*scripts/convert_motion.py"),
        ("motion.npz", "portrait", "nothing there"),
        ("motion.npz", "fomm", "nothing there"),
    ],
)
def test_driving_that_is_no_usable_template_is_refused(
    driving: str, engine: str, words: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=words):
        make(engine, tmp_path / driving, tmp_path / "a.mp4", backend="auto")


@pytest.mark.parametrize(
    ("name", "engine", "words"),
    [
        ("m.txt", "fomm", r"ends in \.npz"),
        ("no/m.npz", "fomm", "no folder"),
    ],
)
def test_motion_that_cannot_be_saved_is_told_at_the_start(
    name: str, engine: str, words: str, tmp_path: Path
) -> None:
    clip = write_film(tmp_path / "c.mp4", [np.zeros((64, 64, 3), np.uint8)] * 2, range(2))
    with pytest.raises(UsageError, match=words):
        make(engine, clip, tmp_path / "a.mp4", backend="auto", save_motion=tmp_path / name)
