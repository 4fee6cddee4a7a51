"""What of the page's outputs is wanted, and where a stream goes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from avatar.app.studio.outputs import Outputs
from avatar.core.errors import AvatarError, SinkUnavailableError, UsageError
from avatar.stages.sinks.streaming.network import is_this_machine

GOOD, OTHER = "rtmp://127.0.0.1:1/app/GOODKEY", "rtmp://127.0.0.1:2/app/OTHERKEY"
WRONG = [
    "rtmp://", "rtmp:/host/app/WRONGKEY", "http://host/WRONGKEY", "file:/tmp/WRONGKEY.mp4",
    "whip:rtmp://h/WRONGKEY", "udp://host/WRONGKEY", "rtmp://h:port/app/WRONGKEY", "WRONGKEY",
    "rtmp://h/app/WRONG KEY", "rtmp://h/app/WRONG\tKEY",
]  # fmt: skip


class FakeSession:
    """What ``Outputs`` asks of a session."""

    def __init__(self) -> None:
        self.outputs: dict[str, bool] = {}
        self.asked: list[str] = []
        self.fails = False

    def attach(self, spec: str) -> str:
        if self.fails:
            raise SinkUnavailableError(f"{spec} cannot be opened")
        self.asked.append(spec)
        self.outputs[spec] = True
        return spec

    def detach(self, name: str) -> None:
        self.asked.append(f"end {name}")
        self.outputs.pop(name, None)


@pytest.fixture
def session() -> Any:
    return FakeSession()


@pytest.fixture
def outputs(tmp_path: Path) -> Outputs:
    return Outputs(tmp_path, lambda line: None)


def stream(outputs: Outputs, session: Any = None) -> dict[str, Any]:
    return next(one for one in outputs.describe(session) if one["id"] == "stream")


@pytest.mark.parametrize("wrong", WRONG)
def test_a_refused_address_never_streams_to_the_one_before(
    outputs: Outputs, session: Any, wrong: str
) -> None:
    outputs.switch("stream", True, GOOD, None)
    assert stream(outputs)["state"] == "waiting"
    outputs.switch("stream", False, "", None)
    with pytest.raises(UsageError) as refused:
        outputs.switch("stream", True, wrong, None)
    assert "WRONG" not in str(refused.value)
    assert stream(outputs)["state"] == "failed"
    outputs.begin_all(session)
    assert session.asked == []
    # Nor does switching it on without an address bring the first one back.
    with pytest.raises(UsageError):
        outputs.switch("stream", True, "", session)
    assert session.asked == []


def test_a_wrong_address_over_a_waiting_one_waits_for_nothing(
    outputs: Outputs, session: Any
) -> None:
    outputs.switch("stream", True, GOOD, None)
    with pytest.raises(UsageError):
        outputs.switch("stream", True, "nonsense", None)
    outputs.begin_all(session)
    assert session.asked == []


def test_another_address_takes_the_place_of_the_one_that_runs(
    outputs: Outputs, session: Any
) -> None:
    outputs.switch("stream", True, GOOD, session)
    outputs.switch("stream", True, OTHER, session)
    assert session.asked == [GOOD, f"end {GOOD}", OTHER]
    assert stream(outputs, session)["detail"] == "rtmp://127.0.0.1:2/…"
    outputs.switch("stream", True, OTHER, session)
    assert len(session.asked) == 3, "it runs already"


def test_a_refused_address_leaves_a_stream_that_runs_and_is_forgotten(
    outputs: Outputs, session: Any
) -> None:
    outputs.switch("stream", True, GOOD, session)
    with pytest.raises(UsageError):
        outputs.switch("stream", True, "nonsense", session)
    assert stream(outputs, session) == {
        "id": "stream", "state": "on", "detail": "rtmp://127.0.0.1:1/…",
    }  # fmt: skip
    outputs.switch("stream", False, "", session)
    with pytest.raises(UsageError):
        outputs.switch("stream", True, "", session)


def test_the_same_address_goes_on_being_known_after_it_was_off(
    outputs: Outputs, session: Any
) -> None:
    outputs.switch("stream", True, f" {GOOD}\n", session)
    outputs.switch("stream", False, "", session)
    outputs.switch("stream", True, "", session)
    assert session.asked == [GOOD, f"end {GOOD}", GOOD]


def test_what_cannot_be_opened_is_told_without_the_key(outputs: Outputs, session: Any) -> None:
    session.fails = True
    with pytest.raises(AvatarError) as refused:
        outputs.switch("stream", True, GOOD, session)
    assert "GOODKEY" not in f"{refused.value}{outputs.describe(session)}"


OWN = [
    "127.0.0.1", "localhost", "LOCALHOST", "localhost.", "[::1]", "127.1", "2130706433",
    "0x7f000001", "0.0.0.0", "[::]", "[::ffff:127.0.0.1]", "127.9.9.9", "169.254.169.254",
    "0177.0.0.1",
]  # fmt: skip


@pytest.mark.parametrize("host", OWN)
def test_from_another_machine_this_one_is_not_had_asked(tmp_path: Path, host: str) -> None:
    beyond = Outputs(tmp_path, lambda line: None, is_reached_from_beyond=True)
    with pytest.raises(UsageError, match="own servers") as refused:
        beyond.switch("stream", True, f"whip:http://{host}:631/KEY", None)
    assert "KEY" not in str(refused.value)
    assert stream(beyond)["state"] == "failed"
    here = Outputs(tmp_path, lambda line: None)
    here.switch("stream", True, f"whip:http://{host}:631/KEY", None)
    assert stream(here)["state"] == "waiting"


def test_other_machines_are_not_this_one() -> None:
    assert not is_this_machine("192.0.2.7")
    assert not is_this_machine("2001:db8::1")
    assert not is_this_machine("no-such-host.invalid")
