"""Several avatars of which one is shown, and another in place of all while it runs."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest

from avatar.core.errors import EngineError
from avatar.core.frames import GeneratedFrame, Motion, Presence, still
from avatar.stages.generate.deck import Deck
from avatar.stages.generate.framing import View

SIZE_PX = (64, 48)


@dataclass
class Drawing:
    """A generator of one grey that keeps how often it was entered and left."""

    grey: int
    size_px: tuple[int, int] = SIZE_PX
    fails: bool = False
    view: View = field(default_factory=View)
    entered: int = 0
    left: int = 0

    def __enter__(self) -> Drawing:
        if self.fails:
            raise EngineError("no weights")
        self.entered += 1
        return self

    def __exit__(self, *why: object) -> None:
        self.left += 1

    def set_view(self, view: View) -> None:
        self.view = view

    def generate(self, motion: Motion) -> GeneratedFrame:
        image = np.full((self.size_px[1], self.size_px[0], 3), self.grey, np.uint8)
        return GeneratedFrame(image, motion.timestamp_ns, motion.index, motion.presence)


def grey(deck: Deck) -> int:
    return int(deck.generate(still(0, 0, Presence.TRACKED)).image[0, 0, 0])


def test_another_avatar_takes_the_place_of_all() -> None:
    one, other, new = Drawing(10), Drawing(20), Drawing(30)
    with Deck(["one", "other"], [one, other]) as deck:
        deck.step(1)
        assert (grey(deck), deck.name) == (20, "other")
        deck.show_only("new", new)
        assert (grey(deck), deck.name, deck.index) == (30, "new", 0)
        assert (one.left, other.left, new.entered) == (1, 1, 1)
        deck.step(1)
        assert grey(deck) == 30
        deck.zoom(2.0)
        grey(deck)
        assert new.view.zoom == 2.0
    assert (one.left, other.left, new.left) == (1, 1, 1)


def test_one_that_cannot_be_opened_leaves_all_as_it_is() -> None:
    one = Drawing(10)
    with Deck(["one"], [one]) as deck:
        with pytest.raises(EngineError):
            deck.show_only("broken", Drawing(30, fails=True))
        with pytest.raises(ValueError, match="expected pictures of"):
            deck.show_only("small", Drawing(30, size_px=(32, 32)))
        assert (grey(deck), deck.name, one.left) == (10, "one", 0)


def test_a_zoom_asked_for_the_old_one_is_not_the_new_ones() -> None:
    new = Drawing(30)
    with Deck(["one"], [Drawing(10)]) as deck:
        deck.zoom(2.0)
        deck.show_only("new", new)
        grey(deck)
    assert new.view == View()
