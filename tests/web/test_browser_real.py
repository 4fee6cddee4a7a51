"""The whole way through a browser: its webcam shows a clip, and the avatar does as that does."""

from __future__ import annotations

import base64
import json
import os
import re
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from avatar.core.frames import BLENDSHAPE_INDEX, UInt8Image
from avatar.stages.track.choice import detect_faces
from tests.web.browser import (
    PATIENCE_MS,
    chromium,
    film_of,
    need_chromium,
    program,
    shown,
    start,
    wait_for_avatar,
)
from tests.web.round_trip import (
    KEEP_CAMERA,
    camera_pictures,
    copying_studio,
    measure,
    number_of,
    numbered_film,
)

pytestmark = [pytest.mark.real, pytest.mark.slow]

ROUND_TRIP_MS, LOAD_MS = 120, 1000

# What the page shows of the avatar, a few times each second.
PICTURES = """
({count, pause}) => new Promise(async (resolve) => {
  const avatar = document.getElementById("avatar");
  const canvas = document.createElement("canvas");
  const taken = [];
  for (let n = 0; n < count; n++) {
    canvas.width = avatar.videoWidth;
    canvas.height = avatar.videoHeight;
    canvas.getContext("2d").drawImage(avatar, 0, 0);
    taken.push(canvas.toDataURL("image/jpeg", 0.95).split(",")[1]);
    await new Promise((next) => setTimeout(next, pause));
  }
  resolve(taken);
})
"""


