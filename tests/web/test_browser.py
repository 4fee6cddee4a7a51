"""The pages in Debian's Chromium: a short walk; ``test_browser_real.py`` goes further."""

from __future__ import annotations

import re
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import numpy as np
import pytest

from tests.web.browser import (
    PATIENCE_MS,
    Program,
    chromium,
    demo_studio,
    shown,
    start,
    stop,
    wait_for_avatar,
)
from tests.web.texts import tables

# Tries from another origin on this host, so that the studio's cookie goes along: 127.0.0.1 is one
# site, whatever the port.
HOSTILE = """async (origin) => {
  const tried = async (what) => { try { return await what(); } catch { return "refused"; } };
  const asked = (path, options) => tried(async () => {
    const answer = await fetch(origin + path, {credentials: "include", ...options});
    return answer.status;
  });
  const json = {"content-type": "application/json"};
  return {
    read: await asked("/api/view", {}),
    post: await asked("/api/act/start", {method: "POST", body: "{}", headers: json}),
    blind: await asked("/api/act/start", {method: "POST", body: "{}", mode: "no-cors"}),
    picture: await tried(() => new Promise((resolve) => {
      const image = new Image();
      image.onload = () => resolve("shown");
      image.onerror = () => resolve("refused");
      image.src = origin + "/api/avatars/builtin";
    })),
    socket: await tried(() => new Promise((resolve) => {
      const socket = new WebSocket(origin.replace("http", "ws") + "/api/live");
      socket.onopen = () => resolve("open");
      socket.onerror = () => resolve("refused");
    })),
  };
}"""


# The text of every element that has some of its own, and what stands beside it for ears.
EVERY_WORD = """() => [...document.body.querySelectorAll("*")].flatMap(element => [
  ...[...element.childNodes].filter(({nodeType}) => nodeType === 3).map(({data}) => data.trim()),
  element.title, element.getAttribute("aria-label") ?? "",
]).filter(Boolean)"""
# Those that are no English words themselves.
KEYS = {key for key, words in tables()["en"].items() if key.lower() != words.lower()}


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    with demo_studio(tmp_path_factory.mktemp("home")) as running:
        yield running


@pytest.fixture(scope="module")
def browser(studio: Program) -> Iterator[Any]:
    with chromium(viewport={"width": 1280, "height": 900}) as context:
        yield context


@pytest.fixture(scope="module")
def page(browser: Any, studio: Program) -> Any:
    """The studio's page, opened by the address that was printed."""
    page = browser.new_page()
    page.problems = []
    page.asked = []
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    page.on("console", lambda said: page.problems.append(said.text) if said.type == "error" else 0)
    page.on("request", lambda request: page.asked.append(request.url))
    page.goto(studio.address)
    page.wait_for_selector("body[data-phase=stopped]", timeout=PATIENCE_MS)
    return page


def test_the_token_is_gone_from_the_address(page: Any, studio: Program) -> None:
    assert page.url == studio.origin + "/"
    assert page.evaluate("document.cookie") == "", "no script reads it"


def test_it_starts_and_shows_the_labelled_avatar_moving(page: Any) -> None:
    start(page)
    first = shown(page).astype(int)
    assert first.shape == (360, 640, 3)
    assert first[20:40, -50:-20].min() < 60 and first[10:50, -70:-10].max() > 200, "the label"
    for _ in range(100):
        if np.abs(shown(page).astype(int) - first).mean() > 1:
            break
        page.wait_for_timeout(100)
    else:
        raise AssertionError("the avatar does not move")
    page.wait_for_selector("#stages tr", timeout=PATIENCE_MS)
    assert "ms" in page.text_content("#stages")
    assert "points" in page.text_content("#driver-caption")


def test_an_expression_is_held_with_its_button_and_with_keys(page: Any) -> None:
    surprise, laugh = (f"[data-expression={name}]" for name in ("surprise", "laugh"))
    page.hover(surprise)
    page.mouse.down()
    page.wait_for_selector(f"{surprise}[aria-pressed=true]", timeout=PATIENCE_MS)
    page.mouse.up()
    page.wait_for_selector(f"{surprise}[aria-pressed=false]", timeout=PATIENCE_MS)
    page.check("#hold-expression")
    page.focus(laugh)
    page.keyboard.press("Enter")
    page.wait_for_selector(f"{laugh}[aria-pressed=true]", timeout=PATIENCE_MS)
    page.uncheck("#hold-expression")
    page.wait_for_selector(f"{laugh}[aria-pressed=false]", timeout=PATIENCE_MS)
    page.select_option("#template", "nod")
    page.click("#play")
    page.wait_for_selector("body[data-phase=running]", timeout=PATIENCE_MS)
    assert page.is_hidden("#trouble")


def test_reload_in_the_middle_and_a_second_tab(page: Any, browser: Any, studio: Program) -> None:
    page.reload()
    wait_for_avatar(page)
    other = browser.new_page()
    other.goto(studio.origin)
    wait_for_avatar(other)
    assert shown(other).std() > 20
    other.click("#start")
    page.wait_for_selector("body[data-phase=stopped]", timeout=PATIENCE_MS)
    assert "Press Start" in page.text_content("#cover")
    other.close()
    start(page)


