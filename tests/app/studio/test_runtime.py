"""The studio behind the page, over real sessions of the drawn driver."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from avatar.app.studio import gallery, runtime
from avatar.app.studio.runtime import Studio
from avatar.core.errors import AvatarError, PhotoError, UsageError
from avatar.core.home import Home
from avatar.core.messages import words_of
from avatar.core.options import ENGINE_NAMES, Options
from avatar.library.avatars import AvatarStore
from avatar.library.profiles import ProfileStore
from avatar.sessions import live
from avatar.stages.generate.photo import builtin_photo
from avatar.stages.label import CORNERS
from avatar.stages.sinks.page import Audience, EncodedPicture
from tests import ROOT
from tests.waiting import wait_until

PATIENCE_S = 30.0


class Bench:
    """A studio in folders of its own, with a page that keeps what it hears."""

    def __init__(self, home: Home, **options: Any) -> None:
        self.audience = Audience()
        self.heard: list[Any] = []
        self.lines: list[str] = []
        self.home = home
        config = Options(**({"camera": "demo", "size": "320x240"} | options))
        self.profiles = ProfileStore(home.profiles)
        self.studio = Studio(config, self.audience, home=home, log=self.lines.append)
        self.shows_driver = False
        self.studio.listen(self.heard.append, pictures=lambda: self.shows_driver)

    def act(self, action: str, **values: Any) -> None:
        self.studio.act(action, values)

    @property
    def state(self) -> dict[str, Any]:
        return self.studio.snapshot()

    def option(self, name: str) -> dict[str, Any]:
        return next(option for option in self.state["options"] if option["name"] == name)

    def output(self, name: str) -> dict[str, Any]:
        return next(output for output in self.state["outputs"] if output["id"] == name)

    def picture(self) -> np.ndarray:
        """Return the next picture as a page would see it."""
        got: list[EncodedPicture] = []
        end = self.audience.subscribe(got.append)
        wait_until(lambda: len(got) >= 3, "pictures")
        end()
        codec = av.CodecContext.create("h264", "r")
        frames = [f for one in got for f in codec.decode(av.Packet(one.data))]
        frames += codec.decode(None)
        return np.asarray(frames[-1].to_ndarray(format="rgb24"))


@pytest.fixture
def bench(home: Home) -> Iterator[Bench]:
    bench = Bench(home)
    yield bench
    bench.studio.close()


def test_before_it_starts_everything_can_be_seen_and_chosen(bench: Bench) -> None:
    state = bench.state
    assert (state["phase"], state["problem"], state["camera"]) == ("stopped", "", "demo")
    assert {"page", "demo"} <= {camera["id"] for camera in state["cameras"]}
    assert state["avatars"] == [
        {
            "name": "builtin",
            "label": "builtin",
            "stored": False,
            "fault": None,
            "faces": 1,
            "face": 1,
        }
    ]
    assert [output["state"] for output in state["outputs"]] == ["off"] * 4
    assert bench.studio.figures() == {"running": False}
    bench.act("options", strength=0.5, profile=None, max_turn=20, **{"weight.mouth": 1.5})
    assert bench.option("strength")["value"] == 0.5
    assert bench.option("weight.mouth")["value"] == 1.5
    bench.act("options", max_turn=None, **{"weight.mouth": 1.0})
    assert bench.option("max_turn")["value"] is None
    assert bench.option("strength")["value"] == 0.5


def test_a_session_from_start_to_stop(bench: Bench) -> None:
    bench.act("start")
    assert bench.state["phase"] == "running"
    assert bench.picture().shape == (240, 320, 3)
    wait_until(lambda: bench.studio.figures().get("p50") is not None, "figures")
    wait_until(lambda: (bench.studio.figures().get("fps") or 0) > 5, "a frame rate")
    figures = bench.studio.figures()
    assert 0 < figures["p50"] <= figures["p95"]
    assert set(figures["stages"]) == {
        "capture", "track", "retarget", "generate", "label", "sink page",
    }  # fmt: skip
    wait_until(lambda: any(isinstance(one, bytes) for one in bench.heard), "points")
    points = next(one for one in bench.heard if isinstance(one, bytes))
    assert points[0] == 1
    assert len(points) in (4, 4 + 478 * 4)
    assert not any(isinstance(one, bytes) and one[0] == 2 for one in bench.heard)
    bench.act("start")  # another page's button: nothing happens
    bench.act("stop")
    assert bench.state["phase"] == "stopped"
    assert bench.studio.figures() == {"running": False}
    bench.act("stop")
    bench.act("start")
    assert bench.state["phase"] == "running"


def test_the_drivers_picture_is_sent_only_while_it_is_asked_for(bench: Bench) -> None:
    def pictures() -> list[bytes]:
        return [one for one in bench.heard if isinstance(one, bytes) and one[0] == 2]

    bench.act("start")
    wait_until(lambda: len(bench.heard) > 20, "points")
    assert pictures() == []
    bench.shows_driver = True
    wait_until(lambda: len(pictures()) > 1, "pictures")
    assert pictures()[0][2:4] == b"\xff\xd8", "a JPEG"


def test_outputs_start_and_stop_each_by_itself(bench: Bench) -> None:
    bench.act("output", id="file", on=True)
    assert bench.output("file")["state"] == "waiting"
    bench.act("start")
    assert bench.output("file")["state"] == "on"
    film = Path(bench.output("file")["detail"])
    assert film.parent == bench.home.films
    assert list(film.parent.iterdir()) == [] or not film.exists(), "until there is a film"
    session = bench.studio._session
    assert session is not None
    wait_until(
        lambda: session.recorder.counts().get(f"delivered.file:{film}", 0) > 3, "frames in the film"
    )
    bench.act("output", id="file", on=False)
    assert bench.output("file")["state"] == "off"
    assert bench.state["phase"] == "running"
    with av.open(str(film)) as container:
        assert sum(1 for _ in container.decode(video=0)) > 1
    # Whether it can be reached or not, its key is not told to anybody again.
    with suppress(AvatarError):
        bench.act("output", id="stream", on=True, address="rtmp://127.0.0.1:1/app/secret-key")
    assert "secret-key" not in str(bench.state)
    assert "secret-key" not in str(bench.lines)


def test_pages_hear_within_a_second_that_an_output_was_lost(bench: Bench) -> None:
    bench.act("start")
    bench.act("output", id="file", on=True)
    session = bench.studio._session
    assert session is not None
    bench.studio.figures()  # as every open page asks for, twice a second
    outlet = next(o for o in session._pipeline._outlets if o.sink.name.startswith("file:"))
    for is_open, state in ((False, "lost"), (True, "on")):
        bench.heard.clear()
        outlet._opened = is_open
        bench.studio.figures()
        assert {"type": "changed"} in bench.heard
        assert bench.output("file")["state"] == state
    bench.heard.clear()
    bench.studio.figures()
    assert {"type": "changed"} not in bench.heard


def test_the_outputs_chosen_stay_chosen_after_stop(bench: Bench) -> None:
    bench.act("output", id="file", on=True)
    bench.act("start")
    first = bench.output("file")["detail"]
    bench.act("stop")
    assert bench.output("file") == {"id": "file", "state": "waiting", "detail": ""}
    wait_until(lambda: time.strftime("%S") not in str(first)[-7:], "another second")
    bench.act("start")
    assert bench.output("file")["state"] == "on"
    assert bench.output("file")["detail"] != first
    bench.act("output", id="file", on=False)
    bench.act("stop")
    assert bench.output("file")["state"] == "off"


def test_an_output_that_fails_says_so_and_the_rest_goes_on(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.home.films.parent.mkdir(parents=True, exist_ok=True)
    bench.home.films.write_text("a file where a folder has to be")
    bench.act("start")
    with pytest.raises((AvatarError, OSError)):
        bench.act("output", id="file", on=True)
    assert bench.output("file")["state"] == "failed"
    assert bench.output("file")["detail"].key == "error.filmsFolder"
    assert bench.state["phase"] == "running"


@pytest.mark.parametrize(
    "address", ["", "rtmp", "file:///etc/passwd", "/dev/video0", "pipe://1", "file:x.mp4"]
)
def test_a_page_names_no_files_as_streams(bench: Bench, address: str) -> None:
    with pytest.raises(UsageError):
        bench.act("output", id="stream", on=True, address=address)


def test_another_avatar_while_it_runs(bench: Bench, tmp_path: Path) -> None:
    photo = tmp_path / "upload.jpg"
    photo.write_bytes(builtin_photo().read_bytes())
    assert bench.studio.add_avatar(photo, "Grace") == "Grace"
    assert bench.studio.add_avatar(photo, "Grace") == "Grace 2", "nothing is replaced"
    bench.act("start")
    before = bench.picture()
    bench.act("avatar", avatar="Grace")
    assert bench.state["avatar"] == "Grace"
    assert np.abs(bench.picture().astype(int) - before).mean() < 40
    with pytest.raises(UsageError, match="choose another"):
        bench.act("remove", avatar="Grace")
    bench.act("remove", avatar="Grace 2")
    assert [a["name"] for a in bench.state["avatars"]] == ["Grace", "builtin"]
    assert bench.studio.thumbnail("Grace")[:2] == b"\xff\xd8"


def test_only_avatars_that_are_shown_can_be_chosen(bench: Bench) -> None:
    for name in ("/etc/passwd", "nobody", "../me"):
        with pytest.raises(UsageError, match="shown"):
            bench.act("avatar", avatar=name)
        with pytest.raises(UsageError, match="shown"):
            bench.studio.thumbnail(name)


def test_what_is_no_photograph_is_not_stored(bench: Bench, tmp_path: Path) -> None:
    wrong = tmp_path / "photo.jpg"
    for data in (b"", b"GIF89a" + b"\0" * 100, b"<svg/>", b"\xff\xd8\xff\xe0 cut"):
        wrong.write_bytes(data)
        with pytest.raises(PhotoError):
            bench.studio.add_avatar(wrong, "me")
    assert len(bench.state["avatars"]) == 1


def test_options_act_while_it_runs(bench: Bench) -> None:
    bench.act("start")
    opaque = bench.picture()
    bench.act("options", background="transparent")
    assert bench.picture().shape == (480, 320, 3), "opacity below the colours"
    bench.act("options", background="#00b140")
    green = bench.picture().astype(int)
    assert np.abs(green[:40, :40] - (0, 177, 64)).mean() < 12
    assert np.abs(green - opaque).mean() > 10
    bench.act("options", label_text="made up", label_corner="bottom-left", lock_head=True)
    bench.act("options", motion="absolute")
    bench.act("options", mirror=True)
    assert bench.option("mirror")["value"] is True
    bench.act("key", key="m")
    assert bench.option("mirror")["value"] is False
    bench.act("key", key="l")
    at = CORNERS.index("bottom-left")
    assert bench.option("label_corner")["value"] == CORNERS[(at + 1) % 4]
    for key in ("x", "r", "+", "left"):
        bench.act("key", key=key)
    assert bench.picture().shape == (240, 320, 3)


def test_another_person_is_chosen_while_it_runs(bench: Bench) -> None:
    assert bench.option("person")["choices"] == ["largest", "left", "right", "2", "3"]
    bench.act("start")
    bench.act("options", person="right")
    assert bench.option("person")["value"] == "right"
    # One person is drawn: there is no third, and no next one.
    bench.act("options", person="3")
    stays = "whoever is followed stays"
    wait_until(lambda: f"person 3 is not seen: {stays}" in bench.lines, "no third one")
    bench.act("key", key="o")
    wait_until(lambda: f"nobody else is seen: {stays}" in bench.lines, "no next one")
    with pytest.raises(AvatarError, match="one of those shown"):
        bench.act("options", person="17")
    assert bench.option("person")["value"] == "3"


WRONG_OPTIONS: list[dict[str, Any]] = [
    {"strength": 3}, {"strength": "much"}, {"weight.mouth": -1}, {"label_corner": "middle"},
    {"background": "/etc/passwd"}, {"label": False}, {"size": "64x64"}, {"frame": None},
    {"label_text": ""}, {"profile": "nobody"}, {"mic": "x"}, {"engine": "magic"},
    {"engine": "neural"}, {"max_turn": 91},
]  # fmt: skip


def test_options_that_make_no_sense_change_nothing(bench: Bench) -> None:
    bench.act("start")
    before = bench.state["options"]
    for values in WRONG_OPTIONS:
        with pytest.raises(AvatarError):
            bench.act("options", **values)
        assert bench.state["options"] == before, values
    assert bench.state["phase"] == "running"


def test_any_engine_can_be_chosen_before_the_start(bench: Bench) -> None:
    assert bench.option("engine")["choices"] == list(ENGINE_NAMES)
    assert bench.option("max_turn")["max"] == 90
    bench.act("options", exaggerate=2)
    with pytest.raises(UsageError, match="--exaggerate is for --engine portrait or neural"):
        bench.act("options", engine="fomm")
    bench.act("options", exaggerate=1, engine="fomm")
    assert {o["name"] for o in bench.state["options"] if not o["used"]} == {
        "background", "mouth", "shading", "exaggerate", "max_turn", "lock_head",
        "weight.pose", "weight.mouth", "weight.eyes", "weight.brows",
    }  # fmt: skip
    bench.act("options", engine="neural")
    with pytest.raises(UsageError, match="avatar that was trained"):
        bench.act("start")
    assert "avatar that was trained" in bench.state["problem"]
    bench.act("options", engine="portrait")
    bench.act("start")
    assert bench.state["phase"] == "running"


def test_the_engine_changes_while_it_runs(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[tuple[str, float]] = []
    open_engine = live.open_engine

    def noted(options: Options, *more: Any) -> Any:
        opened.append((options.engine, options.strength))
        return open_engine(Options(), *more)

    bench.act("start")
    monkeypatch.setattr(live, "open_engine", noted)
    bench.act("options", engine="fomm")
    bench.act("options", strength=0.5)
    assert opened == [("fomm", 1.0), ("fomm", 0.5)], "networks apply the strength themselves"
    assert bench.option("engine")["value"] == "fomm"
    bench.act("options", engine="portrait")
    bench.act("options", strength=0.7)
    assert opened[2:] == [("portrait", 0.5)]
    assert bench.picture().shape == (240, 320, 3)


def test_a_camera_that_is_not_there_is_told_and_the_page_goes_on(home: Home) -> None:
    bench = Bench(home, camera="/dev/video77")
    with pytest.raises(AvatarError, match="video77"):
        bench.act("start")
    assert bench.state["phase"] == "stopped"
    assert "video77" in bench.state["problem"]
    assert bench.state["cameras"][0]["id"] == "/dev/video77"
    bench.act("camera", camera="demo")
    bench.act("start")
    assert bench.state["problem"] == ""
    bench.studio.close()


def test_the_camera_changes_while_it_runs(bench: Bench) -> None:
    bench.act("start")
    bench.act("camera", camera="page")
    image = np.full((48, 64, 3), 90, np.uint8)
    bench.studio.inbox.put(image)
    wait_until(lambda: bench.studio.inbox.take(0) is None, "the picture was taken")
    with pytest.raises(UsageError, match="shown"):
        bench.act("camera", camera="/dev/sda")
    bench.act("camera", camera="demo")
    assert bench.state["camera"] == "demo"
    assert bench.picture().shape == (240, 320, 3)


def test_a_page_that_sends_no_picture_shows_the_idle_avatar(home: Home) -> None:
    bench = Bench(home, camera="page")
    bench.act("start")
    assert bench.picture().shape == (240, 320, 3)
    bench.studio.close()


def test_calibration_learns_from_the_running_session(bench: Bench) -> None:
    with pytest.raises(UsageError, match="Start"):
        bench.act("calibrate", on=True, name="me", unattended=True)
    bench.act("start")
    bench.act("calibrate", on=True, name="me", unattended=True)
    with pytest.raises(UsageError, match="under way"):
        bench.act("calibrate", on=True, name="you", unattended=True)
    wait_until(lambda: bench.state["calibration"]["shown"] is not None, "a prompt")
    shown = bench.state["calibration"]["shown"]["text"]
    assert (shown, shown.key) == ("Watching.", "ask.nothing")
    started = time.monotonic()
    wait_until(lambda: time.monotonic() - started > 2.5, "faces")
    bench.act("calibrate", on=False, keep=True)
    result = bench.state["calibration"]["result"]
    assert result["name"] == "me" and result["frames"] > 10
    assert bench.profiles.names() == ["me"]
    assert bench.option("profile")["choices"] == [None, "me"]
    with pytest.raises(UsageError, match="exists"):
        bench.act("calibrate", on=True, name="me", unattended=True)
    bench.act("options", mirror=True)
    with pytest.raises(UsageError, match="mirror"):
        bench.act("calibrate", on=True, name="you")


def test_a_guided_calibration_can_be_left(bench: Bench) -> None:
    bench.act("start")
    bench.act("calibrate", on=True, name="me")
    wait_until(lambda: bench.state["calibration"]["shown"] is not None, "a prompt")
    assert "Look straight" in bench.state["calibration"]["shown"]["text"]
    bench.act("calibrate", on=False)
    calibration = bench.state["calibration"]
    assert (calibration["active"], calibration["result"]) == (False, None)
    assert bench.profiles.names() == []


def test_stop_interrupts_a_start(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A camera that takes its time must not hold the page's Stop, or Ctrl-C."""
    from avatar.stages.sources.demo import DemoSource

    opening = threading.Event()

    def nothing(self: DemoSource) -> None:
        opening.set()
        self._stop.wait(0.1)

    monkeypatch.setattr(DemoSource, "read", nothing)
    monkeypatch.setattr("avatar.sessions.rhythm.STALL_NS", 10**12)
    starting = threading.Thread(target=lambda: bench.act("start"))
    starting.start()
    assert opening.wait(PATIENCE_S)
    bench.act("stop")
    starting.join(PATIENCE_S)
    assert not starting.is_alive()
    assert (bench.state["phase"], bench.state["problem"]) == ("stopped", "")


