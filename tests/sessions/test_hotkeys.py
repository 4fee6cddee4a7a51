"""Keys without focus: what may be a key, and real keys on a real X server."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from avatar.core.config_file import load_options
from avatar.core.errors import MissingDependencyError, UsageError
from avatar.sessions.hotkeys import (
    ACTIONS,
    DEFAULT_KEYS,
    Hotkeys,
    check_session,
    described,
    key_map,
    normal,
    pynput_keys,
)
from tests import ROOT

linux = pytest.mark.skipif(sys.platform != "linux", reason="X11 and Wayland are Linux's")


@pytest.mark.parametrize(
    ("text", "keys", "pynputs"),
    [
        ("ctrl+alt+x", "ctrl+alt+x", "<ctrl>+<alt>+x"),
        ("Alt + Control + X", "ctrl+alt+x", "<ctrl>+<alt>+x"),
        ("win+shift+F9", "shift+super+f9", "<shift>+<cmd>+<f9>"),
        ("f12", "f12", "<f12>"),
        ("ctrl++", "ctrl++", "<ctrl>++"),
        ("ctrl+1", "ctrl+1", "<ctrl>+1"),
        ("ctrl+page_up", "ctrl+page_up", "<ctrl>+<page_up>"),
    ],
)
def test_keys_are_written_as_people_write_them(text: str, keys: str, pynputs: str) -> None:
    assert normal(text) == keys
    assert pynput_keys(keys) == pynputs


@pytest.mark.parametrize("text", ["x", "shift+x", "1", "space", "home"])
def test_an_ordinary_typing_key_is_no_hotkey(text: str) -> None:
    with pytest.raises(UsageError, match="an ordinary typing key"):
        normal(text)


@pytest.mark.parametrize(
    "text", ["", "ctrl", "ctrl+", "ctrl+alt", "hyper+x", "ctrl+ctrl+x", "ctrl+xy", "x+ctrl", "f99"]
)
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--hotkey: expected keys such as"):
        normal(text)


def test_keys_can_be_changed_and_taken_away() -> None:
    keys = key_map(["reference=F9", "stop=", "label=ctrl+alt+k"])
    assert keys["reference"] == "f9"
    assert keys["label"] == "ctrl+alt+k"
    assert "stop" not in keys
    assert keys["avatar-1"] == "ctrl+alt+1"


def test_one_combination_has_one_meaning() -> None:
    with pytest.raises(UsageError, match=r"alt\+n is assigned to two actions, next and label"):
        key_map(["label=alt+ctrl+N"])


@pytest.mark.parametrize("text", ["jump=f9", "reference", "=f9"])
def test_an_unknown_action_is_refused_with_those_there_are(text: str) -> None:
    with pytest.raises(UsageError, match=r"ACTION=KEYS .*reference.*search"):
        key_map([text])


def test_the_defaults_are_valid_and_mean_something() -> None:
    assert key_map() == DEFAULT_KEYS
    assert {normal(keys) for keys in DEFAULT_KEYS.values()} == set(DEFAULT_KEYS.values())
    assert set(DEFAULT_KEYS) <= set(ACTIONS)
    assert described(key_map()).startswith("hotkeys: ctrl+alt+1 to 9 avatar, ctrl+alt+n next")


def test_keys_stand_in_a_config_file(tmp_path: Path) -> None:
    path = tmp_path / "avatar.toml"
    path.write_text('hotkeys = true\nhotkey = ["reference=f9", "stop="]\n')
    config = load_options(path, {})
    assert config.hotkeys
    assert key_map(config.hotkey)["reference"] == "f9"


@linux
def test_without_a_screen_the_way_out_is_told() -> None:
    with pytest.raises(UsageError, match=r"expected an X11 session, found no DISPLAY.*leave"):
        check_session({}, print)
    with pytest.raises(UsageError, match="Wayland session without XWayland"):
        check_session({"WAYLAND_DISPLAY": "wayland-0"}, print)


@linux
def test_under_wayland_its_limit_is_told() -> None:
    said: list[str] = []
    check_session({"WAYLAND_DISPLAY": "wayland-0", "DISPLAY": ":0"}, said.append)
    assert "only while an X11 (XWayland) window has the focus" in said[0]
    said.clear()
    check_session({"DISPLAY": ":0"}, said.append)
    assert not said


@linux
def test_a_display_that_does_not_answer_is_told_in_one_line() -> None:
    if importlib.util.find_spec("pynput") is None:
        pytest.skip("needs pynput: scripts/setup hotkeys")
    done = subprocess.run(
        [sys.executable, "-m", "avatar", "run", "--out", "none", "--hotkeys"],
        cwd=ROOT, env=os.environ | {"DISPLAY": ":9999"}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 2
    assert re.fullmatch(r"avatar: --hotkeys: .*DISPLAY=:9999 does not answer.*\n", done.stderr)


@linux
def test_without_pynput_the_line_that_installs_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setitem(sys.modules, "pynput", None)
    with pytest.raises(MissingDependencyError, match="scripts/setup hotkeys"):
        Hotkeys(key_map(), print, print)


@pytest.fixture
def screen() -> Iterator[dict[str, str]]:
    """An X server of the test's own: its environment."""
    if not shutil.which("Xvfb") or not shutil.which("xdotool"):
        pytest.skip("needs Xvfb and xdotool: apt-get install xvfb xdotool")
    if importlib.util.find_spec("pynput") is None:
        pytest.skip("needs pynput: scripts/setup hotkeys")
    reading, writing = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(writing), "-screen", "0", "640x480x24", "-nolisten", "tcp"],
        pass_fds=[writing], stderr=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(writing)
    try:
        with os.fdopen(reading) as numbers:
            number = numbers.readline().strip()
        assert number, "Xvfb did not start"
        environment = {name: value for name, value in os.environ.items() if name != "XAUTHORITY"}
        environment.pop("WAYLAND_DISPLAY", None)
        yield environment | {"DISPLAY": f":{number}"}
    finally:
        server.terminate()
        server.wait(10)


