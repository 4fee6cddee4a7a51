"""Open networks, shared: opened once, closed by the last, still inputs uploaded once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from avatar.core.errors import EngineError
from avatar.stages.generate.neural.networks import Networks
from engines.runner import Runner
from tests.stages.generate.neural.toys import ToyRunner, toys

LIP = "liveportrait/stitching_retargeting_module/lip"
FEEDS = {"input": np.zeros((1, 65), np.float32)}


def test_networks_stay_open_until_the_last_user_leaves() -> None:
    counts: dict[str, int] = {}
    networks = toys(counts)
    with networks:
        with networks:
            networks.prepare([LIP])
        networks.infer(LIP, FEEDS)
    assert (counts[f"opened {LIP}"], counts[f"closed {LIP}"]) == (1, 1)
    networks.__exit__(None, None, None)
    with networks:
        networks.infer(LIP, FEEDS)
    assert counts[f"opened {LIP}"] == 2


def test_closed_networks_say_so() -> None:
    with pytest.raises(EngineError, match="closed"):
        toys().infer(LIP, FEEDS)


def test_a_network_that_cannot_be_opened_leaves_the_others_to_be_closed() -> None:
    counts: dict[str, int] = {}

    def open_model(name: str) -> Runner:
        if name == "broken":
            raise EngineError("no such model")
        return ToyRunner(name, counts)

    networks = Networks(open_model, "toys")
    with pytest.raises(EngineError, match="no such model"), networks:
        networks.prepare([LIP, "broken"])
    assert counts[f"closed {LIP}"] == 1


class CardRunner(ToyRunner):
    """A runner that holds values itself; what it was given is kept to be looked at."""

    uploads: list[Any]

    def upload(self, name: str, value: Any) -> Any:
        self.__dict__.setdefault("uploads", []).append(value)
        return value.copy()


def test_what_stays_is_uploaded_once_and_again_when_it_is_another() -> None:
    made: list[CardRunner] = []

    def open_model(name: str) -> Runner:
        made.append(CardRunner(name))
        return made[-1]

    still = {"small": np.zeros((1, 3, 64, 64), np.float32),
             "features": np.zeros((1, 256, 64, 64), np.float32)}  # fmt: skip
    feeds = {
        f"{side}_{name}": np.zeros(shape, np.float32)
        for side in ("source", "driving")
        for name, shape in (("value", (1, 10, 2)), ("jacobian", (1, 10, 2, 2)))
    }
    with Networks(open_model, "card") as networks:
        for _ in range(3):
            networks.infer("fomm/frame", feeds, still)
        assert len(made[0].uploads) == 2
        other = {**still, "small": still["small"].copy()}
        networks.infer("fomm/frame", feeds, other)
        assert len(made[0].uploads) == 3
