"""A missing library is named together with the line that installs it."""

from __future__ import annotations

import ctypes
import importlib
import os
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avatar.core import libraries
from avatar.core.errors import MissingDependencyError
from avatar.core.libraries import (
    SYSTEM_LIBRARIES,
    SystemLibrary,
    install_line,
    missing_libraries,
    missing_library_error,
    system_family,
)

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="system libraries are Linux's")


@pytest.fixture
def on_debian(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libraries, "system_family", lambda: "debian")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)


def not_on_any_system(part: str = "core") -> SystemLibrary:
    return SystemLibrary("libavatar-absent.so.7", part, "libabsent7", "absent-libs", "absent")


@linux_only
def test_the_loaders_own_message_is_understood(
    on_debian: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(libraries, "SYSTEM_LIBRARIES", (not_on_any_system(),))
    with pytest.raises(OSError) as caught:
        ctypes.CDLL("libavatar-absent.so.7")
    message = str(missing_library_error(caught.value))
    assert "libavatar-absent.so.7" in message
    assert message.endswith("sudo apt-get install -y libabsent7")


@linux_only
def test_all_that_is_missing_for_the_same_part_is_named_at_once(
    on_debian: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    second = SystemLibrary("libavatar-gone.so.1", "core", "libgone1", "gone", "gone")
    other = SystemLibrary("libavatar-far.so.1", "sound", "libfar1", "far", "far")
    present = SystemLibrary("libc.so.6", "core", "libc6", "glibc", "glibc")
    monkeypatch.setattr(
        libraries, "SYSTEM_LIBRARIES", (not_on_any_system(), present, second, other)
    )
    error = ImportError("libavatar-gone.so.1: cannot open shared object file: No such file")
    message = str(missing_library_error(error))
    assert message.endswith("sudo apt-get install -y libabsent7 libgone1")
    assert "libavatar-far" not in message and "libc" not in message.replace("libc6", "libc")


def test_a_library_that_is_not_listed_is_named_too() -> None:
    error = ImportError("libwhatever-5.so.3: cannot open shared object file: No such file")
    assert "libwhatever-5.so.3" in str(missing_library_error(error))


def test_portaudio_speaks_in_its_own_words(on_debian: None) -> None:
    message = str(missing_library_error(OSError("PortAudio library not found")))
    assert "libportaudio2" in message


def test_a_missing_python_package_is_named() -> None:
    with pytest.raises(ModuleNotFoundError) as caught:
        importlib.import_module("avatar_absent_package")
    message = str(missing_library_error(caught.value))
    assert "avatar_absent_package" in message and "scripts/setup" in message


@settings(max_examples=50, deadline=None)
@given(st.text())
def test_whatever_an_import_says_becomes_an_error_for_the_user(text: str) -> None:
    for error in (ImportError(text), OSError(text)):
        found = missing_library_error(error)
        assert isinstance(found, MissingDependencyError)
        assert text.strip() in str(found) or ".so" in str(found) or "PortAudio" in text


@pytest.mark.parametrize(
    ("release", "family"),
    [
        ({"ID": "debian"}, "debian"),
        ({"ID": "linuxmint", "ID_LIKE": "ubuntu debian"}, "debian"),
        ({"ID": "rocky", "ID_LIKE": "rhel centos fedora"}, "fedora"),
        ({"ID": "manjaro", "ID_LIKE": "arch"}, "arch"),
        ({"ID": "alpine"}, None),
        ({}, None),
    ],
)
def test_the_family_of_a_distribution(release: dict[str, str], family: str | None) -> None:
    assert system_family(release) == family


@pytest.mark.parametrize("user", [0, 1000])
@pytest.mark.parametrize("family", ["debian", "fedora", "arch", None])
def test_the_line_names_each_package_once(
    family: str | None, user: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: user)
    line = install_line(SYSTEM_LIBRARIES, family)
    words = line.replace(",", " ").split()
    assert len(words) == len(set(words))
    assert line.startswith("sudo ") == (user != 0 and family is not None)


@linux_only
def test_the_program_prints_the_line_and_fails_only_where_something_is_missing() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "avatar.core.libraries", "core"], capture_output=True, text=True
    )
    assert (result.returncode, result.stdout) == (0, "")
    assert missing_libraries("core") == []
