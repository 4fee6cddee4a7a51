"""Whatever a server does, a file is whole and the right one, or it is not there."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from avatar.core.errors import EngineError
from avatar.library.models import download
from avatar.library.models.catalog import PublishedFile
from avatar.library.models.download import Patience, fetch
from tests.library.models.conftest import entry
from tests.library.models.hub import (
    REPOSITORY,
    REVISION,
    Answer,
    Fault,
    Hub,
    announces,
    answers,
    dies_after,
    ignores_ranges,
    sends,
    sends_without_length,
    serving,
    stalls_after,
    starts_at,
)

PATH = "base/weights.pth"
CONTENT = b"".join(hashlib.sha256(i.to_bytes(4)).digest() for i in range(6000))  # 192 kB
SHA256 = hashlib.sha256(CONTENT).hexdigest()
OTHER = bytes(len(CONTENT))
# Long enough for a busy machine to answer, when it is not told to stall.
PATIENT = Patience(timeout_s=30, attempts=3, pause=lambda _s: None)
HASTY = Patience(timeout_s=0.5, attempts=20, pause=lambda _s: None)


@pytest.fixture
def fetched(hub: Hub, tmp_path: Path) -> Callable[..., Path]:
    """``fetched()``: fetches the file and returns where it lies."""
    hub.files[PATH] = CONTENT

    def call(
        sha256: str = SHA256, size_bytes: int = len(CONTENT), patience: Patience = PATIENT
    ) -> Path:
        file = PublishedFile(PATH, size_bytes, sha256)
        with download.connection() as library:
            (tmp_path / "parts").mkdir(exist_ok=True)
            path, found = fetch(library, entry(file), file, tmp_path / "parts", patience=patience)
        assert found == SHA256
        assert path.read_bytes() == CONTENT
        return path

    return call


def parts(tmp_path: Path) -> list[Path]:
    return list((tmp_path / "parts").glob("*.part"))


def test_a_file_is_fetched_whole(hub: Hub, fetched: Callable[..., Path]) -> None:
    fetched()
    address = f"/{REPOSITORY}/resolve/{REVISION}/{PATH}"
    assert [(asked.method, asked.path) for asked in hub.asked] == [
        ("HEAD", address),
        ("GET", address),
    ]


def test_requests_tell_nothing_of_the_user(
    hub: Hub, fetched: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    fetched()
    for asked in hub.asked:
        assert "authorization" not in asked.headers
        assert "cookie" not in asked.headers
        agent = asked.headers.get("user-agent", "")
        assert "torch" not in agent
        assert "agent/" not in agent


def test_progress_goes_from_nothing_to_all(hub: Hub, tmp_path: Path) -> None:
    hub.files[PATH] = CONTENT
    seen: list[tuple[int, int]] = []
    file = PublishedFile(PATH, len(CONTENT), SHA256)
    with download.connection() as library:
        fetch(
            library, entry(file), file, tmp_path, progress=lambda *a: seen.append(a)
        )  # fmt: skip
    assert seen == sorted(seen)
    assert seen[-1] == (len(CONTENT), len(CONTENT))


def test_a_connection_that_dies_is_resumed(hub: Hub, fetched: Callable[..., Path]) -> None:
    hub.faults[PATH] = [dies_after(1000), dies_after(70_000)]
    fetched()
    assert hub.ranges() == ["", "bytes=1000-", "bytes=71000-"]


def test_a_later_run_goes_on_where_an_earlier_ended(
    hub: Hub, fetched: Callable[..., Path], tmp_path: Path
) -> None:
    hub.faults[PATH] = [dies_after(100_000)]
    with pytest.raises(EngineError, match=r"0\.1 MB that came are kept"):
        fetched(patience=Patience(30, attempts=1))
    assert [path.stat().st_size for path in parts(tmp_path)] == [100_000]
    fetched()
    assert hub.ranges() == ["", "bytes=100000-"]


def test_a_server_that_stalls_is_asked_again(hub: Hub, fetched: Callable[..., Path]) -> None:
    hub.faults[PATH] = [stalls_after(5000)]
    fetched(patience=HASTY)
    assert hub.ranges()[:2] == ["", "bytes=5000-"]


def test_a_server_that_stalls_for_ever_is_given_up(
    hub: Hub, fetched: Callable[..., Path], tmp_path: Path
) -> None:
    hub.faults[PATH] = [stalls_after(0)] * 100
    with pytest.raises(EngineError, match="stopped answering") as raised:
        fetched(patience=Patience(0.2, attempts=2, pause=lambda _s: None))
    assert "avatar models import" in str(raised.value)
    assert all(path.stat().st_size < len(CONTENT) for path in parts(tmp_path))


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (sends(OTHER), "is not the expected file: expected SHA-256"),
        (sends(CONTENT[:-1]), "announces 191999 bytes, expected 192000"),
        (sends(CONTENT + b"!"), "announces 192001 bytes, expected 192000"),
        (sends_without_length(CONTENT + b"!"), "sent more than the 192000 bytes expected"),
        (sends_without_length(OTHER), "is not the expected file"),
        (announces(10**12), "announces 1000000000000 bytes"),
        (announces(17), "announces 17 bytes"),
    ],
    ids=["wrong", "short", "long", "longer than told", "wrong, no length", "much", "little"],
)
def test_what_is_not_the_file_is_refused_and_not_kept(
    hub: Hub, fetched: Callable[..., Path], tmp_path: Path, fault: Fault, message: str
) -> None:
    hub.faults[PATH] = [fault]
    with pytest.raises(EngineError, match=message):
        fetched()
    assert parts(tmp_path) == []
    fetched()  # and it is no obstacle later


def test_an_end_without_a_length_is_no_end_of_the_file(
    hub: Hub, fetched: Callable[..., Path]
) -> None:
    hub.faults[PATH] = [sends_without_length(CONTENT[:5000])]
    fetched()
    assert hub.ranges() == ["", "bytes=5000-"]


@pytest.mark.parametrize("rest", [OTHER, OTHER[:1000], OTHER + b"0"], ids=["all", "a part", "more"])
def test_a_part_that_was_damaged_is_fetched_again(
    hub: Hub, fetched: Callable[..., Path], tmp_path: Path, rest: bytes
) -> None:
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / f"{SHA256}.part").write_bytes(rest)
    fetched()


def test_a_server_that_dies_and_lies_comes_to_an_end(
    hub: Hub, fetched: Callable[..., Path], tmp_path: Path
) -> None:
    def lies_and_dies(answer: Answer) -> None:
        answer.range_head()
        answer.send(OTHER[answer.start : answer.start + 100_000])

    hub.faults[PATH] = [lies_and_dies] * 1000
    with pytest.raises(EngineError, match="is not the expected file"):
        fetched()
    assert len(hub.ranges()) == 4
    assert parts(tmp_path) == []


@pytest.mark.parametrize(
    "fault", [ignores_ranges, answers(416), starts_at(500)], ids=["all", "refused", "earlier"]
)
def test_a_server_that_cannot_resume(hub: Hub, fetched: Callable[..., Path], fault: Fault) -> None:
    hub.faults[PATH] = [dies_after(1000), fault]
    fetched()


def test_a_hole_is_never_left(hub: Hub, fetched: Callable[..., Path]) -> None:
    hub.faults[PATH] = [dies_after(1000), starts_at(2000)]
    with pytest.raises(EngineError, match="from byte 1000 on, the server sent 'bytes 2000-"):
        fetched()


def test_a_busy_server_is_asked_again(hub: Hub, fetched: Callable[..., Path]) -> None:
    hub.faults[PATH] = [answers(503), answers(429)]
    fetched()


def test_a_file_that_is_gone_is_not_asked_for_again(
    hub: Hub, fetched: Callable[..., Path], tmp_path: Path
) -> None:
    file = PublishedFile("base/gone.pth", 10, SHA256)
    with (
        download.connection() as library,
        pytest.raises(EngineError, match=r"answered 404 for .*gone\.pth.*avatar models import"),
    ):
        fetch(library, entry(file), file, tmp_path, patience=PATIENT)
    assert len(hub.asked) == 1


@pytest.mark.parametrize(
    ("stated", "message"),
    [
        ({"X-Linked-Etag": f'"{"0" * 64}"'}, "the server states 0000"),
        ({"X-Linked-Size": "17"}, "expected 192000 bytes, the server states 17"),
    ],
)
def test_another_file_is_refused_before_it_is_fetched(
    hub: Hub, fetched: Callable[..., Path], stated: dict[str, str], message: str
) -> None:
    hub.stated = stated
    with pytest.raises(EngineError, match=message):
        fetched()
    assert hub.ranges() == []


def test_a_hash_that_is_not_known_here_is_the_hubs(
    hub: Hub, fetched: Callable[..., Path], tmp_path: Path
) -> None:
    fetched(sha256="", size_bytes=0).unlink()
    hub.faults[PATH] = [sends(OTHER)]
    with pytest.raises(EngineError, match="is not the expected file"):
        fetched(sha256="", size_bytes=0)
    assert parts(tmp_path) == []


@pytest.mark.parametrize("stated", [{"X-Linked-Etag": '"abc"'}, {"X-Repo-Commit": "f" * 40}])
def test_what_nobody_vouches_for_is_refused(
    hub: Hub, fetched: Callable[..., Path], stated: dict[str, str]
) -> None:
    hub.stated = stated
    with pytest.raises(EngineError, match="cannot be checked: expected a SHA-256 for revision"):
        fetched(sha256="")
    assert hub.ranges() == []


def test_a_proxy_is_used(
    hub: Hub, fetched: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", hub.address)
    monkeypatch.setenv("HF_ENDPOINT", "http://hub.invalid")
    fetched()
    assert all(asked.path.startswith("http://hub.invalid/") for asked in hub.asked)


def test_nobody_at_the_address(
    fetched: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    with pytest.raises(EngineError, match=r"127\.0\.0\.1:1/.*the connection failed.*3 attempts"):
        fetched()


@pytest.mark.parametrize("endpoint", ["nonsense", "http://", "http://[::1", "ftp://hub.invalid"])
def test_an_address_that_is_none(
    fetched: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, endpoint: str
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", endpoint)
    with pytest.raises(EngineError, match="could not be fetched from"):
        fetched()


def test_offline_is_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(EngineError, match="HF_HUB_OFFLINE is set"):
        download.require_network()


def test_a_full_disk_is_told_before(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="MB are needed"):
        download.check_space(tmp_path, 10**18)


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(cuts=st.lists(st.integers(1, 60_000), max_size=5))
def test_any_cuts_give_the_same_file(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, cuts: list[int]
) -> None:
    pytest.importorskip("huggingface_hub", reason="models are fetched with huggingface-hub")
    file = PublishedFile(PATH, len(CONTENT), SHA256)
    with serving() as hub, download.connection() as library:
        monkeypatch.setitem(os.environ, "HF_ENDPOINT", hub.address)
        hub.files[PATH] = CONTENT
        hub.faults[PATH] = [dies_after(count) for count in cuts]
        folder = tmp_path_factory.mktemp("parts")
        path, _ = fetch(library, entry(file), file, folder, patience=PATIENT)
        assert path.read_bytes() == CONTENT
