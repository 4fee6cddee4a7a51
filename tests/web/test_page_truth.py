"""What the studio's page says is so: seen in Debian's Chromium, one page through a working day."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from avatar.app.avatars import add_photo
from avatar.core.home import Home
from avatar.library.avatars import AvatarStore
from avatar.stages.generate.photo import builtin_photo
from tests.photographs import pair
from tests.web.browser import (
    PATIENCE_MS,
    Program,
    chromium,
    need_chromium,
    program,
    start,
    stop,
    wait_for_avatar,
)

MANY = 50
OPTIONS = ("--camera", "demo", "--size", "320x180", "--port", "0")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("day")


@pytest.fixture(scope="module")
def studio(folder: Path) -> Iterator[Program]:
    """The studio of somebody who has fifty avatars."""
    need_chromium()
    avatars = folder / "data" / "webcam-avatar" / "avatars"
    grace = add_photo(builtin_photo(), name="A 1", home=Home.under(folder / "made"), say=str)
    store = AvatarStore(avatars)
    for number in range(1, MANY + 1):
        store.add(f"A {number}", grace.photo, grace.face)
    with program(folder, "studio", *OPTIONS) as running:
        yield running
        lines = running.end()
    assert not [line for line in lines if "Traceback" in line]


@pytest.fixture(scope="module")
def browser(studio: Program) -> Iterator[Any]:
    with chromium(viewport={"width": 1280, "height": 900}) as context:
        yield context


class Questions:
    """What the page asked in dialogs, and how that is answered."""

    def __init__(self, page: Any) -> None:
        self.asked: list[str] = []
        self.answer = True
        page.on("dialog", self._ask)

    def _ask(self, dialog: Any) -> None:
        self.asked.append(dialog.message)
        (dialog.accept if self.answer else dialog.dismiss)()


@pytest.fixture(scope="module")
def page(browser: Any, studio: Program) -> Any:
    page = browser.new_page()
    page.problems = []
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    page.questions = Questions(page)
    page.goto(studio.address)
    page.wait_for_selector("body[data-phase=stopped]", timeout=PATIENCE_MS)
    return page


@contextmanager
def held(page: Any, action: str) -> Iterator[Callable[[], None]]:
    """Let the page wait for ``action`` until what is given is called, or the end."""
    waiting: list[Any] = []
    page.route(f"**/api/act/{action}", lambda route: waiting.append(route))

    def go_on() -> None:
        while waiting:
            waiting.pop().continue_()

    try:
        yield go_on
    finally:
        go_on()
        page.unroute(f"**/api/act/{action}")


def until(page: Any, expression: str) -> None:
    """Wait until a page's expression holds; the page itself evaluates no strings."""
    for _ in range(PATIENCE_MS // 50):
        if page.evaluate(expression):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"{expression}: did not come to hold")


def notice(page: Any, words: str) -> None:
    page.wait_for_selector(f"#notice.shown:has-text('{words}')", timeout=PATIENCE_MS)


def is_within(page: Any, selector: str) -> bool:
    """Return whether all of an element is in the window."""
    found: bool = page.eval_on_selector(
        selector,
        """element => {
          const {top, bottom, left, right} = element.getBoundingClientRect();
          return top >= 0 && left >= 0 && bottom <= innerHeight && right <= innerWidth;
        }""",
    )
    return found


def test_fifty_avatars_scroll_in_their_own_place(page: Any) -> None:
    page.wait_for_selector(f"input[name=avatar][value='A {MANY}']", timeout=PATIENCE_MS)
    high, inside = page.eval_on_selector("#gallery", "e => [e.clientHeight, e.scrollHeight]")
    assert high < 400 < inside
    page.focus(f"input[value='A {MANY}']")
    top, bottom = page.eval_on_selector(
        "#gallery", "e => [e.getBoundingClientRect().top, e.getBoundingClientRect().bottom]"
    )
    box = page.query_selector(f".tile:has([value='A {MANY}']) img").bounding_box()
    assert top - 5 <= box["y"] <= bottom, "the keyboard brings it into sight"


@pytest.mark.parametrize("width", [320, 390, 1280])
def test_nothing_is_wider_than_the_window(page: Any, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 700})
    page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    for language in ("zh", "en"):
        page.select_option("#language", language)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.click("[data-edit='A 1']")
        assert page.eval_on_selector("#avatar-dialog", "e => e.scrollWidth - e.clientWidth") <= 0
        assert is_within(page, "#avatar-close")
        page.keyboard.press("Escape")
        page.keyboard.press("?")
        assert is_within(page, "#help button")
        page.keyboard.press("Escape")
    page.set_viewport_size({"width": 1280, "height": 900})


