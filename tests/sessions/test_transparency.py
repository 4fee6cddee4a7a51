"""Where transparency cannot go it is refused or told, never dropped in silence."""

from pathlib import Path

import numpy as np
import pytest

from avatar.core.errors import UsageError
from avatar.core.home import Home
from avatar.core.options import Options
from avatar.sessions.avatars import open_avatar
from avatar.sessions.driver import Driver
from avatar.sessions.film import animate
from avatar.sessions.live import LiveSession
from avatar.stages.sinks.memory import MemorySink
from tests.learn.person.test_calibrate import film_of_the_performer
from tests.stages.sinks.test_alpha_film import read


def test_outputs_without_alpha_are_refused_with_what_to_take(home: Home) -> None:
    config = Options(camera="demo", out=("virtual", "file:a.mp4"), background="transparent")
    with pytest.raises(UsageError, match=r"virtual and file cannot .*--background green"):
        LiveSession(config, print, home=home)


def test_an_address_with_its_key_is_not_told(home: Home) -> None:
    out = ("rtmp://example.com/live/SECRET",)
    with pytest.raises(UsageError) as raised:
        LiveSession(Options(camera="demo", out=out, background="transparent"), print, home=home)
    assert "rtmp cannot carry transparency" in str(raised.value)
    assert "SECRET" not in str(raised.value)


def test_beside_an_output_with_alpha_the_others_are_named(home: Home) -> None:
    said: list[str] = []
    out = ("memory", "pipewire")
    LiveSession(Options(camera="demo", out=out, background="transparent"), said.append, home=home)
    assert "--background transparent: pipewire shows the avatar on black" in said


def test_a_film_that_cannot_be_transparent_is_refused(tmp_path: Path, home: Home) -> None:
    config = Options(background="transparent")
    clip, out = tmp_path / "clip.mp4", tmp_path / "talk.mp4"
    with pytest.raises(UsageError, match=r"cannot carry transparency.*\.mov.*\.webm"):
        animate(config, home, driving=clip, out=out, size_px=None, audio="none", face=1)
    assert not out.exists()


def test_networks_have_no_other_background(home: Home) -> None:
    with pytest.raises(UsageError, match="--background is for --engine portrait"):
        Driver("builtin", "fomm", background="green", home=home)


def test_what_is_no_background_is_told_at_the_start(home: Home) -> None:
    with pytest.raises(UsageError, match="--background: expected photo"):
        LiveSession(Options(background="gren"), print, home=home, sinks=[MemorySink((1280, 720))])


def test_alpha_travels_through_the_live_loop_to_the_sink(home: Home) -> None:
    sink = MemorySink((320, 240))
    config = Options(camera="demo", size="320x240", background="transparent", seconds=1.0)
    LiveSession(config, print, home=home, sinks=[sink]).run()
    frame = sink.frames[-1]
    assert frame.alpha is not None
    assert frame.alpha.min() == 0
    assert frame.alpha.max() == 255


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".mov", ".webm"])
def test_a_film_with_alpha_is_made(tmp_path: Path, suffix: str, home: Home) -> None:
    clip, out = tmp_path / "clip.mp4", tmp_path / f"talk{suffix}"
    film_of_the_performer(clip, 0.4)
    config = Options(background="transparent")
    assert (
        animate(config, home, driving=clip, out=out, size_px=(160, 160), audio="none", face=1) == 0
    )
    pictures, _ = read(out)
    assert len(pictures) == 12
    alpha = pictures[-1][..., 3]
    assert alpha.min() == 0
    assert float((alpha > 250).mean()) > 0.2


def test_the_built_in_portrait_is_cut_out_without_its_flag(face_model: Path, home: Home) -> None:
    """Its flag and cord are of the colours of uniform and hair: the outline comes with it."""
    photo = open_avatar("builtin", face_model, home, print)
    assert photo.matte is not None and photo.matte.shape == photo.photo.shape[:2]
    matte = photo.matte
    assert matte[:300, :140].max() == 0, "the flag, the cord"
    assert matte[:330, 400:].max() < 0.01, "the sky"
    x, y = np.rint(photo.face.landmarks_px[:, :2]).astype(int).T
    assert (matte[y, x] > 0.95).mean() > 0.99, "all but where the face ends"
    assert matte[450:, 60:480].min() > 0.99, "the uniform"
