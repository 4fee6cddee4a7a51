"""The rooms Still and Clips in Debian's Chromium: by mouse and keys, narrow, in both languages."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from avatar.stages.generate.photo import builtin_photo, load_photo
from tests.web.browser import (
    PATIENCE_MS,
    Program,
    chromium,
    demo_studio,
    open_studio,
    shown,
    start,
    stop,
)
from tests.web.test_browser import EVERY_WORD, KEYS

# A clip on a busy machine, which makes it behind everything else.
CLIP_MS = 240_000

# What can be pressed or is a picture, and has no name for who does not see it.
NAMELESS = """() => [...document.querySelectorAll(
  "main:not([hidden]) :is(input, select, button, a, canvas[role=img], video[controls], summary)"
)].filter((element) => element.checkVisibility()).filter((element) => {
  const labels = [...(element.labels ?? [])].map((label) => label.textContent).join("");
  return !(element.getAttribute("aria-label") || labels.trim() || element.textContent.trim());
}).map((element) => element.outerHTML.slice(0, 120))"""
TOO_WIDE = """() => document.documentElement.scrollWidth - document.documentElement.clientWidth"""


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    with demo_studio(tmp_path_factory.mktemp("home")) as running:
        yield running


@pytest.fixture(scope="module")
def page(studio: Program) -> Iterator[Any]:
    with chromium(viewport={"width": 1280, "height": 900}) as context:
        page = open_studio(context, studio)
        page.on("dialog", lambda dialog: dialog.accept())
        yield page
        assert page.problems == []


def enter(page: Any, room: str) -> None:
    page.click(f"#rooms a[data-room={room}]")
    page.wait_for_selector(f"body[data-room={room}]")


def still(page: Any) -> np.ndarray[Any, Any]:
    return shown(page, "#still-canvas").astype(int)


def settled(page: Any) -> np.ndarray[Any, Any]:
    """Return the still once nothing is asked for any more."""
    page.wait_for_selector("#still-canvas:not([aria-busy])", timeout=PATIENCE_MS)
    return still(page)


def set_slider(page: Any, name: str, value: float) -> None:
    page.evaluate(
        """([name, value]) => {
          const slider = document.getElementById(`still-${name}`);
          slider.value = value;
          slider.dispatchEvent(new Event("input"));
        }""",
        [name, value],
    )


@pytest.fixture
def stills(page: Any) -> np.ndarray[Any, Any]:
    """Be in the room Still; return the photograph as it is."""
    enter(page, "still")
    page.wait_for_selector("#still-turn", timeout=PATIENCE_MS)
    page.wait_for_selector("#still-canvas:not([width='1280'])", timeout=2 * PATIENCE_MS)
    page.click("#still-reset")
    picture = settled(page)
    assert picture.shape[0] > 200 and picture.std() > 20
    return picture


def test_rooms_are_reached_by_keys_alone_and_a_call_goes_on(page: Any) -> None:
    enter(page, "live")
    start(page)
    page.focus("#rooms a[data-room=live]")
    for name in ("still", "clips"):
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        page.wait_for_selector(f"#room-{name}:not([hidden])")
        assert page.get_attribute(f"#rooms a[data-room={name}]", "aria-current") == "page"
        assert page.is_hidden("#room-live") and name.title() in page.title()
        assert page.get_attribute("body", "data-phase") == "running"
    page.keyboard.press("s")
    page.wait_for_selector("body[data-phase=stopped]", timeout=PATIENCE_MS)
    page.go_back()
    page.wait_for_selector("#room-still:not([hidden])")


def test_the_live_rooms_templates_are_named_in_the_pages_language(page: Any) -> None:
    enter(page, "live")
    for language, name in (("zh", "打招呼"), ("en", "Wave")):
        page.select_option("#language", language)
        page.wait_for_selector(
            f"#template option[value=wave]:has-text('{name}')",
            state="attached",
            timeout=PATIENCE_MS,
        )


def test_sliders_change_the_picture_and_keys_move_them(page: Any, stills: Any) -> None:
    page.focus("#still-smile")
    for _ in range(12):
        page.keyboard.press("ArrowRight")
    assert page.get_attribute("#still-smile", "aria-valuetext") == "60 %"
    smiling = settled(page)
    assert np.abs(smiling - stills).mean() > 0.2
    before = page.input_value("input[name=avatar]:checked") if page.locator(
        "input[name=avatar]:checked"
    ).count() else ""  # fmt: skip
    page.keyboard.press("1")  # in the live room the first avatar
    assert not before or page.input_value("input[name=avatar]:checked") == before
    page.click("#still-before")
    assert page.get_attribute("#still-before", "aria-pressed") == "true"
    assert "as it was" in page.get_attribute("#still-canvas", "aria-label")
    np.testing.assert_allclose(still(page), stills, atol=4)
    page.click("#still-before")
    np.testing.assert_allclose(settled(page), smiling, atol=4)


def test_the_head_follows_the_mouse(page: Any, stills: Any) -> None:
    box = page.locator("#still-canvas").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + box["width"] / 8, y + box["height"] / 10, steps=6)
    page.mouse.up()
    assert float(page.input_value("#still-turn")) == pytest.approx(11, abs=2)
    assert float(page.input_value("#still-nod")) == pytest.approx(7, abs=2)
    assert np.abs(settled(page) - stills).mean() > 1
    page.mouse.move(x, y)
    assert float(page.input_value("#still-turn")) == pytest.approx(11, abs=2), "it is let go"


def test_a_still_is_saved_in_full_size(page: Any, stills: Any) -> None:
    set_slider(page, "jaw", 0.6)
    page.select_option("#still-kind", "webp")
    page.select_option("#still-frames", "3")
    with page.expect_download(timeout=PATIENCE_MS) as coming:
        page.click("#still-file")
    assert coming.value.suggested_filename == "builtin-still.webp"
    data = Path(coming.value.path()).read_bytes()
    height, width = load_photo(builtin_photo()).shape[:2]
    with Image.open(io.BytesIO(data)) as picture:
        assert (picture.format, picture.size) == ("WEBP", (3 * width, height))
    assert b"AIGC" in data
    page.wait_for_selector("#still-status:has-text('builtin-still.webp')")


def test_another_faces_expression_and_a_photograph_without_one(
    page: Any, stills: Any, tmp_path: Path
) -> None:
    with Image.open(builtin_photo()) as photo:
        photo.convert("RGB").rotate(12).save(tmp_path / "tilted.jpg")
    page.set_input_files("#still-like-file", str(tmp_path / "tilted.jpg"))
    page.wait_for_selector("#still-like-status:has-text('was taken')", timeout=PATIENCE_MS)
    assert np.abs(settled(page) - stills).mean() > 1
    Image.new("RGB", (300, 300), (90, 140, 90)).save(tmp_path / "grass.png")
    page.select_option("#language", "zh")
    page.set_input_files("#still-like-file", str(tmp_path / "grass.png"))
    page.wait_for_selector("#trouble:has-text('grass')", timeout=PATIENCE_MS)
    words = page.text_content("#trouble")
    page.select_option("#language", "en")
    assert re.search(r"[\u4e00-\u9fff]{4}", words) and "--" not in words


def test_a_song_that_is_none_is_said_in_the_pages_language(page: Any) -> None:
    enter(page, "clips")
    page.wait_for_selector("#clip-song option[value=hop]", state="attached", timeout=PATIENCE_MS)
    page.select_option("#language", "zh")
    page.set_input_files("#clip-song-file", str(builtin_photo()))
    page.wait_for_selector("#clip-beats-words.bad", timeout=CLIP_MS)
    words = page.text_content("#clip-beats-words")
    page.select_option("#language", "en")
    assert re.search(r"[\u4e00-\u9fff]{4}", words) and "--" not in words
    assert "Choose" in page.text_content("#clip-beats-words")
    page.select_option("#clip-song", "hop")
    page.wait_for_selector("#clip-beats-words:has-text('120 beats a minute')", timeout=CLIP_MS)


def test_a_clip_is_made_beside_a_call_played_had_and_deleted(page: Any, tmp_path: Path) -> None:
    enter(page, "live")
    start(page)
    enter(page, "clips")
    page.wait_for_selector("input[name=template][value=nod]", timeout=PATIENCE_MS)
    page.check("input[name=template][value=nod]")
    # By keyboard: templates that arrive meanwhile move what a mouse aims at.
    page.focus("input[name=shape][value='1:1']")
    page.keyboard.press("Space")
    assert page.is_checked("input[name=shape][value='1:1']")
    page.fill("#clip-to", "-1")
    page.click("#clip-start")
    assert "not allowed" in page.text_content("#clip-status")
    page.fill("#clip-to", "60")
    page.click("#clip-start")
    page.wait_for_selector("#clip-working:not([hidden])", timeout=PATIENCE_MS)
    page.wait_for_selector("#clip-left:has-text('left')", timeout=CLIP_MS)
    enter(page, "live")
    stop(page)
    enter(page, "clips")
    assert page.is_visible("#clip-working"), "it goes on though the call was stopped"
    page.click("#clip-cancel")
    page.wait_for_selector("#clip-status:has-text('was cancelled')", timeout=PATIENCE_MS)
    assert page.text_content("#clip-list").strip() == "None yet."

    page.fill("#clip-to", "0.5")
    page.click("#clip-start")
    page.wait_for_selector("#clip-list video", timeout=CLIP_MS)
    # The file is there a moment before its process has ended.
    page.wait_for_selector("#clip-status:has-text('nod-1.mp4 is finished')", timeout=PATIENCE_MS)
    page.wait_for_function(
        "document.querySelector('#clip-list video').videoWidth === 720", timeout=PATIENCE_MS
    )
    with page.expect_download(timeout=PATIENCE_MS) as coming:
        page.click("#clip-list a")
    assert coming.value.suggested_filename == "nod-1.mp4"
    with av.open(str(coming.value.path())) as film:
        assert "AIGC" in film.metadata and film.streams.audio
    page.click("#clip-list button")
    page.wait_for_selector("#clip-status:has-text('was deleted')", timeout=PATIENCE_MS)
    assert page.locator("#clip-list video").count() == 0


def test_what_fits_the_photographs_alone_is_offered(page: Any, tmp_path: Path) -> None:
    enter(page, "clips")
    assert page.is_hidden("#clip-grid") and page.is_hidden("#clip-phase")
    page.check("#clip-in-place")
    assert page.is_visible("#clip-phase")
    page.set_input_files(".clip-photos input[type=file]", str(builtin_photo()))
    page.wait_for_selector(".clip-photos .status:has-text('was added')", timeout=PATIENCE_MS)
    page.wait_for_selector("input[name=clip-photo]:checked")
    for box in page.locator("input[name=clip-photo]").all():
        box.check()
    assert page.is_disabled("#clip-in-place") and not page.is_checked("#clip-in-place")
    assert page.is_visible("#clip-grid")
    assert page.locator("#clip-grid option").all_text_contents() == ["automatic", "1 × 2", "2 × 1"]
    orders = page.locator(".clip-photos .order").all_text_contents()
    assert sorted(orders) == ["1", "2"]


@pytest.mark.parametrize("room", ["still", "clips"])
def test_a_narrow_page_in_both_languages_has_words_names_and_no_scrolling_aside(
    page: Any, room: str
) -> None:
    enter(page, room)
    page.set_viewport_size({"width": 320, "height": 640})
    try:
        for language in ("en", "zh"):
            page.select_option("#language", language)
            page.wait_for_timeout(300)
            assert page.evaluate(TOO_WIDE) <= 0
            assert page.evaluate(NAMELESS) == []
            assert KEYS.isdisjoint(page.evaluate(EVERY_WORD)), "no key is shown as it is"
    finally:
        page.set_viewport_size({"width": 1280, "height": 900})
        page.select_option("#language", "en")


@pytest.mark.parametrize("room", ["live", "still", "clips"])
def test_it_is_fit_for_screen_readers(page: Any, room: str) -> None:
    pytest.importorskip("axe_playwright_python", reason="needs axe: scripts/setup dev")
    from axe_playwright_python.sync_playwright import Axe

    enter(page, room)
    for theme in ("light", "dark"):
        page.evaluate("theme => { document.documentElement.dataset.theme = theme; }", theme)
        page.wait_for_timeout(400)
        found = Axe().run(page)
        assert found.violations_count == 0, found.generate_report()
