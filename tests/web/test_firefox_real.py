"""Debian's Firefox before the pages: it has VP8 alone, and no loopback address of its own."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from avatar.core.frames import UInt8Image
from tests import ROOT
from tests.test_no_network import permitted
from tests.web.browser import Program, program
from tests.web.firefox import Window, firefox, need_firefox
from tests.web.test_browser_real import own_address

pytestmark = [pytest.mark.real, pytest.mark.slow]

SHOWS_AVATAR = (
    "document.body.dataset.phase === 'running' && document.getElementById('cover').hidden"
)
SHOWS_CUTOUT = (
    "!document.getElementById('cutout').hidden && !document.body.classList.contains('nothing')"
)


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Program]:
    need_firefox()
    with program(tmp_path, "studio", "--camera", "demo", "--port", "0", "--start") as running:
        yield running


def picture(window: Window) -> UInt8Image:
    """Return what the page looks like, uint8 (H, W, 3) RGB."""
    image = cv2.imdecode(np.frombuffer(window.screenshot(), np.uint8), cv2.IMREAD_COLOR)
    return np.asarray(image[..., ::-1])


def seen(window: Window) -> list[int]:
    """Return how many pixels the page's video has: width, height."""
    window.wait_for("document.getElementById('avatar').videoWidth", "a picture")
    return list(
        window.run(
            "() => { const video = document.getElementById('avatar');"
            "return [video.videoWidth, video.videoHeight]; }"
        )
    )


def test_firefox_shows_the_avatar_and_is_the_camera(studio: Program) -> None:
    need_firefox()
    own_address()
    with firefox() as window:
        window.resize(1280, 900)
        window.goto(studio.address)
        window.wait_for(SHOWS_AVATAR, "the avatar is shown")
        assert seen(window) == [1280, 720]
        window.run(
            "() => { const menu = document.getElementById('camera'); menu.value = 'page';"
            "menu.dispatchEvent(new Event('change')); }"
        )
        window.wait_for(
            "document.getElementById('camera-hint').textContent.includes('is sent')",
            "the camera is sent",
        )
        window.run("() => document.getElementById('show-driver').click()")
        window.wait_for(
            "!document.getElementById('driver-picture').hidden", "the camera's picture comes back"
        )
        assert window.run("() => document.getElementById('driver-picture').width") >= 320
    lines = studio.end()
    assert not [line for line in lines if "Traceback" in line], lines


def test_firefox_shows_the_view_cut_out(tmp_path: Path) -> None:
    need_firefox()
    own_address()
    options = ("--camera", "demo", "--out", "page:0", "--background", "transparent")
    with (
        program(tmp_path, "run", *options, "--size", "640x360") as run,
        firefox() as window,
    ):
        window.resize(640, 360)
        window.goto(f"{run.view}&background=rgb(0,200,0)")
        window.wait_for(SHOWS_CUTOUT, "the avatar is shown")
        assert seen(window) == [640, 720]
        window.wait_for("document.getElementById('why').textContent === ''")
        image = picture(window).astype(int)
        assert np.abs(image[10:60, :30] - (0, 200, 0)).max() <= 2, "green beside the person"
        assert np.abs(image[150:200, 280:360] - (0, 200, 0)).max() > 60, "the face is before it"
        run.end()


@pytest.mark.parametrize(
    ("preference", "words"),
    [
        pytest.param("media__peerconnection__enabled", "WebRTC is switched off", id="off"),
        pytest.param("media__peerconnection__ice__relay_only", "no network address", id="hidden"),
    ],
)
def test_the_page_and_the_view_say_the_real_reason(
    studio: Program, preference: str, words: str
) -> None:
    with firefox(**{preference: preference.endswith("only")}) as window:
        says_why(window, studio, words)


def says_why(window: Window, studio: Program, words: str) -> None:
    """Expect the studio's page and the view to name a reason for showing nothing."""
    window.goto(studio.address)
    cover = "document.getElementById('cover').textContent"
    window.wait_for(f"{cover}.includes('{words}')", "the page says why")
    window.goto(studio.view)
    why = "document.getElementById('why').textContent"
    window.wait_for(f"{why}.includes('{words}')", "the view says why")


def test_where_there_is_no_network_at_all_firefox_says_so(tmp_path: Path) -> None:
    """Chromium shows the avatar there: it uses loopback addresses."""
    need_firefox()
    namespace = ("unshare", "--map-root-user", "--net")
    if not permitted(*namespace) or shutil.which("ip") is None:
        pytest.skip("namespaces are not permitted here, or `ip` is missing: apt install iproute2")
    inside = ("sh", "-c", 'ip link set lo up && exec "$0" "$@"', sys.executable)
    result = subprocess.run(
        [*namespace, *inside, "-m", "tests.web.test_firefox_real", str(tmp_path)],
        capture_output=True, text=True, cwd=ROOT, timeout=150,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr


def test_an_avatar_that_cannot_be_cut_out_is_no_empty_page(tmp_path: Path) -> None:
    """Neither WebGL nor a canvas that can be read: what a browser that hides who one is has."""
    need_firefox()
    own_address()
    options = ("--camera", "demo", "--out", "page:0", "--background", "transparent")
    with (
        program(tmp_path, "run", *options, "--size", "640x360") as run,
        firefox(webgl__disabled=True) as plain,
    ):
        plain.resize(640, 360)
        plain.goto(f"{run.view}&background=rgb(0,200,0)")
        plain.wait_for(SHOWS_CUTOUT, "the processor cuts it out")
        image = picture(plain).astype(int)
        assert np.abs(image[10:60, :30] - (0, 200, 0)).max() <= 2
        assert np.abs(image[150:200, 280:360] - (0, 200, 0)).max() > 60
        with firefox(webgl__disabled=True, privacy__resistFingerprinting=True) as hiding:
            hiding.goto(run.view)
            words = "document.getElementById('why').textContent"
            hiding.wait_for(f"{words}.includes('cannot show an avatar that is cut out')")
        run.end()


if __name__ == "__main__":
    with (
        program(Path(sys.argv[1]), "studio", "--camera", "demo", "--port", "0", "--start") as alone,
        firefox() as offline,
    ):
        says_why(offline, alone, "no network address")
        alone.end()