def test_an_error_is_in_sight_wherever_one_has_scrolled_and_can_be_closed(page: Any) -> None:
    files = [{"name": f"{name}.txt", "mimeType": "text/plain", "buffer": b"-"} for name in "xy"]
    page.set_viewport_size({"width": 320, "height": 600})
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    page.set_input_files("#photo", files)
    page.wait_for_selector("#trouble:has-text('x.txt is not')", timeout=PATIENCE_MS)
    assert "y.txt is not" in page.inner_text("#trouble"), "those of all files stay"
    for where in ("0", "document.body.scrollHeight"):
        page.evaluate(f"scrollTo(0, {where})")
        assert is_within(page, "#trouble button")
    page.select_option("#language", "zh")
    assert "y.txt 不是" in page.inner_text("#trouble")
    page.select_option("#language", "en")
    page.focus("#trouble button")
    page.keyboard.press("Enter")
    assert page.is_hidden("#trouble")
    page.set_viewport_size({"width": 1280, "height": 900})


def test_an_avatar_is_renamed_by_keyboard_and_the_focus_stays_there(page: Any) -> None:
    page.focus("[data-edit='A 1']")
    page.keyboard.press("Enter")
    page.wait_for_selector("#avatar-dialog[open]")
    assert page.evaluate("document.activeElement.id") == "avatar-name"
    page.fill("#avatar-name", "A 2")
    page.keyboard.press("Enter")
    page.wait_for_selector("#avatar-trouble:has-text('A 2 already')", timeout=PATIENCE_MS)
    page.fill("#avatar-name", "An admiral")
    page.keyboard.press("Enter")
    page.wait_for_selector("input[value='An admiral']", timeout=PATIENCE_MS)
    until(page, "document.activeElement.dataset.edit === 'An admiral'")
    assert not page.query_selector("input[value='A 1']")


def test_a_removed_avatar_can_be_had_back(page: Any, browser: Any, studio: Program) -> None:
    other = browser.new_page()
    other.goto(studio.origin)
    other.wait_for_selector("input[value='A 3']", timeout=PATIENCE_MS)
    page.click("[data-edit='A 3']")
    page.click("#avatar-remove")
    until(page, "document.activeElement.dataset.restore === 'A 3'")
    assert "A 3 was removed" in page.inner_text("#removed")
    other.wait_for_selector("#removed button", timeout=PATIENCE_MS)
    page.keyboard.press("Enter")
    for each in (page, other):
        each.wait_for_selector("input[value='A 3']", timeout=PATIENCE_MS)
    assert page.inner_text("#removed") == "" and page.questions.asked == []
    until(page, "document.activeElement.closest('#gallery')")
    other.close()


def test_a_face_is_chosen_among_several(page: Any, folder: Path) -> None:
    page.set_input_files("#photo", str(pair(folder / "pair.png")))
    page.wait_for_selector("input[value=pair]:checked", timeout=PATIENCE_MS)
    page.wait_for_selector("#add-status:has-text('Choose whose')", timeout=PATIENCE_MS)
    page.click("#add-status button")
    until(
        page,
        "[...document.querySelectorAll('#avatar-faces img')].every(one => one.naturalWidth > 0)",
    )
    faces = page.query_selector_all("#avatar-faces button")
    assert [face.get_attribute("aria-pressed") for face in faces] == ["true", "false"]
    assert page.is_disabled("#avatar-remove") and page.is_visible("#avatar-shown"), "it is shown"
    faces[1].click()
    page.wait_for_selector("#avatar-dialog", state="hidden", timeout=PATIENCE_MS)
    page.click("[data-edit=pair]")
    page.wait_for_selector("#avatar-faces button:nth-child(2)[aria-pressed=true]")
    page.keyboard.press("Escape")
    page.click(".tile:has([value='A 2'])")
    page.wait_for_selector("input[value='A 2']:checked", timeout=PATIENCE_MS)


def test_an_upload_shows_how_far_it_is(page: Any, folder: Path) -> None:
    photo = folder / "large.png"
    noise = np.random.default_rng(7).integers(0, 255, (600, 600, 3), np.uint8)
    Image.fromarray(noise).save(photo)
    page.evaluate(
        """() => {
          window.shares = new Set();
          window.words = new Set();
          const bar = document.getElementById("add-progress");
          window.watching = new MutationObserver(() => {
            window.shares.add(bar.hidden ? "hidden" : bar.getAttribute("value"));
            window.words.add(document.getElementById("add-status").textContent);
          });
          for (const part of [bar, document.getElementById("add-status")])
            window.watching.observe(part, {attributes: true, childList: true});
        }"""
    )
    network = page.context.new_cdp_session(page)
    limits = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 600_000}
    network.send("Network.emulateNetworkConditions", limits)
    page.set_input_files("#photo", str(photo))
    page.wait_for_selector("#trouble:has-text('large.png')", timeout=PATIENCE_MS)
    network.send("Network.emulateNetworkConditions", limits | {"uploadThroughput": -1})
    shares = page.evaluate("[...window.shares]")
    assert [one for one in shares if one not in (None, "hidden") and 0 < float(one) < 1]
    assert None in shares, "what has no measure shows that it goes on"
    words = page.evaluate("[...window.words]")
    assert "Sending large.png…" in words and "Looking for the face in large.png…" in words
    assert page.is_hidden("#add-progress")


