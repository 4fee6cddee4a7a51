from pathlib import Path
from typing import Any

import pytest

from avatar.core.config_file import load_options
from avatar.core.errors import AvatarError, UsageError
from avatar.core.home import Home
from avatar.core.options import Options
from avatar.sessions.guidance import Guidance
from avatar.sessions.live import LiveSession
from avatar.sessions.retargeting import driving, make_retargeter
from avatar.stages.motion.driving import UNCHANGED, Driving


def test_options_become_driving() -> None:
    config = Options(
        strength=0.8, weight=("mouth=1.3", "pose=0"), exaggerate=1.5, max_turn=20, lock_head=True
    )
    assert driving(config) == Driving(0.8, 0.0, 1.3, 1.0, 1.0, 1.5, 20, True)
    assert driving(Options()) == UNCHANGED


def test_they_can_stand_in_a_file(tmp_path: Path, home: Home) -> None:
    path = tmp_path / "a.toml"
    path.write_text('weight = "brows=0.5"\nmax-turn = 15\nreference = "first"\n', encoding="utf-8")
    config = load_options(path, {})
    assert config.weights == {"brows": 0.5}
    assert config.max_turn == 15
    make_retargeter(config, home)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"weight": ("nose=1",)}, "one of pose, mouth, eyes, brows"),
        ({"weight": ("mouth=much",)}, "a number from 0 to 2"),
        ({"weight": ("mouth=nan",)}, "a number from 0 to 2"),
        ({"weight": ("mouth=1", "mouth=2")}, "only once"),
        ({"exaggerate": 0.5}, "expected 1 to 3"),
        ({"max_turn": -1.0}, "0 to 90 degrees"),
        ({"strength": 3.0}, "expected 0 to 2"),
        ({"reference": "profile"}, "needs --profile NAME"),
    ],
)
def test_impossible_values_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Options(**options)


def test_what_an_engine_does_not_heed_is_refused() -> None:
    with pytest.raises(AvatarError, match="--lock-head is for --engine portrait"):
        driving(Options(engine="liveportrait", lock_head=True))
    assert driving(Options(engine="liveportrait", strength=0.5)) == UNCHANGED


@pytest.mark.slow
def test_the_key_r_begins_and_ends_the_search(face_model: Path, home: Home) -> None:
    said: list[str] = []
    session = LiveSession(
        Options(camera="demo", out=("none",), size="320x240"), said.append, home=home
    )
    session.press("r")
    assert "looking for the moment" in said[-1]
    session.press("r")
    assert "kept as it is" in said[-1]


@pytest.mark.slow
def test_a_program_may_take_a_key_for_itself(face_model: Path, home: Home) -> None:
    said: list[str] = []
    pressed: list[str] = []
    session = LiveSession(
        Options(camera="demo", out=("none",), size="320x240"), said.append, home=home,
        guidance=Guidance(keys={"r": lambda: pressed.append("r")}),
    )  # fmt: skip
    session.press("r")
    assert pressed == ["r"]
    assert not any("looking for the moment" in line for line in said)
