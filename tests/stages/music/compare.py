"""``python -m tests.stages.music.compare``: beats of made-up songs, also as librosa finds them.

librosa is no dependency of anything here: it brings Numba and LLVM, 180 MB. Install it in a virtual
environment of its own, with this repository on its path, to see both columns.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from importlib.util import find_spec

import numpy as np

from avatar.core.errors import UsageError
from avatar.core.terminal import say
from avatar.stages.music.beats import find_beats
from tests.stages.music.scores import f_measure
from tests.stages.music.songs import Song, make_song

REASON = "librosa is not installed: pip install librosa==0.11.0 in an environment of its own"
Finder = Callable[[Song], "list[float]"]


def ours(song: Song) -> list[float]:
    try:
        return [float(at) for at in find_beats(song.samples, song.rate_hz).times_s]
    except UsageError:
        return []


def librosas(song: Song) -> list[float]:
    import librosa  # type: ignore[import-not-found, unused-ignore]

    found = librosa.beat.beat_track(y=song.samples, sr=song.rate_hz, units="time")[1]
    return [float(at) for at in found]


def main() -> None:
    parser = argparse.ArgumentParser("python -m tests.stages.music.compare", description=__doc__)
    parser.add_argument("--first", type=int, default=0, help="seed of the first song")
    parser.add_argument("--songs", type=int, default=20)
    asked = parser.parse_args()
    finders: list[Finder] = [ours]
    if find_spec("librosa"):
        finders.append(librosas)
    else:
        say(REASON)
    rows = []
    for seed in range(asked.first, asked.first + asked.songs):
        song = make_song(seed)
        rows.append([f_measure(find(song), song.beats_s) for find in finders])
        say(f"{seed:5} {song.name:36} " + "  ".join(f"{value:.3f}" for value in rows[-1]))
    table = np.array(rows)
    say("mean" + " " * 38 + "  ".join(f"{value:.3f}" for value in table.mean(0)))
    if len(finders) > 1:
        say(
            f"worse than librosa by more than 0.02: {int((table[:, 1] - table[:, 0] > 0.02).sum())}"
        )


if __name__ == "__main__":
    main()