@pytest.fixture
def stranger(browser: Any) -> Iterator[Any]:
    """A browser that knows none of the cookies."""
    context = browser.browser.new_context()
    yield context.new_page()
    context.close()


def test_the_view_shows_the_avatar_alone(page: Any, stranger: Any, studio: Program) -> None:
    stranger.goto(studio.view)
    assert stranger.url == studio.origin + "/view"
    for _ in range(200):
        if stranger.evaluate("document.getElementById('avatar').videoWidth") == 640:
            break
        stranger.wait_for_timeout(100)
    assert shown(stranger).std() > 20
    assert stranger.goto(studio.origin + "/").status == 401


def test_without_or_with_a_wrong_token_there_are_words_alone(
    stranger: Any, studio: Program
) -> None:
    for path in ("/", "/?token=wrong", "/view", "/static/studio.js", "/api/avatars/builtin"):
        assert stranger.goto(studio.origin + path).status == 401
        assert "printed in its terminal" in stranger.text_content("body")


def test_a_page_elsewhere_can_do_nothing(page: Any, browser: Any, studio: Program) -> None:
    class Elsewhere(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<!doctype html><title>elsewhere</title>")

        def log_message(self, format: str, *args: object) -> None:
            pass

    page.click("#start")
    page.wait_for_selector("body[data-phase=stopped]", timeout=PATIENCE_MS)
    with ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        hostile = browser.new_page()
        hostile.goto(f"http://127.0.0.1:{server.server_port}/")
        found = hostile.evaluate(HOSTILE, studio.origin)
        server.shutdown()
    hostile.close()
    # What is sent without asking cannot be read there; that it did nothing is seen below.
    assert found.pop("blind") in (0, "refused")
    assert found == dict.fromkeys(("read", "post", "picture", "socket"), "refused")
    page.wait_for_timeout(500)
    assert page.get_attribute("body", "data-phase") == "stopped", "nothing was started"


# A film of one picture: red above, and as opacity grey below: 255 on its left, 128 on its right.
WITHOUT_WEBGL = """async () => {
  const real = HTMLCanvasElement.prototype.getContext;
  HTMLCanvasElement.prototype.getContext = function (kind, ...rest) {
    return kind === "webgl" ? null : real.call(this, kind, ...rest);
  };
  const { Cutout } = await import("/static/cutout.js");
  const drawn = document.createElement("canvas");
  drawn.width = drawn.height = 64;
  const pen = drawn.getContext("2d");
  const fill = (style, ...where) => { pen.fillStyle = style; pen.fillRect(...where); };
  const draw = () => {
    fill("rgb(200,0,0)", 0, 0, 32, 32);
    fill("rgb(100,0,0)", 32, 0, 32, 32);
    fill("rgb(255,255,255)", 0, 32, 32, 32);
    fill("rgb(128,128,128)", 32, 32, 32, 32);
  };
  draw();
  const ticking = setInterval(draw, 30);
  const video = document.createElement("video");
  const canvas = document.createElement("canvas");
  document.body.append(video, canvas);
  video.muted = true;
  video.srcObject = drawn.captureStream(30);
  await video.play();
  const cutout = new Cutout(video, canvas, () => [64, 32]);
  await new Promise((resolve) => { cutout.shown = resolve; });
  const seen = (x) => [...real.call(canvas, "2d").getImageData(x, 16, 1, 1).data];
  const found = { size: [canvas.width, canvas.height], left: seen(10), right: seen(54) };
  clearInterval(ticking);
  HTMLCanvasElement.prototype.getContext = real;
  video.remove();
  canvas.remove();
  return { ...found, hidden: canvas.hidden };
}"""


def test_an_avatar_that_is_cut_out_shows_without_webgl(page: Any) -> None:
    found = page.evaluate(WITHOUT_WEBGL)
    assert found["size"] == [64, 32]
    assert not found["hidden"]
    # As it was before it was multiplied: red on both sides.
    assert np.abs(np.array(found["left"]) - (200, 0, 0, 255)).max() < 12
    assert np.abs(np.array(found["right"]) - (200, 0, 0, 128)).max() < 12


def test_both_languages_and_both_themes(page: Any) -> None:
    page.select_option("#language", "zh")
    assert page.text_content("#start") == "开始"
    assert page.get_attribute("html", "lang") == "zh-CN"
    page.reload()
    page.wait_for_selector("body[data-phase=stopped]", timeout=PATIENCE_MS)
    assert page.text_content("#start") == "开始", "the choice is kept"
    page.select_option("#language", "en")
    ground = "getComputedStyle(document.body).backgroundColor"
    page.emulate_media(color_scheme="dark")
    page.wait_for_selector("html[data-theme=dark]", timeout=PATIENCE_MS)
    dark = page.evaluate(ground)
    page.emulate_media(color_scheme="light")
    page.wait_for_selector("html[data-theme=light]", timeout=PATIENCE_MS)
    light = page.evaluate(ground)
    assert dark != light
    page.click("#theme-button")
    assert page.evaluate(ground) == dark


def test_what_the_program_said_is_translated_and_no_key_shows(page: Any) -> None:
    start(page)
    for _ in range(2):
        page.click("#stage-title", force=True)
        page.keyboard.press("r")
    page.wait_for_selector("#said li:has-text('reference: kept as it is')", timeout=PATIENCE_MS)
    page.set_input_files("#photo", {"name": "x.txt", "mimeType": "text/plain", "buffer": b"-"})
    page.wait_for_selector("#trouble:has-text('x.txt is not a JPEG')", timeout=PATIENCE_MS)
    page.select_option("#language", "zh")
    assert tables()["zh"]["said.referenceKept"] in page.inner_text("#said")
    assert "x.txt 不是 JPEG" in page.inner_text("#trouble")
    for language in ("zh", "en"):
        page.select_option("#language", language)
        shown_words = page.evaluate(EVERY_WORD)
        assert len(shown_words) > 80
        raw = re.compile(r"undefined|\[object|\{\w+\}|\b(said|error|ask|option|choice)\.\w")
        assert [words for words in shown_words if raw.search(words)] == []
        assert not set(shown_words) & KEYS, "a key in place of its words"
        # Names and addresses are in nobody's language; a label's text is the user's own.
        han = [words for words in shown_words if re.search(r"[\u4e00-\u9fff]", words)]
        assert han == ["中文"] if language == "en" else len(han) > 60


def test_what_an_engine_does_not_use_cannot_be_changed(page: Any) -> None:
    stop(page)
    for group in ("camera", "picture"):
        page.click(f"#options-{group} summary")
    page.select_option("[data-option=engine]", '"fomm"')
    page.wait_for_selector("[data-option=background]:disabled", timeout=PATIENCE_MS)
    why = page.get_attribute("label:has([data-option=background])", "title")
    assert why == "fomm does not use this"
    page.select_option("[data-option=engine]", '"portrait"')
    page.wait_for_selector("[data-option=background]:enabled", timeout=PATIENCE_MS)
    page.select_option("[data-option=camera_size]", '"native"')


def test_an_engine_that_cannot_draw_the_avatar_says_so_and_the_old_one_goes_on(page: Any) -> None:
    start(page)
    page.wait_for_selector("[data-option=camera_size]:disabled", timeout=PATIENCE_MS)
    page.select_option("[data-option=engine]", '"neural"')
    page.wait_for_selector("#trouble:has-text('avatar that was trained')", timeout=PATIENCE_MS)
    page.wait_for_function(
        "document.querySelector('[data-option=engine]').value === '\"portrait\"'"
    )
    assert page.get_attribute("body", "data-phase") == "running"
    assert [said for said in page.problems if "400" not in said] == []
    page.problems.clear()
    stop(page)


def test_another_person_can_be_chosen_while_it_runs(page: Any) -> None:
    start(page)
    page.select_option("[data-option=person]", '"right"')
    assert page.inner_text("label:has([data-option=person])").startswith("Whom to follow")
    page.select_option("[data-option=person]", '"3"')
    page.wait_for_selector("#said li:has-text('person 3 is not seen')", timeout=PATIENCE_MS)
    page.click("#stage-title", force=True)
    page.keyboard.press("o")
    page.wait_for_selector("#said li:has-text('nobody else is seen')", timeout=PATIENCE_MS)
    assert page.get_attribute("body", "data-phase") == "running"
    stop(page)


def test_keys_do_what_they_do_in_the_preview(page: Any) -> None:
    page.keyboard.press("?")
    assert page.is_visible("#help")
    assert page.inner_text("#key-table").count("\n") >= 9
    page.keyboard.press("Escape")
    page.click("#stage-title", force=True)
    page.keyboard.press("m")
    page.wait_for_selector("[data-option=mirror]:checked", timeout=PATIENCE_MS)
    page.keyboard.press("m")
    page.wait_for_selector("[data-option=mirror]:not(:checked)", timeout=PATIENCE_MS)
    page.focus("#profile-name")
    page.keyboard.type("mmm")
    assert "mmm" in page.input_value("#profile-name")
    assert not page.is_checked("[data-option=mirror]"), "who types presses no keys"


def test_it_is_fit_for_screen_readers(page: Any) -> None:
    pytest.importorskip("axe_playwright_python", reason="needs axe: scripts/setup dev")
    from axe_playwright_python.sync_playwright import Axe

    page.evaluate("document.querySelectorAll('details').forEach(part => { part.open = true; })")
    for scheme in ("light", "dark"):
        page.evaluate("theme => { document.documentElement.dataset.theme = theme; }", scheme)
        found = Axe().run(page)
        assert found.violations_count == 0, found.generate_report()


def test_nobody_else_was_asked_and_nothing_broke(page: Any, studio: Program) -> None:
    """The last of these: over all that was done before."""
    assert {"/".join(url.split("/")[:3]) for url in page.asked} == {studio.origin}
    assert page.problems == []
