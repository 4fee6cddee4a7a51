"""``scripts/on-a-card`` without a card: what it would do, within its time, and what it says."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import av
import pytest

from avatar.core.clock import ManualClock
from avatar.core.errors import AvatarError, EngineError
from avatar.core.options import PUBLISHED
from avatar.library.models.store import model_folder
from avatar.measure import on_a_card as module
from avatar.measure.on_a_card import (
    CardPlan,
    CardReport,
    CardStep,
    StepError,
    draw_clip,
    install_seeded,
    main,
    run_command,
    run_steps,
)
from engines.backends import BACKENDS, Device
from tests import ROOT

Works = Callable[..., None]


@pytest.fixture
def works(monkeypatch: pytest.MonkeyPatch) -> Works:
    """``works(*names)``: those backends can be used on every device, and no others."""

    def set_up(*names: str) -> None:
        def probe(self: object, device: Device) -> str:
            if self.name not in names:  # type: ignore[attr-defined]
                raise EngineError("not on this card")
            return "works"

        for backend in BACKENDS.values():
            monkeypatch.setattr(type(backend), "probe", probe)

    return set_up


def titles(plan: CardPlan) -> list[str]:
    return [step.title for step in plan.steps()]


def test_a_card_gets_everything_that_runs_on_it(works: Works, tmp_path: Path) -> None:
    works("torch", "openvino")
    found = titles(CardPlan("cuda", False, tmp_path))
    assert found[0].startswith("networks from a seed")
    for family in PUBLISHED:
        assert f"networks of {family} with torch in fp16" in found
        assert f"networks of {family} with torch in fp32" in found
        assert f"a session with {family} torch, stage by stage" in found
    assert not any("tensorrt" in title or "openvino" in title for title in found)
    resumed = found.index("training, resumed")
    assert found[resumed - 1] == "training"
    least = [title for title in found if title.endswith("in fp32")] + [found[-1]]
    assert found[resumed + 1 :] == least, "what is left out first, where time is short"


def test_what_tensorrt_runs_is_tried_too(works: Works, tmp_path: Path) -> None:
    works("torch", "tensorrt-rtx")
    found = titles(CardPlan("cuda", False, tmp_path))
    assert any("with tensorrt-rtx in fp16" in title for title in found)
    for backend in ("torch", "tensorrt-rtx"):
        assert any(title.startswith("a session") and backend in title for title in found)


def test_the_dry_run_takes_one_family_on_the_processor(works: Works, tmp_path: Path) -> None:
    works("torch", "openvino")
    found = titles(CardPlan("cpu", True, tmp_path))
    assert sum(title.startswith("networks of") for title in found) == 2
    assert sum(title.startswith("a session") for title in found) == 1


def test_commands_read_nothing_of_the_users(tmp_path: Path) -> None:
    plan = CardPlan("cpu", True, tmp_path)
    for kind in ("DATA", "CACHE", "CONFIG"):
        assert Path(plan.environment[f"XDG_{kind}_HOME"]).is_relative_to(tmp_path)


@pytest.fixture(autouse=True)
def no_networks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is installed, whatever other tests installed for theirs."""
    monkeypatch.setenv("AVATAR_MODELS", str(tmp_path / "none"))


def report(tmp_path: Path, device: Device = "cpu") -> tuple[CardReport, Path]:
    path = tmp_path / "report.md"
    return CardReport(path, CardPlan(device, device == "cpu", tmp_path)), path


def failing(_limit: float) -> str:
    raise StepError("it broke\n(exit status 3)")


def test_a_step_that_fails_does_not_stop_the_others(tmp_path: Path) -> None:
    written, path = report(tmp_path)
    said: list[str] = []
    steps = [CardStep("one", failing), CardStep("two", lambda _limit: f"all well in {tmp_path}/x")]
    assert not run_steps(iter(steps), written, ManualClock(), said.append, 60)
    text = path.read_text("utf-8")
    assert "| one | FAILED |" in text and "it broke" in text
    assert "| two | done |" in text and "all well in" in text
    assert str(tmp_path) not in text, "no folders"
    assert said[0].startswith("FAILED: one") and "    (exit status 3)" in said[1]


