"""Choreographies: files that people write, read without trust; what they say happens."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avatar.core.errors import UsageError
from avatar.core.home import Home
from avatar.sessions.choreographies import ChoreographyStore
from avatar.stages.motion.choreography import (
    HEAD,
    Choreography,
    Liveliness,
    _choreography,
    known_curves,
    load_choreography,
)
from avatar.stages.motion.expressions import EXPRESSIONS, Look

SMALL = "schema_version = 1\nbeats = 4\n[[voice]]\nroll = [[0, 10], [2, -10]]\n"
BUILT_IN = ["argue", "choir", "hey", "nod", "opera", "rock", "shy", "sleepy", "surprise", "sway",
            "wave", "wink"]  # fmt: skip


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def store(home: Home) -> ChoreographyStore:
    return ChoreographyStore(home)


def test_those_that_come_along_can_be_read_and_are_described(store: ChoreographyStore) -> None:
    assert store.names() == BUILT_IN
    for name in BUILT_IN:
        found = store.load(name)
        assert found.title and found.about, name
        assert found.beats in (4, 8, 16), name


@pytest.mark.parametrize("name", BUILT_IN)
def test_each_moves_within_bounds_and_ends_as_it_begins(
    store: ChoreographyStore, name: str
) -> None:
    found = store.load(name)
    looks = [found.look(k / 12) for k in range(round(found.beats * 12) + 1)]
    for look in looks:
        assert all(key in EXPRESSIONS and 0 <= score <= 1 for key, score in look.scores.items())
        assert HEAD["yaw"][0] <= look.yaw_deg <= HEAD["yaw"][1]
    assert_alike(looks[0], looks[-1])
    moved = max(abs(look.roll_deg) + abs(look.pitch_deg) + abs(look.yaw_deg) for look in looks)
    assert moved > 3


def assert_alike(one: Look, other: Look) -> None:
    assert one.scores == pytest.approx(other.scores, abs=1e-9)
    assert (one.yaw_deg, one.pitch_deg, one.roll_deg, one.x, one.y, one.zoom) == pytest.approx(
        (other.yaw_deg, other.pitch_deg, other.roll_deg, other.x, other.y, other.zoom), abs=1e-9
    )


def test_values_are_there_on_their_beats(tmp_path: Path) -> None:
    found = load_choreography(
        written(
            tmp_path,
            SMALL + 'jawOpen = [[0, 0], [1, 0.8, "hit"], [2, 0.1, "hold"], [3, 0.5, "linear"]]\n',
        )
    )
    assert [found.look(beat).roll_deg for beat in (0, 1, 2, 4, 6)] == pytest.approx(
        [10, 0, -10, 10, -10]
    )
    jaws = [found.look(beat).scores["jawOpen"] for beat in (0, 0.5, 1, 1.9, 2, 2.5, 3)]
    # A hit waits, and is there on the beat; what is held stays until the next key.
    assert jaws == pytest.approx([0, 0, 0.8, 0.8, 0.1, 0.3, 0.5])


def test_both_sides_can_be_written_as_one(tmp_path: Path) -> None:
    found = load_choreography(
        written(tmp_path, SMALL + "mouthSmile = [[0, 0.5]]\nlookX = [[0, 1]]\n")
    )
    scores = found.look(0).scores
    assert scores["mouthSmileLeft"] == scores["mouthSmileRight"] == 0.5
    assert scores["eyeLookOutLeft"] == scores["eyeLookInRight"] == 1


def test_voices_are_taken_in_turns_and_a_canon_begins_later(tmp_path: Path) -> None:
    text = "canon = 2\n" + SMALL + "[[voice]]\nroll = [[0, 1]]\n"
    found = load_choreography(written(tmp_path, text))
    assert found.look(0, 1).roll_deg == 1
    assert found.look(4, 2).roll_deg == pytest.approx(found.look(0, 0).roll_deg)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "schema_version: expected 1"),
        ("beats = 4", "schema_version: expected 1"),
        (SMALL.replace("beats = 4", "beats = 0"), "beats: expected a number from 0.25 to 256"),
        (SMALL.replace("beats = 4", "beats = nan"), "beats: expected a number"),
        (SMALL.replace("roll", "rol"), "unknown curve `rol`. Did you mean `roll`?"),
        (SMALL + "mouthSmyle = [[0, 1]]\n", "Did you mean `mouthSmile`?"),
        (SMALL + "jawOpen = [[0, 2]]\n", "jawOpen: expected a number from 0 to 1, found 2"),
        (SMALL + "jawOpen = [[0, true]]\n", "expected a number from 0 to 1, found True"),
        (SMALL + "jawOpen = [[4, 1]]\n", "beat 4 is beat 0 of the next turn"),
        (SMALL + "jawOpen = [[1, 1], [1, 0]]\n", "expected beats that rise"),
        (SMALL + 'jawOpen = [[1, 1, "hits"]]\n', "Did you mean `hit`?"),
        (SMALL + "jawOpen = []\n", "jawOpen: expected 1 to 400 keys"),
        (SMALL + "jawOpen = 1\n", "jawOpen: expected 1 to 400 keys"),
        (SMALL + "jawOpen = {every = 9, keys = [[0, 1]]}\n", "jawOpen.every: expected a number"),
        (SMALL + "[extra]\n", "unknown entry `extra`"),
        ("schema_version = 1\nbeats = 4\n", "expected 1 to 40 \\[\\[voice\\]\\]"),
        ("= 1", "is not valid TOML"),
    ],
)
def test_what_is_wrong_in_a_file_is_said(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(UsageError, match=expected):
        load_choreography(written(tmp_path, text))


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from([*known_curves()[:6], "beats", "voice", "keys"]), inner)
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(["schema_version", "beats", "voice", "canon"]), VALUES))
def test_any_values_are_read_or_refused(values: dict[str, Any]) -> None:
    try:
        made = _choreography("any", {"schema_version": 1, "beats": 4, **values})
    except ValueError:
        return
    assert isinstance(made.look(1.5, 2), Look)


def test_users_keep_their_own_and_cannot_remove_the_programs(
    store: ChoreographyStore, tmp_path: Path
) -> None:
    assert store.add(written(tmp_path, SMALL), None, replace=False) == "mine"
    assert store.load("mine").beats == 4
    with pytest.raises(UsageError, match="there is a template mine already"):
        store.add(written(tmp_path, SMALL), None, replace=False)
    with pytest.raises(UsageError, match="hey comes with the program and stays"):
        store.remove("hey")
    with pytest.raises(UsageError, match=r"none called 'mime'. Did you mean `mine`\?"):
        store.load("mime")
    store.remove("mine")
    assert store.names() == BUILT_IN


def test_a_broken_file_is_not_kept(store: ChoreographyStore, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not valid TOML"):
        store.add(written(tmp_path, "= 1"), None, replace=False)
    assert not store.own.exists()


def test_files_are_small_and_say_what_they_do(store: ChoreographyStore) -> None:
    for name in BUILT_IN:
        text = store.path(name).read_text("utf-8")
        assert text.startswith("# ") and len(text) < 3000, name
        assert tomllib.loads(text)["about"], name


def test_a_living_face_blinks_breathes_and_is_not_symmetric() -> None:
    look = Look({"mouthSmileLeft": 0.5, "mouthSmileRight": 0.5})
    alive = Liveliness(3, 10.0)
    seen = [alive(look, k / 30) for k in range(300)]
    assert max(one.scores["eyeBlinkLeft"] for one in seen) > 0.8
    assert len({round(one.yaw_deg, 3) for one in seen}) > 50
    assert seen[0].scores["mouthSmileLeft"] != seen[0].scores["mouthSmileRight"]
    assert_alike(alive(look, 0.0), alive(look, 10.0))
    assert alive(look, 3.3) == Liveliness(3, 10.0)(look, 3.3) != Liveliness(4, 10.0)(look, 3.3)
    # What the choreography says of eyes is not made uneven.
    shut = alive(Look({"eyeBlinkLeft": 1.0}), 0.0)
    assert shut.scores["eyeBlinkLeft"] >= 0.9


def test_a_choreography_is_the_same_for_everybody() -> None:
    made = Choreography("n", "t", "a", 4, ({},))
    assert made.look(3.0, 5) == Look({}, 0, 0, 0, 0, 0, 1.0)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (SMALL.replace("10]", "1" + "0" * 500 + "]", 1), "expected a number"),
        (SMALL.replace("10]", "0x" + "f" * 9000 + "]", 1), "expected a number"),
        (SMALL.replace("= 4", "= 1" + "0" * 5000), "not valid TOML"),
        (SMALL.replace("= 4", "= nan"), "expected a number"),
        (SMALL.replace("= 4", f"= {[1] * 9999}"), "expected a number"),
        (SMALL + f'"{"q" * 9000}" = [[0, 1]]\n', "unknown curve"),
        ("title = 1979-05-27\n" + SMALL, "expected a text"),
    ],
)
def test_odd_numbers_and_texts_are_refused_in_a_short_line(
    tmp_path: Path, text: str, says: str
) -> None:
    with pytest.raises(UsageError, match=says) as refused:
        load_choreography(written(tmp_path, text))
    assert len(str(refused.value)) < 400 + len(str(tmp_path))


@pytest.mark.parametrize(
    "text",
    [
        '"a\\u001b[31m" = 1\n' + SMALL,
        SMALL + '"a\\u001b[31m" = [[0, 1]]\n',
        SMALL + 'yaw = {"\\u009b31m" = 1}\n',
        SMALL + 'yaw = [[0, 1, "\\u001b[31m"]]\n',
    ],
)
def test_a_message_has_no_control_characters_of_the_file(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError) as refused:
        load_choreography(written(tmp_path, text))
    assert all(letter.isprintable() for letter in str(refused.value).replace("\u202f", ""))


def test_title_and_about_are_one_harmless_line(tmp_path: Path) -> None:
    texts = 'title = "a\\u001b[31m\\n\\nb"\nabout = "c\\u009b2J\\r\\u202ed"\n'
    found = load_choreography(written(tmp_path, texts + SMALL))
    assert (found.title, found.about) == ("a�[31m b", "c�2J��d")
