"""Finding a font that has every character of the label: never a box in place of a letter."""

from __future__ import annotations

import os
import sys
import unicodedata
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path

from avatar.core.errors import MissingDependencyError, UsageError

# Names of fonts that cover many scripts, looked at before any other font of the system.
_BROAD = (
    "notosanscjk-bold", "notosanscjk", "notosanssc", "notosansjp", "notosanskr", "sourcehansans",
    "wqy-zenhei", "wqy-microhei", "droidsansfallback", "pingfang", "hiragino", "msyhbd", "msyh",
    "yugoth", "malgun", "arial unicode", "arialuni", "notosans", "freesans",
)  # fmt: skip
_SUFFIXES = {".ttf", ".otf", ".ttc"}
_CJK = ("CJK", "HIRAGANA", "KATAKANA", "HANGUL", "IDEOGRAPHIC", "BOPOMOFO")


def find_font(text: str) -> Path:
    """Return a font file that has a glyph for every character of ``text``.

    DejaVu Sans Bold (a part of matplotlib, which MediaPipe brings) is taken where it suffices,
    else the system's fonts are searched. Raises ``UsageError`` naming the characters and the
    package to install when no font has them all.
    """
    bundled = bundled_font()
    if text.isascii():
        return bundled
    missing = missing_characters(bundled, text)
    if not missing:
        return bundled
    for path in system_fonts():
        if not missing_characters(path, text):
            return path
    raise UsageError(_no_font_message(text, missing))


def bundled_font() -> Path:
    """Return DejaVu Sans Bold of the installed matplotlib, without importing matplotlib."""
    spec = find_spec("matplotlib")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(folder) / "mpl-data" / "fonts" / "ttf" / "DejaVuSans-Bold.ttf"
        if path.is_file():
            return path
    raise MissingDependencyError(
        "The label's font was expected in the installed package matplotlib "
        "(mpl-data/fonts/ttf/DejaVuSans-Bold.ttf), but it is not there. "
        "Run: pip install --force-reinstall matplotlib"
    )


def missing_characters(font: Path, text: str) -> list[str]:
    """Return the characters of ``text`` that ``font`` cannot draw, in order, each once.

    A file that is not a readable outline font lacks them all.
    """
    from fontTools.ttLib import TTFont, TTLibError  # type: ignore[import-untyped]

    try:
        # Opened here, because TTFont leaves a file that is no font open.
        with font.open("rb") as file, TTFont(file, fontNumber=0, lazy=True) as opened:
            outlines = "glyf" in opened or "CFF " in opened or "CFF2" in opened
            glyphs = (opened.getBestCmap() or {}) if outlines else {}
    except (TTLibError, OSError, ValueError, AssertionError):
        glyphs = {}
    return [char for char in dict.fromkeys(text) if ord(char) not in glyphs]


def system_fonts() -> Iterator[Path]:
    """Yield the font files of this system, those that cover many scripts first."""
    found = [path for folder in _font_folders() for path in _font_files(folder)]
    yield from sorted(found, key=_preference)


def _preference(path: Path) -> tuple[int, str]:
    name = path.name.lower()
    rank = next((i for i, broad in enumerate(_BROAD) if name.startswith(broad)), len(_BROAD))
    return rank, str(path)


def _font_files(folder: Path) -> Iterable[Path]:
    for parent, _, names in os.walk(folder):
        for name in names:
            if Path(name).suffix.lower() in _SUFFIXES:
                yield Path(parent) / name


def _font_folders() -> list[Path]:
    home = Path.home()
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA", str(home))
        return [
            Path(os.environ.get("WINDIR", r"C:\Windows")) / "Fonts",
            Path(local) / "Microsoft" / "Windows" / "Fonts",
        ]
    if sys.platform == "darwin":
        return [Path("/System/Library/Fonts"), Path("/Library/Fonts"), home / "Library" / "Fonts"]
    return [
        Path("/usr/share/fonts"),
        Path("/usr/local/share/fonts"),
        home / ".local" / "share" / "fonts",
        home / ".fonts",
    ]


def _no_font_message(text: str, missing: list[str]) -> str:
    names = [unicodedata.name(char, f"U+{ord(char):04X}") for char in missing]
    listed = ", ".join(
        f"{char!r} ({name})" for char, name in zip(missing[:5], names[:5], strict=True)
    )
    more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
    if any(name.startswith(_CJK) for name in names):
        package = (
            "fonts-noto-cjk (Debian, Ubuntu: sudo apt install fonts-noto-cjk; Fedora: "
            "google-noto-sans-cjk-fonts; Arch: noto-fonts-cjk)"
        )
    else:
        package = (
            "a font with these characters (Debian, Ubuntu: sudo apt install fonts-noto-core; "
            "Fedora: google-noto-sans-fonts; Arch: noto-fonts)"
        )
    return (
        f"The label {text!r} needs one font with all its characters, but none of this system "
        f"has {listed}{more}. Install {package}, or choose another --label-text."
    )
