from __future__ import annotations

import sys

import pytest

from avatar.core.errors import SinkUnavailableError
from avatar.stages.sinks.preview import PreviewSink, key_name

LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux")


@pytest.mark.parametrize(
    ("code", "name"),
    [
        (ord("1"), "1"), (ord("9"), "9"), (ord("0"), None), (ord("n"), "n"), (ord("N"), "n"),
        (ord("p"), "p"), (ord("x"), "x"), (ord("M"), "m"), (ord("+"), "+"), (ord("="), "+"),
        (ord("-"), "-"), (ord("_"), "-"), (ord("f"), "f"), (ord("L"), "l"), (ord("q"), "q"),
        (ord("z"), "z"), (ord("c"), None), (-1, None), (0, None), (27, None),
        (0xFF51, "left"), (0xFF52, "up"), (0xFF53, "right"), (0xFF54, "down"),
        (0x10FF51, "left"),  # GTK with NumLock
        (0xFF96, "left"), (0xFFAB, "+"), (0xFFAD, "-"), (0xFFB1, "1"), (0xFFB9, "9"),
        (0x250000, "left"), (0x260000, "up"), (0x270000, "right"), (0x280000, "down"),
        (0xF702, "left"), (0xF700, "up"), (0xF703, "right"), (0xF701, "down"),
        (0xFFE1, None),  # Shift alone
    ],
)  # fmt: skip
def test_keys_of_every_window_system_have_one_name(code: int, name: str | None) -> None:
    assert key_name(code) == name


@LINUX
@pytest.mark.parametrize(
    ("display", "wayland", "says"),
    [
        (None, None, "no screen"),
        ("", "wayland-0", "XWayland"),
        (":4711", None, "cannot reach.*:4711"),
    ],
)
def test_without_a_display_it_says_so_and_offers_another_output(
    monkeypatch: pytest.MonkeyPatch, display: str | None, wayland: str | None, says: str
) -> None:
    for name, value in (("DISPLAY", display), ("WAYLAND_DISPLAY", wayland)):
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    with pytest.raises(SinkUnavailableError, match=f"(?s){says}.*--out file") as caught:
        PreviewSink((64, 48)).__enter__()
    assert "virtual" in str(caught.value)
