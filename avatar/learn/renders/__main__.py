"""``python -m avatar.learn.renders --out FOLDER``: clips of people who do not exist."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from avatar.core.errors import AvatarError
from avatar.learn.renders.film import film
from avatar.learn.renders.painter import Painter


def main() -> int:
    """Draw the clips that the command line asks for; return the exit status."""
    wish = _wish()
    try:
        _film_all(wish)
    except (AvatarError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


def _film_all(wish: argparse.Namespace) -> None:
    wish.out.mkdir(parents=True, exist_ok=True)
    painter = Painter(wish.size)
    for person in range(wish.first, wish.first + wish.people):
        path = wish.out / f"person-{person:03d}.mp4"
        seed = wish.seed, person
        film(painter, path, seed, wish.size, wish.frames, wish.fps, shown=wish.acting == "shown")
        print(path, flush=True)  # noqa: T201
    painter.close()


def _wish() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m avatar.learn.renders", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder for the clips")
    parser.add_argument("--people", type=int, default=16)
    parser.add_argument("--first", type=int, default=0, help="number of the first of them")
    parser.add_argument("--frames", type=int, default=150)
    parser.add_argument("--fps", type=int, default=25)
    parser.add_argument("--size", type=int, default=512, help="pixels, width and height")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--acting",
        choices=("chance", "shown"),
        default="chance",
        help="what they do: chance, or the performance of README's picture, which repeats",
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