def test_what_takes_its_time_says_so(page: Any) -> None:
    # Whatever was unfolded before.
    page.eval_on_selector("details:has([data-option=background])", "one => { one.open = true; }")
    with held(page, "options") as go_on:
        page.select_option("[data-option=background]", '"#00b140"')
        notice(page, "Preparing “Background”")
        assert page.is_visible("#notice progress")
        go_on()
        page.wait_for_selector("#notice:not(.shown)", state="attached", timeout=PATIENCE_MS)
    page.wait_for_selector("#reset:enabled", timeout=PATIENCE_MS)


def test_what_the_keyboard_sets_outlives_what_is_told_meanwhile(
    page: Any, browser: Any, studio: Program
) -> None:
    """A slider waits a moment before it tells its value: a state that comes then is older."""
    other = browser.new_page()
    other.goto(studio.origin)
    other.wait_for_selector("[data-option=strength]", timeout=PATIENCE_MS)
    other.clock.install()
    other.clock.pause_at("2099-01-01")
    other.focus("[data-option=strength]")
    other.keyboard.press("ArrowLeft")
    value = other.input_value("[data-option=strength]")
    other.keyboard.press("m")  # all pages are told of all that holds
    other.wait_for_selector("[data-option=mirror]:checked", timeout=PATIENCE_MS)
    assert other.input_value("[data-option=strength]") == value != "1"
    other.clock.resume()
    other.keyboard.press("m")
    other.wait_for_selector("[data-option=mirror]:not(:checked)", timeout=PATIENCE_MS)
    until(other, f"document.querySelector('[data-option=strength]').value === '{value}'")
    other.close()


def test_all_that_was_chosen_is_reset_by_a_button(page: Any) -> None:
    page.focus("[data-option=strength]")
    with page.expect_response("**/api/act/options"):
        page.keyboard.press("ArrowLeft")
    value = page.input_value("[data-option=strength]")
    assert value != "1"
    page.reload()
    until(page, f"document.querySelector('[data-option=strength]')?.value === '{value}'")
    page.questions.asked.clear()
    page.click("#reset")
    until(page, "document.querySelector('[data-option=strength]').value === '1'")
    assert len(page.questions.asked) == 1 and "Avatars, profiles" in page.questions.asked[0]
    page.wait_for_selector("input[value=builtin]:checked", timeout=PATIENCE_MS)
    page.wait_for_selector("#reset:disabled", timeout=PATIENCE_MS)


def test_a_letter_stops_only_after_a_question(page: Any) -> None:
    page.click("#stage-title", force=True)
    page.keyboard.press("x")
    page.wait_for_selector("#trouble:has-text('press Start first')", timeout=PATIENCE_MS)
    page.keyboard.press("s")
    wait_for_avatar(page)
    page.questions.asked.clear()
    page.questions.answer = False
    page.keyboard.press("s")
    page.wait_for_timeout(300)
    assert page.questions.asked == ["Stop the avatar?"]
    assert page.get_attribute("body", "data-phase") == "running"
    page.questions.answer = True


def test_keys_go_on_after_a_click_on_a_slider_or_an_avatar(page: Any) -> None:
    start(page)
    page.click("[data-option=strength]")
    value = page.input_value("[data-option=strength]")
    page.keyboard.press("x")
    notice(page, "reference: your face")
    page.keyboard.press("ArrowRight")
    assert page.input_value("[data-option=strength]") != value, "arrows are the slider's"
    page.click(".tile:has([value='A 5'])")
    page.wait_for_selector("input[value='A 5']:checked", timeout=PATIENCE_MS)
    page.keyboard.press("m")
    notice(page, "mirror: on")
    page.keyboard.press("m")
    notice(page, "mirror: off")
    page.keyboard.press("2")
    page.wait_for_selector(".tile:nth-child(2) input:checked", timeout=PATIENCE_MS)


