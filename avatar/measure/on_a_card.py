"""``scripts/on-a-card``: all that only a card can show, by one command that fits into a short loan.

The networks are built, compared with the processor and timed; sessions are timed stage by stage; a
generator is trained, and trained on with ``--resume``. What each step printed goes into a report,
which is written again after every step: what was cut short leaves what it had.

Installed networks are used; where some are missing, all are made from a seed. Nothing of the user's
is read or written but those and the report: data and caches lie in a folder for the moment.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from avatar.core.clock import Clock, MonotonicClock
from avatar.core.errors import AvatarError
from avatar.core.home import MODELS_VARIABLE, Home
from avatar.core.machine import file_hash
from avatar.core.options import PORTRAIT, PUBLISHED
from avatar.core.outputs import check_output, write_output
from avatar.core.terminal import say
from avatar.library.models import catalog, store
from avatar.measure.doctor_gpu import anonymous, describe
from avatar.sessions.engines import ENGINES
from avatar.sessions.engines.engine import Say
from engines.backends import BACKENDS, Device, of_device

ROOT = Path(__file__).resolve().parents[2]
# Of the eight minutes that it may take, some are for starting and for the report.
BUDGET_S = 450.0
_LEAST_S = 5.0
_CLIP_PX, _CLIP_FPS = (480, 400), 25
_PERSON = "card"


class StepError(Exception):
    """A step that did not do what it should; its text is what it printed."""


@dataclass(frozen=True)
class CardStep:
    """``work``: does it within so many seconds, and returns what there is to say of it."""

    title: str
    work: Callable[[float], str]


@dataclass(frozen=True)
class CardPlan:
    """What is tried. ``small``: as little of everything as shows that the script itself works."""

    device: Device
    small: bool
    folder: Path

    @property
    def families(self) -> tuple[str, ...]:
        """Return the published networks to try, of which the lightest is enough in small."""
        lightest = min(PUBLISHED, key=lambda name: ENGINES[name].slow_s or 0)
        return (lightest,) if self.small else PUBLISHED

    @property
    def environment(self) -> dict[str, str]:
        """Return the environment of what is started: its data lie in ``folder``."""
        places = {
            f"XDG_{kind}_HOME": str(self.folder / kind) for kind in ("DATA", "CACHE", "CONFIG")
        }
        return {
            **os.environ, **places,
            MODELS_VARIABLE: str(self.models), "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1",
        }  # fmt: skip

    @property
    def models(self) -> Path:
        """Return the user's networks where all of ``families`` are installed, else our own."""
        users = Home.of_user().models
        return users if all(_installed(users, name) for name in self.families) else self.own_models

    @property
    def own_models(self) -> Path:
        """Return the folder of those that are made from a seed."""
        return self.folder / "models"

    def steps(self) -> Iterator[CardStep]:
        """Yield what is done, in its order: what says most of a card comes first."""
        backends = list(self._backends())
        yield CardStep("networks from a seed, where they are not installed", self._make_weights)
        for name in backends:
            usual, *_ = BACKENDS[name].precisions_on(self.device)
            for family in self.families:
                yield self._networks(family, name, usual)
        for name in backends:
            for family in self.families:
                yield self._session(family, ["--backend", name, "--device", self.device])
        yield from self._training()
        for name in backends:
            for precision in BACKENDS[name].precisions_on(self.device)[1:]:
                for family in self.families:
                    yield self._networks(family, name, precision)
        if not self.small:
            yield self._session(PORTRAIT, [])

    def _training(self) -> Iterator[CardStep]:
        clip = self.folder / "acting.mp4"
        yield CardStep("a clip of a drawn person", lambda _limit: draw_clip(clip, 84))
        first, then = (2, 3) if self.small else (200, 400)
        train = ["train", "--name", _PERSON, "--rights", "self", "--device", self.device]
        yield self._command("training", [*train, str(clip), "--steps", str(first)])
        yield self._command("training, resumed", [*train, "--resume", "--steps", str(then)])

    def _backends(self) -> Iterator[str]:
        """Yield the backends to try that can be used; why others not is said of the machine."""
        for name in of_device(self.device) if self.device == "cuda" else ("torch",):
            with suppress(AvatarError):
                BACKENDS[name].probe(self.device)
                yield name

    def _networks(self, family: str, backend: str, precision: str) -> CardStep:
        report = self.folder / f"{family}-{backend}-{precision}.txt"
        return self._command(
            f"networks of {family} with {backend} in {precision}",
            ["doctor", "--gpu", "--engine", family, "--backend", backend, "--device", self.device,
             "--precision", precision, "--report", str(report)],
        )  # fmt: skip

    def _session(self, engine: str, networks: Sequence[str]) -> CardStep:
        # A processor draws few pictures a second.
        seconds = "15" if self.device == "cpu" else "8"
        title = " ".join(["a session with", engine, *networks[1:2]])
        given = ["bench", "--camera", "demo", "--engine", engine, "--seconds", seconds, *networks]
        return self._command(f"{title}, stage by stage", given)

    def _command(self, title: str, words: Sequence[str]) -> CardStep:
        command = [sys.executable, "-m", "avatar", *words]
        return CardStep(title, lambda limit: run_command(command, self.environment, limit))

    def _make_weights(self, _limit: float) -> str:
        if self.models != self.own_models:
            return f"all are installed: {', '.join(self.families)}"
        for family in self.families:
            install_seeded(family, self.own_models)
        return f"made: {', '.join(self.families)}"


def _installed(models: Path, family: str) -> bool:
    with suppress(AvatarError):
        return store.model_folder(models, family).is_dir()
    return False


