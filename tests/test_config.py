from pathlib import Path

import pytest

from avatar.config import DEFAULTS, load_config, parse_size
from avatar.core.options import Options
from avatar.errors import ConfigError, UsageError


def test_without_anything_the_defaults_hold() -> None:
    assert load_config(None, {}) == DEFAULTS


def test_the_command_line_wins_over_the_file_and_the_file_over_the_defaults(tmp_path: Path) -> None:
    path = tmp_path / "avatar.toml"
    path.write_text('avatar = "mona.jpg"\nfps = 25\nlabel-text = "KI"\nout = ["preview", "none"]\n')
    config = load_config(path, {"fps": 24.0, "motion": None})
    assert config == Options(
        avatar=("mona.jpg",), fps=24.0, label_text="KI", out=("preview", "none")
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('avatr = "x.jpg"', "unknown key `avatr`. Did you mean `avatar`?"),
        ("zzzz = 1", "unknown key `zzzz`. Known: avatar, camera"),
        ('fps = "fast"', "`fps`"),
        ('motion = "sideways"', "`motion`"),
        ("fps = 30 30", "not valid TOML"),
    ],
)
def test_a_wrong_file_is_an_error_that_names_the_place(
    tmp_path: Path, text: str, words: str
) -> None:
    path = tmp_path / "avatar.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_config(path, {})
    assert words in str(caught.value)
    assert str(path) in str(caught.value)


def test_an_absent_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path / "absent.toml", {})


def test_sizes() -> None:
    assert parse_size("1280x720") == (1280, 720)
    assert parse_size("640X480") == (640, 480)
    for wrong in ("1280", "x720", "1281x720", "10x10", "9000x720", "a×b", "-2x4"):
        with pytest.raises(UsageError, match="--size"):
            parse_size(wrong)


@pytest.mark.parametrize(
    "given", [{"fps": 0.0}, {"fps": 1000.0}, {"seconds": 0.0}, {"avatar": []}, {"out": []}]
)
def test_impossible_values_are_refused(given: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        load_config(None, given)
