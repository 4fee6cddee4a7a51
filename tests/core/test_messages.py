"""Lines with a key: plain text to everybody but a page."""

from __future__ import annotations

import copy
import json
import pickle

import pytest

from avatar.core.errors import UsageError
from avatar.core.messages import Message, for_json, words_of

LINE = Message("said.back", "{output}: back after {seconds} s", output="virtual", seconds=2)


def test_it_is_its_english_line() -> None:
    assert LINE == "virtual: back after 2 s"
    assert f"{LINE}" == str(LINE) and type(str(LINE)) is str
    assert json.dumps([LINE]) == '["virtual: back after 2 s"]'


@pytest.mark.parametrize(
    "again", [copy.copy, copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))]
)
def test_a_copy_is_one_too(again: object) -> None:
    copied = again(LINE)  # type: ignore[operator]
    assert copied == LINE and (copied.key, copied.values) == (LINE.key, LINE.values)


def test_a_value_that_is_missing_is_told_at_once() -> None:
    with pytest.raises(KeyError):
        Message("said.back", "{output}: back")


def test_braces_in_a_value_stand_as_they_are() -> None:
    assert Message("said.file", "kept as {path}", path="{x} {0}.mp4") == "kept as {x} {0}.mp4"


def test_an_error_keeps_its_message_and_another_its_words() -> None:
    error = UsageError(LINE)
    assert words_of(error) is LINE and str(error) == LINE
    assert words_of(UsageError("plain")) == "plain"
    assert words_of(OSError(2, "No such file")) == "[Errno 2] No such file"
    assert words_of(UsageError()) == ""


def test_json_has_key_values_and_line_and_plain_text_as_it_is() -> None:
    failed = Message("said.failed", "{output}: {why}", output="file", why=LINE)
    back = {"key": "said.back", "values": {"output": "virtual", "seconds": 2}, "line": str(LINE)}
    assert for_json({"said": [failed, "plain", 3, None]}) == {
        "said": [
            {
                "key": "said.failed",
                "values": {"output": "file", "why": back},
                "line": "file: virtual: back after 2 s",
            },
            "plain", 3, None,
        ]
    }  # fmt: skip
