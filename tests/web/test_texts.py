"""Every word of the page in every language: complete, used, and by keys that are no sentences."""

from __future__ import annotations

import re
from typing import Any, get_args

import pytest

from avatar.app.studio.options import describe
from avatar.app.studio.outputs import IDS
from avatar.app.studio.runtime import Phase
from avatar.core.options import PUBLISHED, Options
from calibrate.steps import REST, STEPS
from tests.web.texts import (
    doubled,
    english_messages,
    families_asked_for,
    keys_asked_for,
    keys_in_markup,
    placeholders,
    tables,
    words_in_scripts,
)

TABLES = tables()
SAID = english_messages()
OPTIONS = describe(
    Options(), ["a name that the user gave"], {"default": "", "alsa.usb": "USB microphone"}
)
LANGUAGES = sorted(TABLES)


def choices(option: dict[str, Any]) -> set[str]:
    """Return the ends of the keys of its choices' words; names and sizes are shown as they are."""
    words = {
        "null" if choice is None else str(choice)
        for choice in option.get("choices", ())
        if choice is None
        or not option.get("named")
        or f"choice.{option['name']}.{choice}" in TABLES["en"]
    }
    words = {word for word in words if word not in PUBLISHED and not re.fullmatch(r"\d+x\d+", word)}
    own = {word: f"{option['name']}.{word}" for word in words}
    return {own[word] if f"choice.{own[word]}" in TABLES["en"] else word for word in words}


FAMILIES: dict[str, set[str]] = {
    "option.": {option["name"] for option in OPTIONS},
    "group.": {option["group"] for option in OPTIONS},
    "choice.": {choice for option in OPTIONS for choice in choices(option)},
    "output.": set(IDS),
    "outputHint.": set(IDS),
    "state.": {"off", "waiting", "on", "lost", "failed"},
    "phase.": {*get_args(Phase), "away"},
    "step.": {name.replace(" ", "_") for name in (REST, *(step.name for step in STEPS))},
}
"""What ends the keys of which a script knows the beginning."""

FAMILY_KEYS = {family + end for family, ends in FAMILIES.items() for end in ends}


def test_there_are_english_and_chinese() -> None:
    assert LANGUAGES == ["en", "zh"]


def test_an_english_line_stands_in_the_program_alone() -> None:
    assert set(TABLES["en"]).isdisjoint(SAID), "what the program says is not in the English table"
    assert not set(TABLES["en"].values()) & set(SAID.values())


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_language_has_every_key_once_and_no_other(language: str) -> None:
    own = TABLES["en"].keys() | (SAID.keys() if language != "en" else set())
    assert sorted(own - TABLES[language].keys()) == []
    assert sorted(TABLES[language].keys() - own) == []
    assert doubled(language) == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_text_is_never_empty_and_has_the_places_of_the_english_one(language: str) -> None:
    english = TABLES["en"] | SAID
    for key, text in TABLES[language].items():
        assert text.strip(), key
        assert placeholders(text) == placeholders(english[key]), key
        # What is in braces is a name and nothing more: no script formats numbers.
        assert "{" not in re.sub(r"\{\w+\}", "", text), key


def test_no_key_is_a_sentence() -> None:
    for key in TABLES["en"] | SAID:
        assert re.fullmatch(r"[\w.#-]+", key), key


def test_whatever_the_page_asks_for_is_there() -> None:
    asked = keys_in_markup() | keys_asked_for()
    assert len(keys_in_markup()) > 20 and len(keys_asked_for()) > 25, "they were read"
    assert sorted(asked - TABLES["en"].keys()) == []


def test_keys_made_by_scripts_are_there() -> None:
    """Each option, group, choice, output, state, phase and step has its words."""
    assert families_asked_for() == set(FAMILIES)
    assert sorted(FAMILY_KEYS - TABLES["en"].keys()) == []


def test_no_key_is_left_that_nobody_asks_for() -> None:
    asked = keys_in_markup() | words_in_scripts() | FAMILY_KEYS
    assert sorted(TABLES["en"].keys() - asked) == []


def test_a_name_of_the_users_is_marked_as_one() -> None:
    """A profile called "light" is not shown as the word for a light smoothing."""
    (profile,) = (option for option in OPTIONS if option["name"] == "profile")
    assert profile["named"] and choices(profile) == {"null"}
