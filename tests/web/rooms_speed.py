"""How quick the rooms are: ``python -m tests.web.rooms_speed [slider | call]``.

``slider``: in Chromium, from a slider's event to the painted new picture, of a photograph of
1280×720. ``call``: what a clip that is made costs a call that goes on: pictures a second and their
delay with and without it, and how long Stop takes meanwhile.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from avatar.app.avatars import add_photo
from avatar.app.studio.runtime import Studio
from avatar.core.home import Home
from avatar.core.options import Options
from avatar.stages.generate.photo import builtin_photo, load_photo
from tests.web.browser import chromium
from tests.web.fakes import serving

SIZE_PX = (1280, 720)

# Moves a slider as a finger does, one picture after the other.
MOVE = """
async ({count}) => {
  const slider = document.getElementById("still-smile");
  const canvas = document.getElementById("still-canvas");
  const took = [];
  for (let n = 0; n < count; n++) {
    slider.value = (n * 7 % 20) / 20;
    const began = performance.now();
    const drawn = new Promise((done) => canvas.addEventListener("drawn", done, { once: true }));
    slider.dispatchEvent(new Event("input"));
    await drawn;
    await new Promise(requestAnimationFrame);
    took.push(performance.now() - began);
  }
  return took;
}
"""


def wide_photo(path: Path) -> Path:
    """Write the built-in portrait in the middle of a picture of 1280×720."""
    photo = load_photo(builtin_photo())
    height, width = photo.shape[:2]
    scaled_px = round(width * SIZE_PX[1] / height), SIZE_PX[1]
    photo = np.asarray(cv2.resize(photo, scaled_px, interpolation=cv2.INTER_CUBIC), np.uint8)
    left = (SIZE_PX[0] - scaled_px[0]) // 2
    right = SIZE_PX[0] - scaled_px[0] - left
    Image.fromarray(
        cv2.copyMakeBorder(photo, 0, 0, left, right, cv2.BORDER_REFLECT)
    ).save(path)  # fmt: skip
    return path


def slider(count: int = 100) -> list[float]:
    """Return how long each of so many movements took, ms."""
    with tempfile.TemporaryDirectory() as folder:
        home = Home.under(folder)
        photo = wide_photo(Path(folder) / "wide.png")
        add_photo(photo, name="wide", home=home, say=lambda line: None)
        with (
            serving(Path(folder), Options(camera="demo", avatar=("wide",))) as (_, pages),
            chromium(viewport={"width": 1280, "height": 900}) as context,
        ):
            page = context.new_page()
            page.goto(pages.address("studio"))
            page.wait_for_selector("#rooms a")
            drawn = "new Promise((done) => document.getElementById('still-canvas')"
            page.click("#rooms a[data-room=still]")
            page.evaluate(drawn + ".addEventListener('drawn', done, { once: true }))")
            size = page.evaluate(
                "[...['width', 'height']].map((n) => document.getElementById('still-canvas')[n])"
            )
            assert tuple(size) == SIZE_PX, size
            page.evaluate(MOVE, {"count": 5})
            return [float(ms) for ms in page.evaluate(MOVE, {"count": count})]


def call(seconds: float = 12.0) -> dict[str, dict[str, float]]:
    """Return what is measured of a call of 1280×720 without and with a clip that is made."""
    found: dict[str, dict[str, float]] = {}
    with (
        tempfile.TemporaryDirectory() as folder,
        serving(Path(folder), Options(camera="demo")) as (studio, _),
    ):
        studio.act("start", {})
        time.sleep(3)
        found["alone"] = _watched(studio, seconds)
        clip = {"photos": ["builtin"], "music": "hop", "template": "hey", "end": 60.0}
        studio.rooms.clips.make(clip)
        while not (studio.rooms.clips.job() or {})["share"]:
            time.sleep(0.1)
        before, began = (studio.rooms.clips.job() or {})["share"], time.monotonic()
        found["with a clip"] = _watched(studio, seconds)
        made_s = 60 * ((studio.rooms.clips.job() or {})["share"] - before)
        found["with a clip"]["clip, × real time"] = made_s / (time.monotonic() - began)
        began = time.monotonic()
        studio.act("stop", {})
        found["with a clip"]["Stop, ms"] = 1e3 * (time.monotonic() - began)
        assert (studio.rooms.clips.job() or {})["state"] == "running"
    return found


def _watched(studio: Studio, seconds: float) -> dict[str, float]:
    """Return the medians of what the page shows over some seconds."""
    seen: list[dict[str, Any]] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(0.5)
        seen.append(studio.figures())
    return {name: float(np.median([one[name] for one in seen])) for name in ("fps", "p50", "p95")}


def main() -> None:
    """Measure, and print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="?", choices=("slider", "call"))
    what = parser.parse_args().what
    if what in (None, "slider"):
        took = slider()
        p50, p95 = np.percentile(took, [50, 95])
        sys.stdout.write(
            f"slider to picture, {SIZE_PX[0]}×{SIZE_PX[1]}: p50 {p50:.0f} ms, p95 {p95:.0f} ms, "
            f"load {os.getloadavg()[0]:.1f}\n"
        )
    if what in (None, "call"):
        for name, values in call().items():
            words = ", ".join(f"{key} {value:.1f}" for key, value in values.items())
            sys.stdout.write(f"call {name}: {words}, load {os.getloadavg()[0]:.1f}\n")


if __name__ == "__main__":
    main()
