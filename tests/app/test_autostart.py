"""What starts with the session: quoted as the system reads it, never over a user's own changes."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from avatar.app import autostart
from avatar.app.autostart import By, Places, desktop_entry, install, remove, status, unit
from avatar.core.errors import ConfigError, UsageError
from avatar.core.home import Home

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="XDG and systemd are Linux's")

WAYS: list[By] = ["systemd", "desktop"]
AWKWARD = 'my %h "pics" $HOME `x` \\ a\'b größe'


@pytest.fixture
def places(home: Home, monkeypatch: pytest.MonkeyPatch) -> Places:
    """A configuration folder of the test's own, and no systemd but what a test brings."""
    monkeypatch.setattr(autostart, "_systemctl", lambda *words: "")
    home.config.mkdir(parents=True)
    return Places(home.config)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    folder = tmp_path / AWKWARD
    folder.mkdir()
    path = folder / "call.toml"
    path.write_text('avatar = "me.jpg"\n')
    return path


def files(places: Places) -> list[Path]:
    return [path for path in places.root.rglob("*") if not path.is_dir() or path.is_symlink()]


@pytest.mark.parametrize("way", WAYS)
def test_installed_and_removed_nothing_is_left(
    places: Places, config: Path, way: By, home: Home
) -> None:
    assert install(config, way, home) == 0
    path = places.files[way]
    assert path.is_file()
    assert places.link.is_symlink() == (way == "systemd")
    assert status(home) == 0
    assert install(config, way, home) == 0  # its own file may be replaced
    assert remove(home) == 0
    assert list(places.root.iterdir()) == []
    assert status(home) == 1


def test_the_session_starts_one_of_them_only(places: Places, config: Path, home: Home) -> None:
    install(config, "systemd", home)
    install(config, "desktop", home)
    assert files(places) == [places.files["desktop"]]
    install(config, None, home)  # no systemd answers here
    assert files(places) == [places.files["desktop"]]


@pytest.mark.parametrize("way", WAYS)
def test_what_the_user_changed_stays(places: Places, config: Path, way: By, home: Home) -> None:
    install(config, way, home)
    path = places.files[way]
    changed = path.read_text().replace("Webcam avatar", "My avatar")
    path.write_text(changed)
    other: By = "desktop" if way == "systemd" else "systemd"
    for attempt in (
        lambda: install(config, way, home),
        lambda: install(config, other, home),
        lambda: remove(home),
    ):
        with pytest.raises(UsageError, match=r"was changed since it was written.*--force"):
            attempt()
        assert path.read_text() == changed
        assert not places.files[other].exists()
    assert install(config, way, home, force=True) == 0
    assert "My avatar" not in path.read_text()


def test_a_file_of_another_origin_stays(places: Places, config: Path, home: Home) -> None:
    path = places.files["systemd"]
    path.parent.mkdir(parents=True)
    path.write_text("[Service]\nExecStart=/bin/true\n")
    with pytest.raises(UsageError, match="not written here"):
        install(config, "systemd", home)
    assert "ExecStart=/bin/true" in path.read_text()


def test_other_files_beside_it_stay(places: Places, config: Path, home: Home) -> None:
    install(config, "systemd", home)
    beside = places.link.parent / "other.service"
    beside.write_text("")
    remove(home)
    assert files(places) == [beside]


def test_a_config_with_a_mistake_is_not_installed(
    places: Places, tmp_path: Path, home: Home
) -> None:
    path = tmp_path / "call.toml"
    path.write_text("avatr = 'me.jpg'\n")
    with pytest.raises(ConfigError, match="Did you mean `avatar`"):
        install(path, "desktop", home)
    with pytest.raises(ConfigError, match="cannot be read"):
        install(tmp_path / "none.toml", "desktop", home)
    assert files(places) == []


def test_a_path_that_no_such_file_can_hold_is_refused(
    places: Places, tmp_path: Path, home: Home
) -> None:
    folder = tmp_path / "two\nlines"
    folder.mkdir()
    (folder / "a.toml").write_text("")
    with pytest.raises(UsageError, match="without line breaks"):
        install(folder / "a.toml", "desktop", home)


def test_systemd_is_taken_where_a_manager_answers(
    places: Places, config: Path, monkeypatch: pytest.MonkeyPatch, home: Home
) -> None:
    asked: list[tuple[str, ...]] = []

    def systemctl(*words: str) -> str:
        asked.append(words)
        return "degraded" if words == ("is-system-running",) else ""

    monkeypatch.setattr(autostart, "_systemctl", systemctl)
    install(config, None, home)
    assert places.files["systemd"].exists()
    assert asked[-1] == ("daemon-reload",)
    remove(home)
    assert ("stop", autostart.UNIT) in asked


def test_the_desktop_entry_means_the_command(config: Path) -> None:
    line = next(line for line in desktop_entry(config).splitlines() if line.startswith("Exec="))
    # The file's escape of strings first, then the words' quotes, which are a shell's, then codes.
    string = line.removeprefix("Exec=").replace("\\\\", "\\")
    printed = subprocess.run(
        ["sh", "-c", f"printf '%s\\n' {string}"], capture_output=True, text=True
    )
    words = [word.replace("%%", "%") for word in printed.stdout.splitlines()]
    assert words == [sys.executable, "-m", "avatar", "run", "--config", str(config)]


def test_systemd_finds_no_fault_and_reads_the_command(config: Path, tmp_path: Path) -> None:
    if not shutil.which("systemd-analyze"):
        pytest.skip("needs systemd-analyze: apt-get install systemd")
    path = tmp_path / autostart.UNIT
    path.write_text(unit(config))
    done = subprocess.run(
        ["systemd-analyze", "--user", "verify", str(path)],
        capture_output=True, text=True, env={"XDG_RUNTIME_DIR": str(tmp_path), "PATH": "/usr/bin"},
    )  # fmt: skip
    about = [line for line in done.stderr.splitlines() if autostart.UNIT in line]
    assert about == []


def test_the_desktop_finds_no_fault(config: Path, tmp_path: Path) -> None:
    if not shutil.which("desktop-file-validate"):
        pytest.skip("needs desktop-file-validate: apt-get install desktop-file-utils")
    path = tmp_path / "webcam-avatar.desktop"
    path.write_text(desktop_entry(config))
    done = subprocess.run(["desktop-file-validate", str(path)], capture_output=True, text=True)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
