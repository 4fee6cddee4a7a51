"""Avatars on the page: removed and had back, renamed, and another face of a photograph chosen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from avatar.app.avatars import add_photo
from avatar.app.studio.removed import UNDO_S, RemovedAvatars
from avatar.core.errors import AvatarError, UsageError
from avatar.core.home import Home
from avatar.library.avatars import AvatarStore
from avatar.stages.generate.photo import builtin_photo
from tests import photographs
from tests.app.studio.test_runtime import Bench


@pytest.fixture
def bench(home: Home) -> Iterator[Bench]:
    bench = Bench(home)
    yield bench
    bench.studio.close()


@pytest.fixture
def grace(bench: Bench, tmp_path: Path) -> Path:
    photo = tmp_path / "Grace.jpg"
    photo.write_bytes(builtin_photo().read_bytes())
    bench.studio.add_avatar(photo, "Grace")
    return photo


@pytest.fixture
def pair(tmp_path: Path) -> Path:
    return photographs.pair(tmp_path / "pair.png")


def names(bench: Bench) -> list[str]:
    return [avatar["name"] for avatar in bench.state["avatars"]]


class Clockwork:
    """Keeps what is to be done later, until it is time."""

    def __init__(self) -> None:
        self.due: list[tuple[float, Callable[[], None]]] = []

    def __call__(self, seconds: float, what: Callable[[], None]) -> None:
        self.due.append((seconds, what))

    def strike(self) -> None:
        due, self.due = self.due, []
        for _, what in due:
            what()


def removing(home: Home) -> tuple[RemovedAvatars, Clockwork, list[str]]:
    clockwork = Clockwork()
    told: list[str] = []
    return (
        RemovedAvatars(home, told.append, lambda: told.append("changed"), clockwork),
        clockwork,
        told,
    )


def stored(home: Home) -> list[str]:
    return sorted(path.name for path in home.avatars.iterdir())


def test_a_removed_avatar_can_be_had_back_for_ten_seconds(home: Home) -> None:
    add_photo(builtin_photo(), name="Grace", home=home, say=lambda line: None)
    removed, clockwork, told = removing(home)
    removed.remove("grace")
    assert AvatarStore(home.avatars).names() == [] and removed.names == ["Grace"]
    assert [seconds for seconds, _ in clockwork.due] == [UNDO_S] == [10]
    assert removed.restore("Grace") == "Grace"
    clockwork.strike()
    assert stored(home) == ["Grace"] and told == []
    removed.remove("Grace")
    clockwork.strike()
    assert stored(home) == [] and removed.names == [] and told == ["changed"]
    with pytest.raises(UsageError, match="for good"):
        removed.restore("Grace")


def test_what_can_be_had_back_is_gone_with_the_program(home: Home) -> None:
    add_photo(builtin_photo(), name="Grace", home=home, say=lambda line: None)
    removed, clockwork, told = removing(home)
    removed.remove("Grace")
    removed.close()
    assert stored(home) == []
    clockwork.strike()
    assert told == []


def test_one_of_the_same_name_is_neither_replaced_nor_lost(home: Home) -> None:
    add_photo(builtin_photo(), name="Grace", home=home, say=lambda line: None)
    removed, _, _ = removing(home)
    removed.remove("Grace")
    add_photo(builtin_photo(), name="Grace", home=home, say=lambda line: None)
    with pytest.raises(UsageError, match="already"):
        removed.restore("Grace")
    assert removed.names == ["Grace"]
    removed.remove("Grace")
    assert removed.restore("Grace") == "Grace", "the one that was removed last"
    assert stored(home) == ["Grace"]


def test_pages_are_told_what_can_be_had_back(bench: Bench, grace: Path) -> None:
    bench.act("remove", avatar="Grace")
    assert names(bench) == ["builtin"] and bench.state["removed"] == ["Grace"]
    bench.act("restore", avatar="Grace")
    assert names(bench) == ["Grace", "builtin"] and bench.state["removed"] == []


def test_the_avatar_that_is_shown_is_renamed_while_it_runs(bench: Bench, grace: Path) -> None:
    (bench.home.recordings / "Grace").mkdir(parents=True)
    bench.act("avatar", avatar="Grace")
    bench.act("start")
    bench.act("rename", avatar="Grace", name=" Admiral ")
    assert bench.state["avatar"] == "Admiral" and names(bench) == ["Admiral", "builtin"]
    assert bench.studio.thumbnail("Admiral")[:2] == b"\xff\xd8"
    assert [path.name for path in bench.home.recordings.iterdir()] == ["Admiral"]
    bench.act("options", background="#00b140")  # it is drawn again
    assert bench.picture().shape == (240, 320, 3)


@pytest.mark.parametrize("name", ["Twin", "twin", "../x", "a/b", "builtin"])
def test_a_name_that_is_unfit_or_taken_renames_nothing(
    bench: Bench, grace: Path, name: str
) -> None:
    bench.studio.add_avatar(grace, "Twin")
    with pytest.raises(UsageError) as refused:
        bench.act("rename", avatar="Grace", name=name)
    assert "--" not in str(refused.value)
    assert names(bench) == ["Grace", "Twin", "builtin"]


def test_a_face_is_chosen_among_several(bench: Bench, pair: Path) -> None:
    bench.studio.add_avatar(pair, "Pair")
    entry = bench.state["avatars"][0]
    assert (entry["faces"], entry["face"]) == (2, 1)
    first, second = (bench.studio.thumbnail("Pair", number) for number in (1, 2))
    assert first != second and bench.studio.thumbnail("Pair") == first
    bench.act("avatar", avatar="Pair")
    bench.act("start")
    before = bench.picture().astype(int)
    bench.act("face", avatar="Pair", face=2)
    assert bench.state["avatars"][0]["face"] == 2
    assert bench.studio.thumbnail("Pair") == second
    assert np.abs(bench.picture().astype(int) - before).mean() > 5, "it is seen"
    for wrong in (0, 3, "2", None, True):
        with pytest.raises(AvatarError):
            bench.act("face", avatar="Pair", face=wrong)
    assert bench.state["avatars"][0]["face"] == 2


@pytest.mark.parametrize("name", ["builtin", "nobody", "../../etc/passwd"])
def test_only_stored_avatars_are_changed(bench: Bench, grace: Path, name: str) -> None:
    for action, more in (("rename", {"name": "X"}), ("face", {"face": 1}), ("remove", {})):
        with pytest.raises(UsageError):
            bench.act(action, avatar=name, **more)
    assert names(bench) == ["Grace", "builtin"]
