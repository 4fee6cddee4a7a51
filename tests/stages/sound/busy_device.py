"""A sound card that another program holds, inside a virtual machine (see ``test_sound_real.py``):
what ``Passthrough`` says, and whether it works once the card is let go of, as JSON.

The card is the kernel's own (snd-aloop), all of whose substreams are held; no sound server runs.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time

from avatar.core.clock import MonotonicClock
from avatar.core.errors import SoundError
from avatar.core.frames import Float32
from avatar.stages.sound.devices import list_sound
from avatar.stages.sound.passthrough import Passthrough

SUBSTREAMS = 8


def main() -> None:
    device = next(d for d in list_sound() if "Loopback" in d.name and d.serves("mic"))
    holders = [
        subprocess.Popen(
            [
                "arecord",
                "-q",
                "-D",
                f"hw:Loopback,0,{k}",
                "-f",
                "S16_LE",
                "-r",
                "48000",
                "/dev/null",
            ]
        )
        for k in range(SUBSTREAMS)
    ]
    time.sleep(5)
    assert all(holder.poll() is None for holder in holders), "arecord holds the card"
    blocks = []

    def heard(samples: Float32, rate_hz: int, captured_s: float) -> None:
        blocks.append(len(samples))

    def listen() -> None:
        path = Passthrough(
            device.spec, None, clock=MonotonicClock(), say=lambda line: None, listener=heard
        )
        with path:
            time.sleep(2)

    told = ""
    try:
        listen()
    except SoundError as error:
        told = f"{type(error).__name__}: {error}"
    for holder in holders:
        holder.terminate()
        holder.wait()
    listen()
    json.dump({"told": told, "blocks_once_free": len(blocks)}, sys.stdout)


if __name__ == "__main__":
    main()
