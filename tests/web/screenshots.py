"""The pictures of docs/studio.md: ``python -m tests.web.screenshots docs/images``.

Only the built-in portrait and the drawn driver are seen in them. Chinese needs a font that has it
(Debian: fonts-wqy-microhei or fonts-noto-cjk).
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.web.browser import PATIENCE_MS, chromium, program, start

OPTIONS = ("--camera", "demo", "--size", "960x540", "--port", "0")
SETTLE_MS = 15_000


def take(page: Any, path: Path) -> None:
    page.wait_for_timeout(500)
    page.mouse.move(5, 5)
    page.screenshot(path=str(path), type="jpeg", quality=82)


def main(folder: Path) -> None:
    """Take them all."""
    with (
        tempfile.TemporaryDirectory() as home,
        program(Path(home), "studio", *OPTIONS) as studio,
        chromium(viewport={"width": 1280, "height": 1000}) as context,
    ):
        page = context.new_page()
        page.goto(studio.address)
        start(page)
        page.wait_for_selector("#stages tr", timeout=PATIENCE_MS)
        page.click(".switch:has([data-output=file])")
        page.wait_for_timeout(SETTLE_MS)
        take(page, folder / "studio-light.jpg")
        page.emulate_media(color_scheme="dark")
        page.select_option("#language", "zh")
        take(page, folder / "studio-dark-zh.jpg")
        page.set_viewport_size({"width": 390, "height": 844})
        page.select_option("#language", "en")
        take(page, folder / "studio-phone.jpg")
        studio.end()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
