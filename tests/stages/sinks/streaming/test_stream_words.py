"""What a streamer reads and writes: keys as editors leave them, hosts that do not exist."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from avatar.core.errors import UsageError
from avatar.stages.sinks.streaming.address import parse_address
from avatar.stages.sinks.streaming.network import why_unreachable
from avatar.stages.sinks.streaming.settings import stream_key


@pytest.mark.parametrize("data", [b"\xef\xbb\xbflive_123\r\n", b"live_123", b" live_123 \n\n"])
def test_a_key_is_read_as_editors_leave_it(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "key.txt"
    path.write_bytes(data)
    assert stream_key(path) == "live_123"


def test_a_key_file_with_more_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "key.txt"
    path.write_text("key: secret")
    with pytest.raises(UsageError, match=r"found 2 words\. Write the key") as refused:
        stream_key(path)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("kind", ["udp", "rtmp"])
def test_a_host_that_does_not_exist_does_not_answer(kind: str) -> None:
    address = parse_address(kind, "//no-such-host.invalid:1234/live/key")
    found = why_unreachable(address, None, threading.Event())
    assert found is not None
    assert "the name no-such-host.invalid is not known" in found


def test_nobody_answers_by_udp_and_that_is_no_fault() -> None:
    address = parse_address("udp", "//127.0.0.1:9")
    assert why_unreachable(address, None, threading.Event()) is None
