"""The rooms behind the studio's door: who is let in, how much is taken, and what pages get."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from avatar.core.errors import UsageError
from avatar.core.messages import Message
from avatar.stages.sinks.page import Audience
from avatar.web import rooms
from avatar.web.pages import Pages
from avatar.web.rooms import Rooms
from tests.web.fakes import FakeStudio
from tests.web.test_server import SIZE, Site


class FakeStills:
    """``Stills`` that keep what they are asked for."""

    def __init__(self) -> None:
        self.asked: list[Any] = []

    def picture(self, values: dict[str, Any]) -> bytes:
        self.asked.append(values)
        return b"\xff\xd8picture"

    def saved(self, values: dict[str, Any]) -> tuple[bytes, str]:
        self.asked.append(values)
        return b"RIFF", f".{values['kind']}"

    def like(self, photo: Path) -> str:
        self.asked.append((photo.name, photo.read_bytes()))
        return "face:1"


class FakeClips:
    """``Clips`` that keep what they are asked for."""

    def __init__(self, folder: Path) -> None:
        self.asked: list[Any] = []
        self.folder = folder

    def describe(self) -> dict[str, Any]:
        return {"templates": [{"fault": Message("error.test", "{name} is not here", name="me")}]}

    def job(self) -> dict[str, Any] | None:
        return None

    def beats(self, values: dict[str, Any]) -> dict[str, Any]:
        raise UsageError(Message("error.noBeat", "no beat was found in the music; give its tempo{how}", how=""))  # fmt: skip  # noqa: E501

    def make(self, values: dict[str, Any]) -> None:
        self.asked.append(("make", values))

    def cancel(self) -> None:
        self.asked.append("cancel")

    def delete(self, name: str) -> None:
        self.asked.append(("delete", name))

    def add_song(self, file: Path, name: str) -> str:
        self.asked.append((name, file.read_bytes()))
        return "song:1"

    def film(self, name: str) -> tuple[Path, str]:
        if name != "hey-1.mp4":
            raise UsageError(f"the clip {name} is not there")
        path = self.folder / name
        path.write_bytes(bytes(range(100)))
        return path, "video/mp4"

    def preview(self, name: str, kind: str) -> Path | None:
        if name != "hey":
            return None
        path = self.folder / f"hey.{kind}"
        path.write_bytes(b"x")
        return path

    def make_previews(self) -> None:
        self.asked.append("previews")


@pytest.fixture
def stills() -> FakeStills:
    return FakeStills()


@pytest.fixture
def clips(tmp_path: Path) -> FakeClips:
    return FakeClips(tmp_path)


@pytest.fixture
def pages(tmp_path: Path, stills: FakeStills, clips: FakeClips) -> Iterator[Pages]:
    made = Pages(
        Audience(), SIZE, lambda line: None, control=FakeStudio(),
        rooms=Rooms(stills, clips, [{"name": "smile"}]), port=0, folder=tmp_path,
    )  # fmt: skip
    with made:
        yield made


@pytest.fixture
def site(pages: Pages) -> Site:
    return Site(pages, FakeStudio())


ASKED = [
    ("GET", "/api/still/sliders"), ("POST", "/api/still/picture"), ("POST", "/api/still/file"),
    ("POST", "/api/still/like"), ("GET", "/api/clips"), ("GET", "/api/clips/job"),
    ("POST", "/api/clips/beats"), ("POST", "/api/clips/make"), ("POST", "/api/clips/cancel"),
    ("POST", "/api/clips/delete"), ("POST", "/api/clips/song"), ("POST", "/api/clips/previews"),
    ("GET", "/api/clips/film/hey-1.mp4"), ("GET", "/api/clips/preview/hey.png"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path"), ASKED)
def test_only_the_studios_own_page_is_let_in(
    pages: Pages, stills: FakeStills, clips: FakeClips, method: str, path: str
) -> None:
    view = Site(pages, FakeStudio(), "view")
    assert view.ask(method, path, b"{}")[0] == 401
    assert view.ask(method, path, b"{}", Cookie="none=1")[0] == 401
    studio = Site(pages, FakeStudio())
    assert studio.ask(method, path, b"{}", Host="elsewhere:80")[0] == 421
    assert studio.ask(method, path, b"{}", Origin="http://elsewhere")[0] == 403
    assert not stills.asked and not clips.asked


def test_a_picture_comes_for_sliders(site: Site, stills: FakeStills) -> None:
    values = json.dumps({"photo": "builtin", "smile": 0.5}).encode()
    status, headers, body = site.ask(
        "POST", "/api/still/picture", values, Content_Type="application/json"
    )
    assert (status, headers["content-type"], body) == (200, "image/jpeg", b"\xff\xd8picture")
    assert headers["cache-control"] == "no-store" and "content-security-policy" in headers
    assert stills.asked == [{"photo": "builtin", "smile": 0.5}]
    assert json.loads(site.ask("GET", "/api/still/sliders")[2]) == [{"name": "smile"}]
    status, headers, _ = site.ask(
        "POST", "/api/still/file", b'{"kind": "webp"}', Content_Type="application/json"
    )
    assert headers["content-type"] == "image/webp"


def test_photographs_and_songs_are_bounded_and_named_as_the_user_knows_them(
    site: Site, stills: FakeStills, clips: FakeClips, monkeypatch: pytest.MonkeyPatch
) -> None:
    status, _, body = site.ask(
        "POST", "/api/still/like?name=../../me.jpg", b"jpeg", Content_Type="image/jpeg"
    )
    assert (status, json.loads(body)) == (200, {"like": "face:1"})
    ((name, data),) = stills.asked
    assert "/" not in name and name.endswith("me-jpg.jpg") and data == b"jpeg"
    assert site.ask("POST", "/api/still/like", b"x", Content_Type="text/html")[0] == 400
    monkeypatch.setattr(rooms, "MAX_SONG_BYTES", 10)
    kind = {"Content_Type": "application/octet-stream"}
    status, _, body = site.ask("POST", "/api/clips/song?name=My%20song.mp3", b"mp3", **kind)
    assert json.loads(body) == {"music": "song:1"} and clips.asked == [("My song.mp3", b"mp3")]
    status, _, body = site.ask("POST", "/api/clips/song", bytes(11), **kind)
    assert status == 400 and "at most 10 bytes" in json.loads(body)["error"]
    assert len(clips.asked) == 1


def test_errors_come_with_keys_for_the_pages_language(site: Site) -> None:
    status, answer = site.post("/api/clips/beats", {"music": "song:1"})
    assert status == 400 and answer["error"]["key"] == "error.noBeat"
    described = json.loads(site.ask("GET", "/api/clips")[2])
    assert described["templates"][0]["fault"]["values"] == {"name": "me"}
    assert json.loads(site.ask("GET", "/api/clips/job")[2]) is None


def test_a_clip_is_played_in_parts_and_downloaded_by_its_name(site: Site) -> None:
    status, headers, body = site.ask("GET", "/api/clips/film/hey-1.mp4", Range="bytes=10-19")
    assert (status, body) == (206, bytes(range(10, 20)))
    assert headers["content-type"] == "video/mp4"
    _, headers, _ = site.ask("GET", "/api/clips/film/hey-1.mp4?download")
    assert headers["content-disposition"] == 'attachment; filename="hey-1.mp4"'
    assert site.ask("GET", "/api/clips/film/..%2F..%2Fpasswd")[0] in (400, 404)


def test_a_preview_is_there_once_it_is_made(site: Site) -> None:
    assert site.ask("GET", "/api/clips/preview/hey.mp4")[1]["content-type"] == "video/mp4"
    assert site.ask("GET", "/api/clips/preview/nod.png")[0] == 404
    assert site.ask("GET", "/api/clips/preview/hey.toml")[0] == 404


def test_making_cancelling_and_deleting(site: Site, clips: FakeClips) -> None:
    for path, values in (("make", {"photos": ["a"]}), ("cancel", {}), ("delete", {"name": "x"})):
        assert site.post(f"/api/clips/{path}", values) == (200, {})
    assert site.post("/api/clips/previews", {}) == (200, {})
    assert clips.asked == [("make", {"photos": ["a"]}), "cancel", ("delete", "x"), "previews"]


def test_without_rooms_there_are_none(tmp_path: Path) -> None:
    with Pages(
        Audience(), SIZE, lambda line: None, control=FakeStudio(), port=0, folder=tmp_path
    ) as pages:
        assert Site(pages, FakeStudio()).ask("GET", "/api/clips")[0] == 404