@pytest.fixture(scope="module")
def film(shared_media: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip of somebody who speaks, as the browser's webcam."""
    need_chromium()
    path = tmp_path_factory.mktemp("film") / "film.mjpeg"
    return film_of(shared_media / "clips" / "d18.mp4", path, 8)


def picture(data: str) -> UInt8Image:
    raw = np.frombuffer(base64.b64decode(data), np.uint8)
    return np.asarray(cv2.imdecode(raw, cv2.IMREAD_COLOR)[..., ::-1])


def jaw(image: UInt8Image, face_model: Path) -> float | None:
    faces = detect_faces(np.ascontiguousarray(image), face_model)
    return float(faces[0].blendshapes[BLENDSHAPE_INDEX["jawOpen"]]) if faces else None


def be_the_camera(page: Any) -> None:
    page.select_option("#camera", "page")
    page.wait_for_selector("#camera-hint:has-text('is sent')", timeout=PATIENCE_MS)


@pytest.fixture
def evening(tmp_path: Path, film: Path) -> Iterator[tuple[Any, Any, Path]]:
    """The studio, and its page with a webcam: what one does before a call."""
    with (
        program(tmp_path, "studio", "--camera", "demo", "--port", "0") as studio,
        chromium(film, viewport={"width": 1280, "height": 900}) as context,
    ):
        context.add_init_script(KEEP_CAMERA)
        page = context.new_page()
        page.goto(studio.address)
        yield page, studio, tmp_path


def numbered(page: Any, count: int, most: int) -> list[tuple[int, UInt8Image]]:
    """Return ``count`` pictures of a page's avatar, with the numbers below ``most`` they carry.

    While a busy machine's camera stands still the avatar holds or idles: such pictures were drawn
    without one of the camera's and carry none. Were they counted, little of the clip would be seen.
    """
    found: list[tuple[int, UInt8Image]] = []
    for _ in range(8):
        images = list(map(picture, page.evaluate(PICTURES, {"count": count // 2, "pause": 90})))
        numbers = map(number_of, images)
        found += [pair for pair in zip(numbers, images, strict=True) if pair[0] < most]
        if len(found) >= count:
            break
    return found


def test_the_avatars_mouth_opens_with_the_pages_camera(
    tmp_path: Path, shared_media: Path, face_model: Path
) -> None:
    """Each picture that the page shows carries the number of the camera's picture behind it."""
    need_chromium()
    # Somebody who talks. In d18 somebody shouts, which the detector does not see on the portrait.
    clip = shared_media / "clips" / "d11.mp4"
    film = numbered_film(tmp_path / "film.mjpeg", clip)
    with (
        copying_studio(tmp_path) as (_, pages),
        chromium(film, viewport={"width": 1280, "height": 900}) as context,
    ):
        page = context.new_page()
        page.goto(pages.address("studio"))
        page.select_option("#camera", "demo")
        page.select_option("#camera", "page")
        start(page)
        page.wait_for_selector("#driver-caption:has-text('as points')", timeout=PATIENCE_MS)
        page.focus("#stage")
        for key in ("-", "-", "-", "-", "-", "ArrowUp", "ArrowUp"):
            page.keyboard.press(key)  # or the numbers hide the chin
        page.wait_for_timeout(3000)
        faces = list(camera_pictures(clip))
        taken = numbered(page, 100, len(faces))
    pairs = [(jaw(faces[n], face_model), jaw(image, face_model)) for n, image in taken]
    jaws = np.array([pair for pair in pairs if None not in pair], float)
    correlation = float(np.corrcoef(jaws.T)[0, 1])
    sys.stdout.write(
        f"{len(jaws)} of {len(taken)} pictures, jawOpen of the clip {jaws[:, 0].min():.2f} to "
        f"{jaws[:, 0].max():.2f}, of the avatar {jaws[:, 1].min():.2f} to {jaws[:, 1].max():.2f}, "
        f"correlation {correlation:.2f}, load {os.getloadavg()[0]:.1f}\n"
    )
    assert len(taken) >= 100
    assert len(jaws) >= 0.8 * len(taken)
    assert np.ptp(jaws[:, 1]) > 0.2, "its mouth opens and shuts"
    assert correlation > 0.6


def test_an_evening_before_a_call(evening: tuple[Any, Any, Path], shared_media: Path) -> None:
    """A photograph, another one, a recording, a calibration with its profile; then good night."""
    page, studio, home = evening
    start(page)
    for name in ("mona-lisa", "pearl-earring"):
        page.set_input_files("#photo", str(shared_media / "avatars" / f"{name}.jpg"))
        page.wait_for_selector(f"input[name=avatar][value={name}]:checked", timeout=PATIENCE_MS)
        assert "was added" in page.text_content("#add-status")
    before = shown(page).astype(int)
    page.keyboard.press("1")
    page.wait_for_selector("input[value=mona-lisa]:checked", timeout=PATIENCE_MS)
    page.wait_for_timeout(1000)
    assert np.abs(shown(page) - before).mean() > 10, "another avatar is seen"

    page.set_input_files("#photo", str(shared_media / "avatars" / "llama-no-human-face.jpg"))
    page.wait_for_selector("#trouble:has-text('human face')", timeout=PATIENCE_MS)

    be_the_camera(page)
    page.wait_for_selector("#driver-caption:has-text('as points')", timeout=PATIENCE_MS)
    page.click(".switch:has([data-output=file])")
    page.wait_for_selector("li[data-state=on] [data-output=file]", timeout=PATIENCE_MS)
    page.click("#calibrate-unattended")
    page.wait_for_selector("#calibrate-prompt:has-text('Watching')", timeout=PATIENCE_MS)
    page.wait_for_timeout(12_000)
    page.click("#calibrate-keep")
    page.wait_for_selector("#calibrate-result:has-text('kept as')", timeout=PATIENCE_MS)
    page.click("#calibrate-result button")
    page.wait_for_selector("#calibrate-result:not(:has(button))", timeout=PATIENCE_MS)
    assert page.input_value("[data-option=profile]") == '"me"'
    assert page.inner_text("#stages").count(" ms") == 6
    page.click(".switch:has([data-output=file])")
    page.wait_for_selector("li[data-state=off] [data-output=file]", timeout=PATIENCE_MS)
    (recording,) = (home / "Videos" / "webcam-avatar").glob("*.mp4")
    with av.open(str(recording)) as container:
        assert sum(1 for _ in container.decode(video=0)) > 100

    page.reload()
    wait_for_avatar(page)
    page.wait_for_selector("#camera-hint:has-text('is sent')", timeout=PATIENCE_MS)
    other = page.context.new_page()
    other.goto(studio.origin)
    other.wait_for_selector("#camera-hint:has-text('Another page')", timeout=PATIENCE_MS)
    other.click("#camera-hint button")
    other.wait_for_selector("#camera-hint:has-text('is sent')", timeout=PATIENCE_MS)
    page.wait_for_selector("#camera-hint:has-text('Another page')", timeout=PATIENCE_MS)
    other.click("#start")
    other.wait_for_selector("#camera-hint:has-text('with Start')", timeout=PATIENCE_MS)
    other.close()
    lines = studio.end()
    page.wait_for_selector("body[data-phase=away]", timeout=PATIENCE_MS)
    assert "does not answer" in page.text_content("#cover")
    assert not [line for line in lines if "Traceback" in line]
    assert (home / "data" / "webcam-avatar" / "profiles" / "me.json").is_file()


def test_a_page_of_yesterday_says_that_the_address_is_old(tmp_path: Path) -> None:
    need_chromium()
    with chromium() as context:
        page = context.new_page()
        with program(tmp_path, "studio", "--camera", "demo", "--port", "0") as studio:
            page.goto(studio.address)
            page.wait_for_selector("body[data-phase=stopped]", timeout=PATIENCE_MS)
            port = studio.origin.rpartition(":")[2]
            studio.end()
        page.wait_for_selector("body[data-phase=away]", timeout=PATIENCE_MS)
        with program(tmp_path, "studio", "--camera", "demo", "--port", port) as again:
            page.wait_for_selector("#cover:has-text('no longer valid')", timeout=PATIENCE_MS)
            page.goto(again.address)
            page.wait_for_selector("body[data-phase=stopped]", timeout=PATIENCE_MS)
            again.end()


def test_the_avatar_is_cut_out_for_obs(tmp_path: Path) -> None:
    """``avatar run --out page --background transparent``, as a program that shows web pages."""
    need_chromium()
    options = ("--camera", "demo", "--out", "page:0", "--background", "transparent")
    with (
        program(tmp_path, "run", *options, "--size", "640x360") as run,
        chromium(viewport={"width": 640, "height": 360}) as context,
    ):
        page = context.new_page()
        page.goto(run.view)
        page.wait_for_selector("#cutout:not([hidden])", timeout=PATIENCE_MS)
        page.wait_for_timeout(500)
        image = png(page.screenshot(omit_background=True))
        assert image.shape == (360, 640, 4)
        alpha = image[..., 3]
        assert alpha[:, :60].max() == 0, "nothing beside the person"
        assert (alpha[150:200, 280:360] > 250).all(), "the face hides what is behind it"
        assert (alpha[20:36, -44:-24] > 250).all(), "the label is opaque"
        assert image[20:36, -44:-24, :3].max() > 200
        page.goto(f"{run.origin}/view?background=rgb(0,200,0)")
        page.wait_for_selector("#cutout:not([hidden])", timeout=PATIENCE_MS)
        page.wait_for_timeout(500)
        green = png(page.screenshot(omit_background=True))
        assert np.abs(green[100, 20, :3].astype(int) - (0, 200, 0)).max() <= 2
        run.end()


def png(data: bytes) -> UInt8Image:
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    assert image is not None
    return np.asarray(
        cv2.cvtColor(image, cv2.COLOR_BGRA2RGBA if image.shape[2] == 4 else cv2.COLOR_BGR2RGB)
    )


def test_where_video_finds_no_way_the_page_and_the_view_say_so(tmp_path: Path) -> None:
    """A firewall between: the program's answer names an address where nobody listens."""
    need_chromium()

    def wrong_way(route: Any) -> None:
        answer = route.fetch()
        values = answer.json()
        values["sdp"] = re.sub(r"(a=candidate:\S+ 1 udp \d+ \S+) \d+", r"\1 9", values["sdp"])
        route.fulfill(response=answer, json=values)

    with (
        program(tmp_path, "studio", "--camera", "demo", "--port", "0", "--start") as studio,
        chromium() as context,
    ):
        context.route("**/api/watch", wrong_way)
        page = context.new_page()
        page.goto(studio.address)
        page.wait_for_selector("#cover:has-text('find no way')", timeout=PATIENCE_MS)
        page.goto(studio.view)
        page.wait_for_selector("#why:has-text('find no way')", timeout=PATIENCE_MS)
        context.unroute("**/api/watch")
        page.wait_for_selector("body:not(.nothing)", timeout=PATIENCE_MS)
        assert page.text_content("#why") == ""
        studio.end()


def own_address() -> str:
    """Return an address of this machine that others could reach; nothing is sent to find it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            pytest.skip("this machine has no address but its own")
        return str(probe.getsockname()[0])


def test_another_device_sees_and_is_the_camera_by_tls(tmp_path: Path, film: Path) -> None:
    address = own_address()
    options = ("--camera", "demo", "--port", "0", "--listen", address)
    with (
        program(tmp_path, "studio", *options) as studio,
        chromium(film, ignore_https_errors=True, viewport={"width": 390, "height": 844}) as phone,
    ):
        assert studio.address.startswith(f"https://{address}:")
        page = phone.new_page()
        page.goto(studio.address)
        start(page)
        be_the_camera(page)
        page.wait_for_selector("#driver-caption:has-text('as points')", timeout=PATIENCE_MS)
        assert shown(page).std() > 20
        lines = studio.end()
    said = "\n".join(lines)
    assert "can see the avatar" in said and "fingerprint" in said


def test_the_view_alone_is_seen_from_another_device_by_tls(tmp_path: Path) -> None:
    """``avatar run --out page --listen ADDRESS``: OBS on another machine."""
    need_chromium()
    address = own_address()
    options = ("--camera", "demo", "--out", "page:0", "--listen", address, "--size", "640x360")
    with (
        program(tmp_path, "run", *options) as run,
        chromium(ignore_https_errors=True) as other,
    ):
        assert run.view.startswith(f"https://{address}:")
        page = other.new_page()
        page.goto(run.view)
        page.wait_for_selector("body:not(.nothing)", timeout=PATIENCE_MS)
        for _ in range(100):
            if page.evaluate("document.getElementById('avatar').videoWidth") == 640:
                break
            page.wait_for_timeout(100)
        assert shown(page).std() > 20
        lines = run.end()
    assert "fingerprint" in "\n".join(lines)


def test_round_trip_and_loading_are_quick(tmp_path: Path, shared_media: Path) -> None:
    need_chromium()
    figures = measure(tmp_path, 15, shared_media / "clips" / "d18.mp4")
    sys.stdout.write(json.dumps(figures) + "\n")
    assert figures["round_trip_ms"]["count"] > 200
    assert figures["round_trip_ms"]["p50"] <= ROUND_TRIP_MS
    assert figures["page_load_ms"] <= LOAD_MS