@linux
def test_real_keys_steer_a_running_avatar_that_has_no_window(screen: dict[str, str]) -> None:
    command = ["run", "--camera", "demo", "--out", "none", "--size", "320x240", "--seconds", "60"]
    hotkeys = ["--hotkeys", "--hotkey", "search=ctrl+alt+shift+f9"]
    running = subprocess.Popen(
        [sys.executable, "-m", "avatar", *command, *hotkeys],
        cwd=ROOT, env=screen, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    watchdog = threading.Timer(60, running.kill)
    watchdog.start()
    assert running.stdout is not None
    lines = iter(running.stdout.readline, "")

    def press(*keys: str) -> None:
        subprocess.run(["xdotool", *keys], env=screen, check=True)

    def press_until_heard() -> None:
        # pynput calls itself ready a moment before the server tells it of keys.
        while not heard.wait(0.5):
            press("key", "ctrl+alt+shift+F9")

    def until(pattern: str) -> str:
        return next((line for line in lines if re.search(pattern, line)), "")

    heard = threading.Event()
    pressing = threading.Thread(target=press_until_heard)
    try:
        assert "ctrl+alt+x reference" in until("^hotkeys: ")
        press("type", "hunter2 xrq")
        pressing.start()
        # On a busy machine the search of the start still goes on, and the key ends it.
        said = until("reference: |hunter2")
        assert re.search("looking for the moment|kept as it is", said), said
        heard.set()
        pressing.join()
        press("key", "ctrl+alt+q")
        rest = "".join(lines)  # to the end: long before its 60 seconds are over
        assert running.wait(30) == 0
        assert "hunter2" not in rest
    finally:
        heard.set()
        watchdog.cancel()
        running.kill()
        running.wait(10)
        running.stdout.close()
