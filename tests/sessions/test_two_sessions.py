"""Two sessions in one process: neither knows of the other, and the process stays as it was."""

from __future__ import annotations

import gc
import json
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from avatar.core.errors import EngineError, UsageError
from avatar.core.frames import Face
from avatar.core.home import Home
from avatar.core.machine import Machine, ended_by_signals
from avatar.core.options import Options
from avatar.library.avatars import AvatarStore
from avatar.library.models.builds import Target
from avatar.sessions.engines import trained
from avatar.sessions.live import LiveHandle, LiveSession
from avatar.stages.generate.neural.networks import Networks
from avatar.stages.generate.photo import builtin_photo
from avatar.stages.sinks.memory import MemorySink
from engines.backends import BACKENDS
from engines.runner import Runner
from engines.select import Choice
from tests.stages.generate.neural.toys import ToyRunner
from tests.waiting import wait_until

SIZE_PX = (320, 240)
PATIENCE_S = 90.0


class Running:
    """A session in a home and a thread of its own, and what it delivered."""

    def __init__(self, home: Home, machine: Machine, **options: object) -> None:
        self.home, self.sink = home, MemorySink(SIZE_PX)
        config = Options(camera="demo", size="320x240", **options)  # type: ignore[arg-type]
        self.session = LiveSession(
            config, lambda line: None, home=home, machine=machine, sinks=[self.sink]
        )
        self.handle = LiveHandle(self.session)

    def delivers(self, count: int = 3) -> None:
        """Wait for ``count`` more frames."""
        wanted = len(self.sink.frames) + count
        wait_until(lambda: len(self.sink.frames) >= wanted or self.ended, "frames", PATIENCE_S)
        assert len(self.sink.frames) >= wanted

    @property
    def ended(self) -> bool:
        return self.handle.wait(0)


@pytest.fixture
def both(tmp_path: Path, portrait_face: Face) -> Iterator[tuple[Running, Running]]:
    """Two that run: the built-in portrait, and an avatar that the second user alone has stored."""
    homes = [Home.under(tmp_path / name) for name in ("one", "other")]
    AvatarStore(homes[1].avatars).add("Grace", builtin_photo(), portrait_face)
    machine = Machine()
    one = Running(homes[0], machine, label_text="AI")
    other = Running(homes[1], machine, avatar=("Grace",), label_text="made by AI")
    with one.handle, other.handle:
        yield one, other


def test_each_delivers_and_one_that_ends_leaves_the_other_as_it_was(
    both: tuple[Running, Running],
) -> None:
    one, other = both
    for running in both:
        running.delivers()
    frozen = gc.get_freeze_count()
    assert frozen > 0
    assert cv2.getNumThreads() == 1
    one.session.stop()
    assert one.handle.wait(PATIENCE_S)
    assert gc.get_freeze_count() > 0
    assert cv2.getNumThreads() == 1
    other.delivers()
    assert not other.ended
    other.session.stop()
    assert other.handle.wait(PATIENCE_S)
    assert gc.get_freeze_count() < frozen
    for running, text in ((one, "AI"), (other, "made by AI")):
        assert {frame.label_text for frame in running.sink.frames} == {text}
    stored = {running: AvatarStore(running.home.avatars).names() for running in both}
    assert stored == {one: [], other: ["Grace"]}
    # The first user's portrait had its face looked for; the other's avatar knows it.
    assert list(one.home.faces.glob("*.json")) and not other.home.faces.exists()
    for running in both:
        assert list(running.home.mattes.glob("*.npz"))


def test_ctrl_c_ends_both(both: tuple[Running, Running]) -> None:
    with ended_by_signals(both[0].session.stop), ended_by_signals(both[1].session.stop):
        for running in both:
            running.delivers(1)
        signal.raise_signal(signal.SIGINT)
        assert all(running.handle.wait(PATIENCE_S) for running in both)


def test_one_users_avatar_is_unknown_in_another_home(both: tuple[Running, Running]) -> None:
    with pytest.raises(UsageError, match="Grace"):
        Running(both[0].home, Machine(), avatar=("Grace",))


def test_no_label_is_recorded_with_the_user_who_asked_for_it(tmp_path: Path) -> None:
    home, other = Home.under(tmp_path / "one"), Home.under(tmp_path / "other")
    Running(home, Machine(), label=False, acknowledge_disclosure_duty=True)
    assert json.loads(home.disclosure_log.read_text())["outputs"] == ["memory"]
    assert not other.disclosure_log.exists()


# --- networks


def test_open_networks_are_shared_and_closed_by_the_last() -> None:
    machine, counts = Machine(), dict[str, int]()
    name = "liveportrait/motion_extractor"

    def networks() -> Networks:
        return Networks(
            lambda model: machine.networks.use(
                ("weights", model), lambda: ToyRunner(model, counts)
            ),
            "weights",
        )

    with networks() as one:
        one.prepare([name])
        with networks() as other:
            other.prepare([name])
            assert counts[f"opened {name}"] == 1
        assert f"closed {name}" not in counts
        feeds = {
            spec.name: np.zeros([n or 1 for n in spec.shape], spec.dtype)
            for spec in ToyRunner(name).spec.inputs
        }
        assert one.infer(name, feeds)
    assert counts[f"closed {name}"] == 1


@pytest.mark.parametrize(("backend", "runners"), [("tensorrt", 1), ("openvino", 2)])
def test_trained_generators_are_shared_on_cards_only(
    backend: str, runners: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = Target(Choice(backend, "for a test", {}, BACKENDS[backend].devices[0]), "fp32")
    graph = tmp_path / "fp32.onnx"
    graph.write_bytes(b"a graph")
    made, machine = trained.Exported(graph, (), "again"), Machine()
    monkeypatch.setattr(trained, "choose_generator_target", lambda *_: target)
    monkeypatch.setattr(
        trained, "open_exported", lambda *_: ToyRunner("liveportrait/motion_extractor")
    )
    options, home = Options(mouth="teeth"), Home.under(tmp_path)
    engines = [
        trained.TrainedEngine().open(options, lambda line: None, home, machine) for _ in range(2)
    ]
    with engines[0]._opened(made) as one, engines[1]._opened(made) as other:
        assert len({id(one), id(other)}) == runners


def test_a_runner_serves_one_thread_after_the_other() -> None:
    inside, most = [0], [0]

    class Slow(ToyRunner):
        def _infer(self, feeds: object) -> dict[str, object]:
            inside[0] += 1
            most[0] = max(most[0], inside[0])
            time.sleep(0)  # lets the others in, if anything does
            inside[0] -= 1
            return {}

    runner: Runner = Slow("liveportrait/motion_extractor")
    threads = [threading.Thread(target=runner.warm_up, args=(10,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1]
    runner.close()
    with pytest.raises(EngineError, match="closed"):
        runner.warm_up()
