from __future__ import annotations

import json
import os
import stat
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from avatar import __version__
from avatar.core.errors import UsageError
from avatar.core.frames import GeneratedFrame, Presence
from avatar.stages.label import (
    AcknowledgedNoLabel,
    VisibleLabel,
    aigc_metadata,
    create_labeller,
    file_metadata,
    without_label,
)

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions")


def test_without_acknowledgement_nothing_runs_and_nothing_is_logged(tmp_path: Path) -> None:
    log = tmp_path / "disclosure.log"
    with pytest.raises(UsageError, match="--no-label --acknowledge-disclosure-duty"):
        without_label(False, log)
    assert not log.exists()


def test_acknowledged_use_stands_in_the_log(tmp_path: Path) -> None:
    log = tmp_path / "new folder" / "disclosure.log"
    for name in ("hopper", 'a "quoted"\nname'):
        without_label(True, log, avatar=name, outputs=["virtual", "file:ü.mp4"])
    first, second = map(json.loads, log.read_text().splitlines())
    assert first["avatar"] == "hopper"
    assert first["outputs"] == ["virtual", "file:ü.mp4"]
    assert first["version"] == __version__
    assert second["avatar"] == 'a "quoted"\nname'
    then = datetime.fromisoformat(first["time"])
    assert then.utcoffset() == datetime.now(UTC).utcoffset()


@POSIX
def test_log_is_for_its_owner_only(tmp_path: Path) -> None:
    log = tmp_path / "disclosure.log"
    without_label(True, log)
    assert stat.S_IMODE(log.stat().st_mode) == 0o600


def test_frame_is_left_as_it_is(tmp_path: Path) -> None:
    labeller = without_label(True, tmp_path / "disclosure.log")
    image = np.full((48, 64, 3), 7, np.uint8)
    marked = labeller.label(GeneratedFrame(image, 1, 2, Presence.TRACKED))
    assert marked.label_text == ""
    assert marked.image is image
    assert (marked.image == 7).all()


@POSIX
@pytest.mark.parametrize("place", ["folder", "full disk", "null", "file as folder"])
def test_log_that_cannot_be_kept_is_an_error(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").touch()
    log = {
        "folder": tmp_path,
        "full disk": Path("/dev/full"),
        "null": Path(os.devnull),
        "file as folder": tmp_path / "file" / "disclosure.log",
    }[place]
    with pytest.raises(UsageError, match="record of your acknowledgement"):
        without_label(True, log)


def test_no_way_round_the_record() -> None:
    with pytest.raises(TypeError, match="without_label"):
        AcknowledgedNoLabel(object())


def test_without_a_log_there_is_no_labeller_that_draws_nothing() -> None:
    with pytest.raises(TypeError, match="log_path"):
        create_labeller(size_px=(640, 480), visible=False, acknowledged=True)


def test_labeller_follows_the_options(tmp_path: Path) -> None:
    assert isinstance(create_labeller(size_px=(640, 480)), VisibleLabel)
    log = tmp_path / "disclosure.log"
    bare = create_labeller(
        size_px=(640, 480), visible=False, acknowledged=True, log_path=log, avatar="me"
    )
    assert isinstance(bare, AcknowledgedNoLabel)
    assert json.loads(log.read_text())["avatar"] == "me"
    with pytest.raises(UsageError):
        create_labeller(size_px=(640, 480), visible=False, log_path=log)


def test_aigc_tag_has_the_keys_and_types_of_the_standard() -> None:
    tags = aigc_metadata("webcam-avatar 1.0 ü", "id-1")
    assert list(tags) == ["AIGC"]
    assert json.loads(tags["AIGC"]) == {
        "Label": "1",
        "ContentProducer": "webcam-avatar 1.0 ü",
        "ProduceID": "id-1",
        "ReservedCode1": "",
        "ContentPropagator": "webcam-avatar 1.0 ü",
        "PropagateID": "id-1",
        "ReservedCode2": "",
    }


def test_file_tags_say_it_in_words_too() -> None:
    tags = file_metadata("webcam-avatar", "id-1")
    assert tags.keys() == {"AIGC", "title", "comment"}
    assert "AI-generated" in tags["title"]
    assert "AI-generated" in tags["comment"]
