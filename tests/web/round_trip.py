"""How late the avatar is on a page that is the camera: ``python -m tests.web.round_trip``.

Chromium's pretended webcam shows a film whose frames carry their number as black and white blocks
at the bottom. The page sends it to the studio as any page does, the whole chain moves the avatar,
and the blocks are copied from the camera's picture into the avatar's. The page reads both: when
its own camera gave number n, and when number n came back.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
import cv2

from avatar.app.studio.runtime import Studio
from avatar.core.clock import ManualClock
from avatar.core.frames import UInt8Image
from avatar.core.options import Options
from avatar.measure.glass import CameraCopier
from avatar.sessions.live import LiveSession
from avatar.stages.sources.demo import DemoSource
from avatar.web.pages import Pages
from tests.web.browser import chromium, fitted, jpeg, start
from tests.web.fakes import serving

SIZE_PX = (640, 480)
BITS = 10
STRIP = 0.1
FRAMES = 240

# Watches the camera's track and the avatar's, and notes when each number is seen.
WATCH = """
({bits, strip, seconds}) => new Promise(async (resolve) => {
  const numberOf = (row, width) => {
    let number = 0;
    for (let bit = 0; bit < bits; bit++)
      if (row[Math.floor((2 * bit + 1) * width / (2 * bits))] > 128) number += 2 ** bit;
    return number;
  };
  const follow = async (track, seen, until) => {
    const reader = new MediaStreamTrackProcessor({track}).readable.getReader();
    let luma;
    while (performance.now() < until) {
      const {value: frame} = await reader.read();
      const now = performance.now();
      const [width, height] = [frame.codedWidth, frame.codedHeight];
      const rect = {x: 0, y: 2 * Math.floor(height * (1 - strip / 2) / 2), width, height: 2};
      luma ??= new Uint8Array(frame.allocationSize({rect}));
      await frame.copyTo(luma, {rect});
      frame.close();
      seen.push([numberOf(luma, width), now]);
    }
    reader.cancel();
  };
  const sent = [], back = [];
  const until = performance.now() + seconds * 1000;
  const own = window.cameraTrack.clone();
  const [avatar] = document.getElementById("avatar").srcObject.getVideoTracks();
  await Promise.all([follow(own, sent, until), follow(avatar.clone(), back, until)]);
  own.stop();
  resolve({sent, back});
})
"""
KEEP_CAMERA = """
const ask = MediaDevices.prototype.getUserMedia;
MediaDevices.prototype.getUserMedia = async function (wanted) {
  const stream = await ask.call(this, wanted);
  [window.cameraTrack] = stream.getVideoTracks();
  return stream;
};
"""


def with_number(image: UInt8Image, number: int) -> UInt8Image:
    """Return ``image`` with ``number`` as blocks at its bottom."""
    image = image.copy()
    height, width = image.shape[:2]
    for bit in range(BITS):
        left, right = bit * width // BITS, (bit + 1) * width // BITS
        image[round(height * (1 - STRIP)) :, left:right] = 255 * (number >> bit & 1)
    return image


def number_of(image: UInt8Image) -> int:
    """Return the number that ``image`` carries."""
    height, width = image.shape[:2]
    row = image[round(height * (1 - STRIP / 2))]
    middles = [(2 * bit + 1) * width // (2 * BITS) for bit in range(BITS)]
    return sum(1 << bit for bit, x in enumerate(middles) if row[x].mean() > 128)


def numbered_film(path: Path, clip: Path | None) -> Path:
    """Write a film of a face, with numbers, as Motion JPEG."""
    with path.open("wb") as file:
        for number, image in enumerate(camera_pictures(clip)):
            file.write(jpeg(with_number(image, number)))
    return path


def camera_pictures(clip: Path | None) -> Iterator[UInt8Image]:
    """Yield the film's pictures without their numbers: of ``clip``, or of the drawn driver."""
    if clip is None:
        with DemoSource(SIZE_PX, 30.0, ManualClock()) as source:
            for _ in range(FRAMES):
                frame = source.read()
                assert frame is not None
                yield frame.image
        return
    with av.open(str(clip)) as container:
        for count, frame in enumerate(container.decode(video=0)):
            if count == FRAMES:
                return
            yield fitted(frame.to_ndarray(format="rgb24"), SIZE_PX)


class StripCopier(CameraCopier):
    """A generator that copies the camera picture's bottom strip into the avatar's."""

    def copy(self, camera: UInt8Image, avatar: UInt8Image) -> None:
        top = round(camera.shape[0] * (1 - STRIP))
        height, width = avatar.shape[:2]
        low = round(height * (1 - STRIP))
        avatar[low:] = cv2.resize(camera[top:], (width, height - low))


@contextmanager
def copying_studio(home: Path, camera: str = "page") -> Iterator[tuple[Studio, Pages]]:
    """Serve a studio whose avatar carries the camera's numbers."""
    config = Options(camera=camera, size=f"{SIZE_PX[0]}x{SIZE_PX[1]}", smoothing="light")

    def session(*arguments: Any, **options: Any) -> LiveSession:
        return LiveSession(*arguments, wrap_generator=StripCopier, **options)

    with serving(home, config, session=session) as served:
        yield served


def delays_ms(sent: list[list[float]], back: list[list[float]]) -> list[float]:
    """Return how long each number took from the camera to its first return."""
    delays = []
    newest: dict[int, float] = {}
    events = [(at, True, int(n)) for n, at in sent] + [(at, False, int(n)) for n, at in back]
    for at, is_sent, number in sorted(events):
        if is_sent:
            newest[number] = at
        elif number in newest:
            delays.append(at - newest.pop(number))
    return delays


def measure(home: Path, seconds: float, clip: Path | None) -> dict[str, Any]:
    """Measure for ``seconds`` and return the figures."""
    film = numbered_film(home / "film.mjpeg", clip)
    with (
        copying_studio(home) as (studio, pages),
        chromium(film, viewport={"width": 1280, "height": 800}) as context,
    ):
        context.add_init_script(KEEP_CAMERA)
        page = context.new_page()
        loading = time.perf_counter()
        page.goto(pages.address("studio"), wait_until="load")
        loaded_ms = (time.perf_counter() - loading) * 1e3
        page.select_option("#camera", "demo")
        page.select_option("#camera", "page")
        start(page)
        page.wait_for_timeout(4000)
        seen = page.evaluate(WATCH, {"bits": BITS, "strip": STRIP, "seconds": seconds})
        figures = studio.figures()
    delays = sorted(delays_ms(seen["sent"], seen["back"]))
    return {
        "round_trip_ms": {
            "p50": round(statistics.median(delays), 1),
            "p95": round(delays[int(0.95 * len(delays))], 1),
            "count": len(delays),
        },
        "camera_fps": round(len(seen["sent"]) / seconds, 1),
        "page_fps": round(len(seen["back"]) / seconds, 1),
        "inside_ms": {"p50": figures.get("p50"), "stages": figures.get("stages")},
        "page_load_ms": round(loaded_ms),
        "load_average": os.getloadavg()[0],
    }


if __name__ == "__main__":
    options = argparse.ArgumentParser()
    options.add_argument("--seconds", type=float, default=20.0)
    options.add_argument("--clip", type=Path)
    given = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="round-trip-") as folder:
        print_figures = json.dumps(measure(Path(folder), given.seconds, given.clip), indent=1)
    sys.stdout.write(print_figures + "\n")
