"""The whole program streams with a microphone; the server dies and comes back."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests import ROOT
from tests.stages.sinks.streaming.broadcast import KEY
from tests.stages.sinks.streaming.servers import MODULE
from tests.stages.sinks.streaming.servers import PACKAGES as SERVER_PACKAGES
from tests.stages.sound.test_sound_real import PACKAGES, PROGRAMS

pytestmark = [pytest.mark.real, pytest.mark.slow]


def test_pictures_and_sound_come_out_in_order_and_in_step(shared: Path) -> None:
    """60 seconds; AVATAR_STREAM_SECONDS=300 for the five minutes of the acceptance."""
    script = shared / "tools" / "pw-session.sh"
    if not script.is_file():
        pytest.skip(f"no {script}, which starts a private PipeWire")
    missing = [name for name in (*PROGRAMS, "pw-play", "nginx") if not shutil.which(name)]
    if missing or not MODULE.exists():
        pytest.skip(
            f"needs {', '.join(missing) or MODULE}: apt-get install {PACKAGES} {SERVER_PACKAGES}"
        )
    seconds = os.environ.get("AVATAR_STREAM_SECONDS", "60")
    done = subprocess.run(
        ["bash", str(script), sys.executable, "-m", "tests.stages.sinks.streaming.broadcast",
         "--sound", "--seconds", seconds],
        cwd=ROOT, env={**os.environ, "PULSE": "1"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert KEY not in done.stdout + done.stderr
    found = json.loads(done.stdout[done.stdout.index("{") :])
    for session in found["sessions"]:
        apart = np.array(session.pop("apart_ms"))
        sys.stdout.write(
            f"{session}; {len(apart)} clicks, sound later by {np.median(apart):.1f} ms in the "
            f"middle, {apart.min():.1f} to {apart.max():.1f}\n"
        )
        assert session["in_order"]
        assert len(apart) > 0.25 * float(seconds)
        assert abs(np.median(apart)) <= 10
        assert np.quantile(np.abs(apart), 0.95) <= 20
    sys.stdout.write(f"{ {k: v for k, v in found.items() if k != 'sessions'} }\n")
    assert len(found["sessions"]) == 2
    said = [line for line in found["said"] if "rtmp" in line]
    assert len(said) == 2, "lost and back, each once"
    assert "back" in said[1]
    # The other output never stopped.
    assert found["other_output"]["frames"] >= 0.95 * found["drawn"]
