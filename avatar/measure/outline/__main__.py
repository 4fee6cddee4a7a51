"""``python -m avatar.measure.outline``: the outline and what is behind, against truth."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from avatar.core.errors import AvatarError
from avatar.core.home import Home
from avatar.core.terminal import say
from avatar.library.face_model import find_face_model
from avatar.measure.outline.figures import OutlineFigures, measured
from avatar.measure.outline.truth import known_portraits


def main() -> int:
    """Draw, measure and print; return the exit status."""
    try:
        return _measure()
    except AvatarError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return 1


def _measure() -> int:
    parser = argparse.ArgumentParser("python -m avatar.measure.outline", description=__doc__)
    parser.add_argument("--side", type=int, default=512, help="pixels of a portrait's side")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--only", help="names of backgrounds, separated by commas")
    parser.add_argument("--pictures", type=Path, help="folder for what was drawn")
    asked = parser.parse_args()
    only = asked.only.split(",") if asked.only else None
    model = find_face_model(None, Home.of_user())
    say(f"{'background':12}  {'SAD':>6} {'gradient':>8} {'detail':>6} {'PSNR dB':>7} {'s':>5}")
    rows: list[OutlineFigures] = []
    for portrait in known_portraits(asked.side, asked.seed):
        if only is None or portrait.name in only:
            rows.append(measured(portrait, model, asked.pictures))
            say(rows[-1].line(portrait.name))
    say(OutlineFigures.mean(rows).line("all"))
    return 0


raise SystemExit(main())