def test_a_recording_is_said_to_be_silent_and_can_be_had_when_finished(page: Any) -> None:
    start(page)
    page.click(".switch:has([data-output=file])")
    page.wait_for_selector("li[data-state=on] [data-output=file]", timeout=PATIENCE_MS)
    assert "without sound" in page.inner_text("#output-file-hint")
    page.wait_for_timeout(1500)
    page.questions.asked.clear()
    stop(page)
    assert len(page.questions.asked) == 1 and "recording" in page.questions.asked[0]
    page.wait_for_selector("#recordings a", timeout=PATIENCE_MS)
    assert page.is_checked("[data-output=file]"), "what was chosen stays chosen"
    with page.expect_download() as download:
        page.click("#recordings a[download]")
    name = download.value.suggested_filename
    assert re.fullmatch(r"avatar [\d-]+ [\d.]+\.mp4", name)
    assert Path(download.value.path()).read_bytes()[4:8] == b"ftyp"
    with page.context.expect_page() as opened:
        page.click("#recordings a[target=_blank]")
    opened.value.wait_for_selector("video", state="attached", timeout=PATIENCE_MS)
    opened.value.close()
    page.click(".switch:has([data-output=file])")
    page.wait_for_selector("li[data-state=off] [data-output=file]", timeout=PATIENCE_MS)


def test_a_camera_page_that_is_closed_is_said_and_its_points_go(
    page: Any, browser: Any, studio: Program
) -> None:
    camera = browser.new_page()
    camera.goto(studio.origin)
    camera.wait_for_selector("body[data-phase=stopped]", timeout=PATIENCE_MS)
    camera.select_option("#camera", "page")
    start(page)
    camera.wait_for_selector("#camera-hint:has-text('is sent')", timeout=PATIENCE_MS)
    page.wait_for_selector("#driver-caption:has-text('No face found')", timeout=PATIENCE_MS)
    camera.close()
    page.wait_for_selector("#driver-caption:has-text('page was closed')", timeout=PATIENCE_MS)
    page.wait_for_selector("#cover:has-text('page was closed')", timeout=PATIENCE_MS)
    page.select_option("#camera", "demo")
    page.wait_for_selector("#driver-caption:has-text('as points')", timeout=PATIENCE_MS)
    page.wait_for_selector("#cover", state="hidden", timeout=PATIENCE_MS)
    stop(page)


REACHED = """() => {
  const one = document.activeElement;
  const {width, height} = one.getBoundingClientRect();
  const name = one.getAttribute("aria-label") || one.labels?.[0]?.textContent || one.textContent ||
    document.getElementById(one.getAttribute("aria-labelledby"))?.textContent || "";
  return {tag: one.tagName, id: one.id, name: name.trim(), seen: width > 0 && height > 0,
    at: [...document.querySelectorAll("*")].indexOf(one)};
}"""
CONTROLS = """() => [...document.querySelectorAll(
  "button, select, input, a[href], summary, [tabindex='0']")]
  .filter(one => !one.disabled && one.checkVisibility() && !one.closest("dialog")
    && !(one.type === "radio" && !one.checked)).length"""


def test_the_keyboard_reaches_everything_in_its_order(page: Any) -> None:
    page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")
    page.click("h1")
    wanted = page.evaluate(CONTROLS)
    reached = []
    for _ in range(wanted + 5):
        page.keyboard.press("Tab")
        found = page.evaluate(REACHED)
        if found["tag"] == "BODY":
            break
        reached.append(found)
    nameless = [one for one in reached if not one["name"] or not one["seen"]]
    assert nameless == []
    places = [one["at"] for one in reached]
    assert places == sorted(places), "as it is read, so it is reached"
    assert len(reached) >= wanted - 1, "from the first control behind the title on"


@pytest.mark.parametrize("dialog", ["", "avatar-dialog", "help"])
def test_it_is_fit_for_screen_readers(page: Any, folder: Path, dialog: str) -> None:
    pytest.importorskip("axe_playwright_python", reason="needs axe: scripts/setup dev")
    from axe_playwright_python.sync_playwright import Axe

    page.set_input_files("#photo", {"name": "x.txt", "mimeType": "text/plain", "buffer": b"-"})
    page.wait_for_selector("#trouble:not([hidden])")
    if dialog == "avatar-dialog":
        if page.query_selector("[data-edit=pair]") is None:
            page.set_input_files("#photo", str(pair(folder / "pair.png")))
        page.click("[data-edit=pair]", timeout=PATIENCE_MS)
    elif dialog == "help":
        page.click("#help-button")
    for language, theme in (("en", "light"), ("zh", "dark")):
        page.evaluate(
            """([language, theme]) => {
              document.documentElement.dataset.theme = theme;
              const menu = document.getElementById("language");
              menu.value = language;
              menu.dispatchEvent(new Event("change"));
            }""",
            [language, theme],
        )
        found = Axe().run(page)
        assert found.violations_count == 0, found.generate_report()
    page.keyboard.press("Escape")
    page.select_option("#language", "en")


def test_nothing_broke(page: Any) -> None:
    """The last of these: over all that was done before."""
    assert page.problems == []