def install_seeded(family: str, root: Path) -> None:
    """Put networks of ``family`` with weights from a seed into the store ``root``."""
    import torch

    from engines.networks.seeded import seeded

    entry, files = catalog.find(family), []
    root.mkdir(parents=True, exist_ok=True)
    for name in entry.networks:
        path = root / f"{name.replace('/', '-')}.pth"
        torch.save(dict(seeded(name).state_dict()), path)
        files.append(store.Checked(path, path.name, file_hash(path), (name,), "made from a seed"))
    store.add(root, entry, files)


def draw_clip(path: Path, frames: int) -> str:
    """Film the demo's drawn person, with nobody's face in it; return what was made."""
    import av

    from avatar.stages.sources.demo import performance
    from avatar.stages.sources.illustration import Illustrator

    illustrator = Illustrator(_CLIP_PX)
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=_CLIP_FPS, options={"crf": "12"})
        video.width, video.height = _CLIP_PX
        video.pix_fmt, video.time_base = "yuv420p", Fraction(1, _CLIP_FPS)
        for index in range(frames):
            image = illustrator.draw(performance(1.0 + index / _CLIP_FPS))
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, _CLIP_FPS)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
    return f"{frames} frames of {_CLIP_PX[0]}×{_CLIP_PX[1]}"


def run_command(command: Sequence[str], environment: Mapping[str, str], limit_s: float) -> str:
    """Return what ``command`` printed. Raises ``StepError`` where it fails or takes longer."""
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as printed:
        process = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=printed,
            stderr=subprocess.STDOUT, cwd=ROOT, start_new_session=True,
        )  # fmt: skip
        try:
            status: Any = process.wait(limit_s)
        except subprocess.TimeoutExpired:
            status = f"stopped after {limit_s:.0f} s"
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)  # with those that compile for it
                process.wait()
        printed.seek(0)
        text = printed.read().strip()
    if status != 0:
        raise StepError(
            f"{text}\n(exit status {status})" if isinstance(status, int) else f"{text}\n({status})"
        )
    return text


class CardReport:
    """A page of Markdown that grows step by step."""

    def __init__(self, path: Path, plan: CardPlan) -> None:
        self._path, self._models = path, plan.models
        self._rows: list[str] = []
        self._parts: list[str] = []
        self._machine = list(describe())
        self._head = "\n".join([
            "# On a card", "", _what_it_is(plan), "", "```", *self._machine, "```", "",
            "| step | result | s |", "|---|---|---|",
        ])  # fmt: skip

    def add(self, title: str, result: str, seconds: float, text: str) -> None:
        """Add a step and write the report."""
        self._rows.append(f"| {title} | {result} | {seconds:.1f} |")
        # The machine stands at the top, once.
        lines = [line for line in text.splitlines() if line not in self._machine]
        self._parts += [f"\n## {title}\n", "```", *lines, "```"]
        whole = "\n".join([self._head, *self._rows, *self._parts])
        write_output(self._path, anonymous(whole, self._models) + "\n")


def _what_it_is(plan: CardPlan) -> str:
    said = ["On the card that is described below."]
    if plan.device == "cpu":
        said = ["**Tried on the processor, without a card: no figure here is a card's.**"]
    if plan.small:
        said.append("**Small: it shows that the script works, and nothing else.**")
    if plan.models == plan.own_models:
        said.append(
            "The networks' weights are from a seed: times and errors hold, pictures do not."
        )
    return " ".join(said)


def run_steps(
    steps: Iterator[CardStep], report: CardReport, clock: Clock, tell: Say, budget_s: float
) -> bool:
    """Do the steps that there is time for; return whether all were done, and well."""
    start_ns, all_good = clock.now_ns(), True
    for step in steps:
        began_ns = clock.now_ns()
        left_s = budget_s - (began_ns - start_ns) / 1e9
        if left_s < _LEAST_S:
            result, text = "left out", "no time was left"
        else:
            result, text = _done(step, left_s)
        seconds = (clock.now_ns() - began_ns) / 1e9
        all_good = all_good and result == "done"
        report.add(step.title, result, seconds, text)
        tell(f"{result}: {step.title} ({seconds:.1f} s)")
        if result == "FAILED":
            tell("\n".join(f"    {line}" for line in text.splitlines()[-12:]))
    return all_good


def _done(step: CardStep, left_s: float) -> tuple[str, str]:
    try:
        return "done", step.work(left_s)
    except (StepError, AvatarError, OSError) as error:
        return "FAILED", str(error)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; see the module."""
    parser = argparse.ArgumentParser(prog="scripts/on-a-card", description=__doc__)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument(
        "--small", action="store_true", help="as little as shows that the script works"
    )
    parser.add_argument("--dry-run", action="store_true", help="as --device cpu --small")
    parser.add_argument("--report", type=Path, default=Path("on-a-card.md"))
    parser.add_argument("--force", action="store_true", help="replace the report if it is there")
    given = parser.parse_args(arguments)
    device: Device = "cpu" if given.dry_run else given.device
    try:
        check_output(given.report, "--report", force=given.force)
        if device == "cuda":
            BACKENDS["torch"].probe("cuda")
        with tempfile.TemporaryDirectory(prefix="on-a-card-") as folder:
            plan = CardPlan(device, given.small or given.dry_run, Path(folder))
            report = CardReport(given.report.absolute(), plan)
            good = run_steps(plan.steps(), report, MonotonicClock(), say, BUDGET_S)
    except AvatarError as error:
        say(f"on-a-card: {error}")
        return error.exit_status
    say(f"{given.report}: the report, without names and folders")
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())