def test_what_there_is_no_time_for_is_left_out_and_said(tmp_path: Path) -> None:
    written, path = report(tmp_path)
    clock, limits = ManualClock(), list[float]()

    def long(limit: float) -> str:
        limits.append(limit)
        clock.advance_ns(58 * 10**9)
        return "at last"

    steps = [CardStep("one", long), CardStep("two", long)]
    assert not run_steps(iter(steps), written, clock, print, 60)
    assert limits == [60]
    text = path.read_text("utf-8")
    assert "| one | done | 58.0 |" in text
    assert "| two | left out | 0.0 |" in text and "no time was left" in text


def test_the_report_says_plainly_that_no_card_was_there(tmp_path: Path) -> None:
    written, path = report(tmp_path)
    written.add("one", "done", 1.0, "fine")
    text = path.read_text("utf-8")
    assert "without a card: no figure here is a card's" in text
    assert "Small: it shows that the script works, and nothing else" in text
    assert "weights are from a seed" in text
    written, path = report(tmp_path, "cuda")
    written.add("one", "done", 1.0, "fine")
    text = path.read_text("utf-8")
    assert "no figure" not in text and "Small" not in text


def test_the_machine_stands_in_the_report_once(tmp_path: Path) -> None:
    written, path = report(tmp_path)
    line = next(line for line in written._machine if line.startswith("packages: "))
    written.add("one", "done", 1.0, f"{line}\nand a figure")
    text = path.read_text("utf-8")
    assert text.count("packages: ") == 1 and "and a figure" in text


def test_commands_are_watched(tmp_path: Path) -> None:
    def python(code: str, limit: float = 60) -> str:
        return run_command([sys.executable, "-c", code], dict(os.environ), limit)

    assert python("import sys; print('out'); print('err', file=sys.stderr)") == "out\nerr"
    with pytest.raises(StepError, match=r"before\n\(exit status 3\)"):
        python("import sys; print('before'); sys.exit(3)")
    with pytest.raises(StepError, match=r"stopped after 1 s"):
        python("import threading; threading.Event().wait()", 0.6)


def test_without_a_card_it_says_what_is_missing(
    works: Works, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    works()
    out = tmp_path / "r.md"
    assert main(["--report", str(out)]) == EngineError.exit_status
    assert "on-a-card: not on this card" in capsys.readouterr().err
    assert not out.exists()


def test_a_report_that_is_there_is_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "r.md"
    out.write_text("mine")
    assert main(["--dry-run", "--report", str(out)]) != 0
    assert "--force" in capsys.readouterr().err
    assert out.read_text() == "mine"
    done = [CardStep("one", lambda _limit: "fine")]
    monkeypatch.setattr(module.CardPlan, "steps", lambda self: iter(done))
    assert main(["--dry-run", "--force", "--report", str(out)]) == 0
    assert "| one | done |" in out.read_text("utf-8")


def test_the_drawn_clip_is_a_film(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    assert draw_clip(path, 6) == "6 frames of 480×400"
    with av.open(str(path)) as container:
        assert sum(1 for _ in container.decode(video=0)) == 6


def test_networks_from_a_seed_are_a_complete_set(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="checkpoints are PyTorch's")
    family = CardPlan("cpu", True, tmp_path).families[0]
    with pytest.raises(AvatarError):
        model_folder(tmp_path, family)
    install_seeded(family, tmp_path)
    assert model_folder(tmp_path, family).is_dir()


def test_the_script_explains_itself() -> None:
    done = subprocess.run(
        [str(ROOT / "scripts" / "on-a-card"), "--help"],
        env={**os.environ, "PYTHON": sys.executable},
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "--dry-run" in done.stdout and "scripts/on-a-card" in done.stdout
