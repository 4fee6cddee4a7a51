"""What somebody reads who uses the program: one line, as it can be typed, wherever it goes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from avatar.app.cli import app
from avatar.core import terminal
from avatar.core.errors import UsageError
from avatar.core.home import Home
from avatar.core.terminal import COMMANDS, as_typed
from tests import ROOT

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX")


def avatar(
    *arguments: object, shell: str = "", **environment: str
) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "avatar", *map(str, arguments)]
    given = {key: value for key, value in (os.environ | environment).items() if value != "absent"}
    if shell:
        line = ["sh", "-c", f'exec "$@" {shell}', "sh", *line]
    return subprocess.run(
        line, capture_output=True, text=True, errors="replace", cwd=ROOT, env=given, check=False
    )


def test_every_command_is_known_to_the_words() -> None:
    assert set(COMMANDS) == set(get_command(app).commands)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("started", "typed"),
    [
        ("/usr/local/bin/pytest", "avatar"),
        ("BIN/avatar", "avatar"),
        ("FOLDER/.venv/bin/avatar", ".venv/bin/avatar"),
        ("/elsewhere/my tools/avatar", "'/elsewhere/my tools/avatar'"),
        ("FOLDER/avatar/__main__.py", ".venv/bin/avatar"),
    ],
)
def test_the_program_is_named_as_it_can_be_typed(
    tmp_path: Path, started: str, typed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    known, checkout = tmp_path / "bin", tmp_path / "checkout"
    for folder in (known, checkout / ".venv" / "bin"):
        folder.mkdir(parents=True)
        script = folder / "avatar"
        script.write_text("#!/bin/sh\n")
        script.chmod(0o755)
    monkeypatch.setenv("PATH", str(known))
    monkeypatch.chdir(checkout)
    monkeypatch.setattr(sys, "executable", str(checkout / ".venv" / "bin" / "python"))
    place = started.replace("FOLDER", str(checkout)).replace("BIN", str(known))
    monkeypatch.setattr(sys, "argv", [place])
    terminal._typed.cache_clear()
    text = "Run `avatar doctor --camera`, or avatar train x; the avatar runs. /opt/avatar run"
    expected = (
        f"Run `{typed} doctor --camera`, or {typed} train x; the avatar runs. /opt/avatar run"
    )
    assert as_typed(text) == expected
    terminal._typed.cache_clear()


@POSIX
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("command", [["profiles", "list"], ["--version"], ["models", "list"]])
def test_a_full_disk_behind_standard_output_is_one_line(command: list[str]) -> None:
    done = avatar(*command, shell=">/dev/full")
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    if command != ["profiles", "list"]:  # which prints to standard error where there are none
        assert done.returncode == 1
        assert done.stderr.count("\n") == 1
        assert "No space left" in done.stderr


@POSIX
@pytest.mark.parametrize("command", [["--help"], ["animate", "--help"], ["models", "list"]])
def test_a_terminal_that_knows_no_letters_beyond_ascii_is_no_trouble(command: list[str]) -> None:
    done = avatar(*command, LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0", LANG="C")
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout


def test_no_home_is_one_line_that_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(path: Path) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "expanduser", nobody)
    with pytest.raises(UsageError, match="HOME"):
        Home.of_user()


@POSIX
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can")
@pytest.mark.skipif(shutil.which("setpriv") is None, reason="needs setpriv (util-linux)")
def test_a_user_without_a_home_gets_one_line() -> None:
    line = ["setpriv", "--reuid", "54321", sys.executable, "-m", "avatar", "profiles", "list"]
    environment = {key: value for key, value in os.environ.items() if key != "HOME"}
    done = subprocess.run(
        line, capture_output=True, text=True, cwd=ROOT, env=environment, check=False
    )
    if "ermission denied" in done.stderr or "No module" in done.stderr:
        pytest.skip("another user may not read this checkout")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "HOME" in done.stderr


@pytest.mark.parametrize("error", [PermissionError(13, "Permission denied", "/secret"),
                                   OSError(36, "File name too long", "x" * 300)])  # fmt: skip
def test_what_a_disk_refuses_anywhere_is_one_line(
    error: OSError, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from avatar.app import cli

    def refuse() -> None:
        raise error

    monkeypatch.setattr(cli, "app", refuse)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 1
    said = capsys.readouterr().err
    assert said.startswith(f"avatar: {error.filename}: {error.strerror}. Check")
    assert said.count("\n") == 1


def test_ctrl_c_before_anything_began_is_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    from avatar.app import cli

    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "app", interrupted)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == cli.INTERRUPTED


@pytest.mark.parametrize(
    "wrong",
    [
        ["--camera", "no-such-film.mp4"], ["--camera", "/dev/video77"],
        ["--camera", "http://127.0.0.1:9/film.mp4"], ["--camera", "demo", "--out", "virtual:/none"],
    ],
)  # fmt: skip
def test_what_runs_is_said_once_nothing_can_keep_it_from_running(
    tmp_path: Path, wrong: list[str]
) -> None:
    out = [] if "--out" in wrong else ["--out", "none"]
    options = ["--seconds", "0.2", "--size", "320x240"]
    done = avatar("run", *wrong, *out, *options, XDG_DATA_HOME=str(tmp_path))
    assert done.returncode in (1, 2)
    assert "avatar builtin from" not in done.stderr and "Ctrl-C" not in done.stderr


def test_what_runs_is_said(tmp_path: Path) -> None:
    done = avatar(
        "run", "--camera", "demo", "--out", "none", "--seconds", "0.2", "--size", "320x240",
        XDG_DATA_HOME=str(tmp_path),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "avatar builtin from demo to none\nCtrl-C ends\n" in done.stderr


@POSIX
@pytest.mark.parametrize("shell", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_closed_stream_is_no_trouble(shell: str) -> None:
    ran = avatar("templates", "list", shell=shell)
    assert ran.returncode == 0
    assert "Traceback" not in ran.stdout + ran.stderr


@POSIX
def test_files_that_are_opened_do_not_get_the_number_of_a_closed_stream() -> None:
    program = (
        "from avatar.core.terminal import open_streams; open_streams(); "
        "raise SystemExit(open('/dev/null').fileno())"
    )
    ran = subprocess.run(
        ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", sys.executable, "-c", program], cwd=ROOT
    )
    assert ran.returncode > 2


def test_what_a_file_says_does_not_command_the_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    terminal.say("a\x1b[31m\x9b2J\r\u202eb\nümlaut\t👨‍👩‍👧\u00a0c")
    assert capsys.readouterr().err == "a�[31m�2J��b\nümlaut\t👨‍👩‍👧\u00a0c\n"


def test_showing_a_template_prints_nothing_that_is_none(tmp_path: Path) -> None:
    path = tmp_path / "any.bin"
    path.write_bytes(b"\xff\xfe\x1b[31m")
    ran = avatar("templates", "show", path)
    assert ran.returncode == 2
    assert "Traceback" not in ran.stderr
    assert "\x1b" not in ran.stdout + ran.stderr


def test_a_broken_template_of_ones_own_does_not_hide_the_others(tmp_path: Path) -> None:
    own = tmp_path / "webcam-avatar" / "templates"
    own.mkdir(parents=True)
    (own / "broken.toml").write_text("beats =")
    ran = avatar("templates", "list", XDG_DATA_HOME=str(tmp_path))
    assert "broken.toml is not valid TOML" in ran.stderr
    assert "argue" in ran.stdout and "wink" in ran.stdout
    assert ran.returncode == 0