class Held:
    """A function that waits inside until it is let go."""

    def __init__(self, then: Callable[..., Any]) -> None:
        self.inside, self.let_go = threading.Event(), threading.Event()
        self._then = then

    def __call__(self, *given: Any, **named: Any) -> Any:
        self.inside.set()
        assert self.let_go.wait(PATIENCE_S)
        return self._then(*given, **named)


@contextmanager
def meanwhile(held: Held, what: Callable[[], Any]) -> Iterator[None]:
    """Do ``what`` in a thread, which waits in ``held`` until this ends."""
    thread = threading.Thread(target=what)
    thread.start()
    assert held.inside.wait(PATIENCE_S)
    try:
        yield
    finally:
        held.let_go.set()
        thread.join(PATIENCE_S)
    assert not thread.is_alive()


def test_stop_and_the_rest_wait_for_no_upload(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo = tmp_path / "Grace.jpg"
    photo.write_bytes(builtin_photo().read_bytes())
    held = Held(gallery.add_photo)
    monkeypatch.setattr(gallery, "add_photo", held)
    with meanwhile(held, lambda: bench.studio.add_avatar(photo, "Grace")):
        bench.act("start")
        bench.act("options", strength=0.5)
        bench.act("stop")
        assert bench.state["phase"] == "stopped"
    assert "Grace" in [avatar["name"] for avatar in bench.state["avatars"]]


def test_stop_waits_for_nothing_that_is_being_changed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.act("start")
    held = Held(runtime.changed)
    monkeypatch.setattr(runtime, "changed", held)
    with meanwhile(held, lambda: bench.act("options", strength=0.5)):
        bench.act("stop")
        assert bench.state["phase"] == "stopped"
    assert bench.option("strength")["value"] == 0.5


def test_stop_ends_a_start_that_is_still_being_prepared(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Held(bench.studio._make_session)
    monkeypatch.setattr(bench.studio, "_make_session", held)
    with meanwhile(held, lambda: bench.act("start")):
        bench.act("stop")
        assert bench.state["phase"] == "stopping"
    assert bench.state["phase"] == "stopped"
    assert bench.studio._session is None
    monkeypatch.undo()
    bench.act("start")
    assert bench.state["phase"] == "running"


def test_errors_name_a_photograph_as_the_user_knows_it(bench: Bench, tmp_path: Path) -> None:
    photo = tmp_path / "Grace Hopper.jpg"
    for data in (b"%!PS-Adobe-3.0", b"\xff\xd8\xff\xe0 cut"):
        photo.write_bytes(data)
        with pytest.raises(PhotoError) as raised:
            bench.studio.add_avatar(photo, "Grace")
        assert "Grace Hopper.jpg" in str(raised.value) and str(tmp_path) not in str(raised.value)
        assert words_of(raised.value).key.startswith("error.")  # type: ignore[attr-defined]


def test_a_removed_avatars_outlines_are_gone(bench: Bench, tmp_path: Path) -> None:
    photo = tmp_path / "Grace.jpg"
    photo.write_bytes(builtin_photo().read_bytes())
    bench.studio.add_avatar(photo, "Grace")
    bench.act("avatar", avatar="Grace")
    bench.act("options", background="#00b140")  # for which the person is cut out
    bench.act("start")
    bench.picture()
    sha256 = AvatarStore(bench.home.avatars).read("Grace").sha256

    def outlines() -> list[Path]:
        return list(bench.home.mattes.glob(f"{sha256[:16]}-*.npz"))

    wait_until(lambda: bool(outlines()), "an outline")
    bench.act("stop")
    bench.studio.add_avatar(photo, "Twin")
    bench.act("avatar", avatar="builtin")
    bench.act("remove", avatar="Grace")
    bench.studio._removed.close()  # as after ten seconds
    assert outlines(), "another avatar is made of the same photograph"
    bench.act("remove", avatar="Twin")
    assert outlines(), "it can be had back"
    bench.studio._removed.close()
    assert not outlines()


def test_profiles_lie_in_a_folder_for_the_user_alone(bench: Bench) -> None:
    folder = bench.home.profiles
    folder.mkdir(parents=True, mode=0o755)
    bench.profiles.check_writable("me")
    assert folder.stat().st_mode & 0o777 == 0o700


def test_two_photographs_of_one_name_are_both_kept(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sent at the same time: what one has taken meanwhile, the other does not replace."""
    photo = tmp_path / "Grace.jpg"
    photo.write_bytes(builtin_photo().read_bytes())
    held = Held(gallery.add_photo)
    monkeypatch.setattr(gallery, "add_photo", held)
    with meanwhile(held, lambda: bench.studio.add_avatar(photo, "Grace")):
        monkeypatch.setattr(gallery, "add_photo", held._then)
        assert bench.studio.add_avatar(photo, "Grace") == "Grace"
        monkeypatch.setattr(gallery, "add_photo", held)
    assert {a["name"] for a in bench.state["avatars"]} == {"Grace", "Grace 2", "builtin"}


def test_a_cameras_address_reaches_no_page(home: Home) -> None:
    bench = Bench(home, camera="http://user:S3CR3T@127.0.0.1:9/cam?token=S3CR3T")
    state = bench.state
    assert "S3CR3T" not in str(state)
    assert state["camera"] == "given" and state["cameras"][0] == {
        "id": "given", "label": "http://127.0.0.1:9/…", "problem": None,
    }  # fmt: skip
    with pytest.raises(AvatarError) as raised:
        bench.act("start")
    assert "127.0.0.1:9" in str(raised.value)
    assert "S3CR3T" not in f"{raised.value}{bench.state}{bench.lines}{bench.heard}"
    bench.act("camera", camera="demo")
    bench.act("camera", camera="given")
    assert bench.state["camera"] == "given"
    bench.studio.close()


@pytest.mark.parametrize(
    ("action", "values"),
    [
        ("fly", {}),
        ("camera", {}),
        ("avatar", {"avatar": 5}),
        ("key", {"key": "q"}),
        ("output", {"id": "x"}),
    ],
)
def test_requests_that_mean_nothing_are_refused(
    bench: Bench, action: str, values: dict[str, Any]
) -> None:
    with pytest.raises(UsageError):
        bench.studio.act(action, values)


def test_a_start_that_fails_leaves_the_page_where_it_can_be_put_right(home: Home) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "avatar", "studio", "--start", "--port", "0",
         "--camera", "absent.mp4"],
        stderr=subprocess.PIPE, text=True, cwd=ROOT,
    ) as process:  # fmt: skip
        assert process.stderr is not None
        said = ""
        for line in process.stderr:
            said += line
            if line.startswith("not started: "):
                break
        assert process.poll() is None, said
        assert "absent.mp4" in said.splitlines()[-1]
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0


def test_expressions_and_templates_are_asked_for_by_name(bench: Bench) -> None:
    assert bench.state["acting"]["usable"]
    assert {"smile", "wink"} <= set(bench.state["acting"]["expressions"])
    with pytest.raises(UsageError, match="press Start first"):
        bench.act("expression", name="smile")
    bench.act("start")
    bench.act("expression", name="smile", held=True)
    bench.act("expression", name="smile", held=False)
    bench.act("expression", name="wink")
    bench.act("play", template="nod")
    bench.act("play")
    for values, said in (
        ({"name": "smirk"}, "expected an expression"),
        ({}, "lacks name"),
        ({"name": "smile", "held": "yes"}, "held: expected true or false"),
    ):
        with pytest.raises(UsageError, match=said):
            bench.act("expression", **values)
    with pytest.raises(UsageError, match="expected one of the templates shown"):
        bench.act("play", template="/etc/passwd")
    assert bench.state["phase"] == "running"
