"""What people have, and what becomes of it: each row is a file made here and read as users read it.

``python -m tests.inputs_table`` rewrites the table in docs/inputs.md; ``tests/test_inputs.py``
makes every file, reads it, and holds the table.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from contextlib import chdir
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from avatar.core.clock import ManualClock
from avatar.core.errors import AvatarError
from avatar.core.files import expanded
from avatar.core.frames import UInt8Image
from avatar.stages.generate.photo import load_photo
from avatar.stages.label import file_metadata
from avatar.stages.sinks.film_sound import find_sound
from avatar.stages.sinks.mp4 import Mp4Writer
from avatar.stages.sources import create_source
from avatar.stages.sources.timing import film_timing
from avatar.stages.sources.video import film_frames
from tests import ROOT
from tests.stages.generate.heic import make_heic
from tests.stages.generate.odd_pictures import (
    DAMAGED,
    bomb,
    exchanged_profile,
    scene,
)
from tests.stages.sinks.sounding_film import FPS, SIZE, heard, make_sounding_film
from tests.stages.sources.films import make_film, make_sound, number_of, picture_of
from tests.stages.sources.odd_films import (
    cut_off,
    hdr_film,
    in_one_size_then_another,
    interlaced,
    joined,
    retimed,
    write_pictures,
)

PAGE = ROOT / "docs" / "inputs.md"
BEGIN, END = "<!-- table: python -m tests.inputs_table -->", "<!-- end of the table -->"


@dataclass(frozen=True)
class Input:
    """``have``: what somebody has; ``make`` writes it into a folder and returns its path.

    ``look`` reads the file as the program does and says what came of it, ``happens``.
    ``needs_heif``: only where the package pi-heif is.
    """

    have: str
    make: Callable[[Path], Path]
    look: Callable[[Path], str]
    happens: str
    needs_heif: bool = False


# --- what came of it


def photograph(path: Path) -> str:
    """Read a photograph of ``scene``: its size, and whether its colours are right."""
    try:
        photo = load_photo(expanded(path))
    except AvatarError as error:
        return refused(error, path)
    size = f"{photo.shape[1]}×{photo.shape[0]}"
    smaller = np.asarray(Image.fromarray(photo).resize((60, 40)), np.int16)
    apart = float(np.abs(smaller - scene()).mean())
    if apart < 6:
        return f"read, {size}"
    grey = np.ptp(smaller, axis=2).max() < 3
    return f"read in grey, {size}" if grey else f"read, {size}, in other colours ({apart:.0f})"


def film(path: Path) -> str:
    """Read a film of numbered pictures: how many, how large, how evenly, and what is missing."""
    try:
        with create_source(str(path), clock=ManualClock(), loop=False):
            pass
        frames = list(film_frames(path))
        timing = film_timing(path)
    except AvatarError as error:
        return refused(error, path)
    size = "{1}×{0}".format(*frames[0].image.shape)
    sizes = {frame.image.shape for frame in frames}
    gaps = [(b.timestamp_ns - a.timestamp_ns) / 1e6 for a, b in pairwise(frames)]
    even = max(gaps) - min(gaps) < 3
    missing = f"; {timing.missing_s:.0f} s are missing, and a line says so" * (timing.missing_s > 0)
    evenly = "evenly" if even else f"the longest for {max(gaps):.0f} ms"
    return (
        f"{len(frames)} pictures of {size}, {float(timing.rate):.4g} a second, {evenly}{missing}"
        + ", in several sizes" * (len(sizes) > 1)
    )


def numbered(path: Path) -> str:
    """Read a film as ``film`` does, and say where its pictures are not in order."""
    said = film(path)
    numbers = [number_of(frame.image) for frame in film_frames(path)]
    rises = all(b == a + 1 or b == 0 for a, b in pairwise(numbers))
    return said if rises else f"{said}, out of order"


def corner(path: Path) -> str:
    """Say in which corner the red quarter of a film's pictures is."""
    image = next(iter(film_frames(path))).image.astype(int)
    height, width = image.shape[:2]
    redness = image[..., 0] - image[..., 1]
    y, x = np.argwhere(redness > 100).mean(axis=0)
    return (
        f"{width}×{height}, with the picture's top left at the "
        f"{'top' if y < height / 2 else 'bottom'} {'left' if x < width / 2 else 'right'}"
    )


def grey(path: Path) -> str:
    """Say how bright a flat film is."""
    image = next(iter(film_frames(path))).image.astype(int)
    coloured = " and coloured" * int(np.ptp(image, axis=2).max() > 6)
    return f"shown {round(image.mean() / 10) * 10} of 255 bright{coloured}"


def sound(path: Path) -> str:
    """Carry a film's sound over, whose tone of one second begins in its middle."""
    try:
        found = find_sound(path)
    except AvatarError as error:
        return refused(error, path)
    if found is None:
        return "a silent film, and a line"
    if not found.codec:
        return "a silent film, and a line: no decoder knows the sound"
    out = path.with_name("out.mp4")
    writer = Mp4Writer(out, SIZE, FPS, file_metadata("test", "1"), low_latency=False)
    writer.take_sound(found)
    with writer:
        for _ in range(2 * FPS):
            writer.write_rgb(np.full((SIZE[1], SIZE[0], 3), 90, np.uint8))
    codec, begins_s, ends_s, hz = heard(out)
    right = abs(begins_s - 1) < 0.07 and abs(ends_s - 2) < 0.07 and abs(hz - 440) < 8
    how = "copied" if codec == found.codec and not re.search("ts$", path.name) else "re-encoded"
    which = f"track {found.track} of {found.tracks}, " * (found.tracks > 1)
    return f"{which}{how} as {codec.upper()}" + ("" if right else ", at another time")


def refused(error: AvatarError, path: Path) -> str:
    """Return an error without the path of this run."""
    said = str(error).replace(f"{path.parent}{os.sep}", "").replace(str(path.parent), ".")
    return f"refused: “{said}”"


# --- what people have


def saved(name: str, format_name: str | None = None, **options: Any) -> Callable[[Path], Path]:
    """Return what writes ``scene`` by Pillow."""

    def make(folder: Path) -> Path:
        Image.fromarray(scene()).save(folder / name, format_name, **options)
        return folder / name

    return make


def turned(name: str, exif: bytes) -> Callable[[Path], Path]:
    """Return what writes ``scene`` lying on its side, as a phone does, with EXIF data."""

    def make(folder: Path) -> Path:
        lying = Image.fromarray(np.ascontiguousarray(np.rot90(scene())))
        lying.save(folder / name, exif=exif, quality=95)
        return folder / name

    return make


def other_mode(name: str, mode: str) -> Callable[[Path], Path]:
    """Return what writes ``scene`` in another of Pillow's modes."""

    def make(folder: Path) -> Path:
        Image.fromarray(scene()).convert(mode).save(folder / name)
        return folder / name

    return make


def exchanged(folder: Path) -> Path:
    """Write ``scene`` with red and blue exchanged, and a profile that says so."""
    swapped = Image.fromarray(np.ascontiguousarray(scene()[..., ::-1]))
    swapped.save(folder / "p3.jpg", icc_profile=exchanged_profile(), quality=95)
    return folder / "p3.jpg"


def holding(name: str, data: bytes) -> Callable[[Path], Path]:
    """Return what writes a file of these bytes."""

    def make(folder: Path) -> Path:
        (folder / name).write_bytes(data)
        return folder / name

    return make


def cut(make: Callable[[Path], Path]) -> Callable[[Path], Path]:
    """Return what writes half of a file."""

    def half(folder: Path) -> Path:
        path = make(folder)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        return path

    return half


def large(folder: Path) -> Path:
    """Write a JPEG of more megapixels than may be decoded at once."""
    Image.fromarray(scene()).resize((12_600, 8_400), Image.Resampling.NEAREST).save(
        folder / "large.jpg", quality=20
    )
    return folder / "large.jpg"


def phone(folder: Path) -> Path:
    """Write ``scene`` as a phone does."""
    return make_heic(folder / "IMG_0001.HEIC", scene(120, 80))


def pictures(count: int = 12) -> list[UInt8Image]:
    """Return numbered pictures."""
    return [picture_of(number, (64, 48)) for number in range(count)]


def films(name: str, **options: Any) -> Callable[[Path], Path]:
    """Return what writes a film of numbered pictures."""
    return lambda folder: make_film(folder / name, **options)


def with_matrix(*matrix: int) -> Callable[[Path], Path]:
    """Return what writes a film with a display matrix (a, b, c, d)."""
    a, b, c, d = (number * 65536 for number in matrix)

    def setup(stream: Any) -> None:
        stream.set_display_matrix([a, b, 0, c, d, 0, 0, 0, 1 << 30])

    return lambda folder: write_pictures(folder / "phone.mp4", pictures(), setup=setup)


def wide(folder: Path) -> Path:
    """Write a film whose pixels are twice as wide as they are high."""

    def setup(stream: Any) -> None:
        stream.codec_context.sample_aspect_ratio = Fraction(2)

    return write_pictures(folder / "dv.mkv", pictures(), setup=setup)


def jumping(folder: Path) -> Path:
    """Write a film whose clock was set in its middle."""
    whole = make_film(folder / "whole.mkv", codec="mpeg4")
    return retimed(whole, folder / "dashcam.mkv", lambda _, t: 3600.0 if t > 0.2 else 0.0)


def browsers(folder: Path) -> Path:
    """Write a film as a browser's recorder does: no duration, pictures when there is time."""
    path = folder / "recording.webm"
    ticks = [0, 33, 67, 99, 240, 273, 305, 340]
    write_pictures(path, pictures(8), codec="libvpx", fps=1000, ticks=ticks)
    data = path.read_bytes()
    path.write_bytes(data.replace(b"\x44\x89\x88", b"\xec\x86\x88", 1))  # Duration becomes Void
    return path


def foreign_title(folder: Path) -> Path:
    """Write a film with a title in Latin-1."""
    path = make_film(folder / "a.avi", codec="mpeg4", title="Gr\u00fc\u00dfe")
    path.write_bytes(path.read_bytes().replace("Gr\u00fc\u00dfe".encode(), b"Gr\xfc\xdfe  "))
    return path


def unknown_pictures(folder: Path) -> Path:
    """Write a film in a codec that nobody has."""
    path = make_film(folder / "film.mkv", codec="mpeg4")
    path.write_bytes(path.read_bytes().replace(b"V_MPEG4/ISO/ASP", b"V_QQQQ4/ISO/ASP"))
    return path


def sounding(name: str, *codecs: str, **options: Any) -> Callable[[Path], Path]:
    """Return what writes a film with sound."""
    return lambda folder: make_sounding_film(folder / name, *codecs, **options)


def unknown_sound(*codecs: str) -> Callable[[Path], Path]:
    """Return what writes a film whose first sound nothing decodes."""

    def make(folder: Path) -> Path:
        path = make_sounding_film(folder / "film.mkv", *codecs)
        path.write_bytes(path.read_bytes().replace(b"A_AC3", b"A_XC3"))
        return path

    return make


NO_DECODER = (
    "refused: “film.mkv: expected a video, found pictures of a kind for which there is no decoder "
    "here. Convert it to H.264, or choose another video file or a camera.”"
)
EVEN = "12 pictures of 64×48, 25 a second, evenly"
AAC = "re-encoded as AAC"

PHOTOGRAPHS = [
    Input("a phone's HEIC", phone, photograph, "read, 120×80", needs_heif=True),
    Input("AVIF", saved("a.avif"), photograph, "read, 60×40"),
    Input("`.jfif`, as browsers save JPEGs", saved("a.jfif", "JPEG", quality=95), photograph,
          "read, 60×40"),
    Input("a PNG that is called `.jpg`", saved("a.jpg", "PNG"), photograph, "read, 60×40"),
    Input("a picture without an ending", saved("me", "WEBP", lossless=True), photograph,
          "read, 60×40"),
    Input("`~me.jpg`", saved("~me.jpg", quality=95), photograph, "read, 60×40"),
    Input("turned by its EXIF data", turned("a.jpg", DAMAGED["nothing"]), photograph,
          "read, 60×40"),
    *(Input(f"the same, damaged: {name}", turned("a.jpg", data), photograph, "read, 60×40")
      for name, data in DAMAGED.items() if name != "nothing"),
    Input("a colour profile, such as Display P3", exchanged, photograph, "read, 60×40"),
    Input("a broken colour profile", saved("a.png", icc_profile=bytes(range(200))), photograph,
          "read, 60×40"),
    Input("CMYK, from a printer", other_mode("a.tif", "CMYK"), photograph, "read, 60×40"),
    Input("a grey photograph", other_mode("a.png", "L"), photograph, "read in grey, 60×40"),
    Input("an animation", saved("a.gif"), photograph, "read, 60×40"),
    Input("a JPEG of 106 megapixels", large, photograph, "read, 4096×2731"),
    Input("a PNG that says 400 megapixels", lambda folder: bomb(folder / "a.png", 20_000, 20_000),
          photograph,
          "refused: “the picture a.png has 20000×20000 pixels, 400 megapixels: at most 100 are "
          "read. Reduce it, 4096 pixels on the longer side are enough, or as JPEG, of which 250 "
          "are read.”"),
    Input("a PostScript file called `.jpg`", holding("a.jpg", b"%!PS-Adobe-3.0 EPSF-3.0\n"),
          photograph,
          "refused: “expected a photograph (JPEG, PNG, WebP, AVIF, HEIC, TIFF, …), found a "
          "PostScript file (a program) in a.jpg. Open it in a viewer and save it as PNG or "
          "JPEG.”"),
    Input("an empty file", holding("a.jpg", b""), photograph,
          "refused: “expected a photograph (JPEG, PNG, WebP, AVIF, HEIC, TIFF, …), found an empty "
          "file in a.jpg. Open it in a viewer and save it as PNG or JPEG.”"),
]  # fmt: skip

FILMS = [
    Input("`.m4v`", films("a.m4v", form="mp4"), numbered, EVEN),
    Input("`.MTS`, as camcorders write", films("a.MTS", form="mpegts"), numbered, EVEN),
    Input("a name with colons, `2024-05-01T12:30:00.mp4`", films("2024-05-01T12:30:00.mp4"),
          numbered, EVEN),
    Input("two broadcasts joined by `cat`", lambda folder: joined(folder / "two.ts"), numbered,
          "24 pictures of 64×48, 25 a second, evenly"),
    Input("H.264 with B-frames in AVI",
          lambda folder: write_pictures(folder / "a.avi", pictures(),
                                        options={"bf": "2", "b-adapt": "0"}),
          numbered, EVEN),
    Input("H.264 alone, without any times", films("a.h264", form="h264"), numbered, EVEN),
    Input("a dashcam whose clock was set while it filmed", jumping, numbered, EVEN),
    Input("WebM of a browser's recorder: no duration, uneven", browsers, numbered,
          "8 pictures of 64×48, 30 a second, the longest for 141 ms"),
    Input("turned by its display matrix, as phones do", with_matrix(0, 1, -1, 0), corner,
          "48×64, with the picture's top left at the top right"),
    Input("mirrored by it, as the front camera does", with_matrix(-1, 0, 0, 1), corner,
          "64×48, with the picture's top left at the top right"),
    Input("pixels twice as wide as high", wide, numbered,
          "12 pictures of 128×48, 25 a second, evenly"),
    Input("interlaced, from a camcorder or television",
          lambda folder: interlaced(folder / "a.ts", 12), film,
          "12 pictures of 128×96, 25 a second, evenly"),
    Input("HDR (PQ): light a fifth of white's", lambda folder: hdr_film(folder / "a.mp4", 16, 0.43),
          grey, "shown 130 of 255 bright"),
    Input("HDR (HLG): the same light", lambda folder: hdr_film(folder / "a.mp4", 18, 0.45),
          grey, "shown 120 of 255 bright"),
    Input("a browser's camera that becomes smaller meanwhile",
          lambda folder: in_one_size_then_another(folder / "a.mkv", (96, 64), (48, 32), 12),
          numbered, "12 pictures of 96×64, 25 a second, evenly"),
    Input("a title that is not in UTF-8, as old programs wrote", foreign_title, numbered, EVEN),
    Input("cut off in the middle", lambda folder: cut_off(folder / "a.mp4"), film,
          "47 pictures of 128×96, 25 a second, evenly; 2 s are missing, and a line says so"),
    Input("a codec that is not known here", unknown_pictures, film, NO_DECODER),
    Input("sound alone", lambda folder: make_sound(folder / "a.mp4"), film,
          "refused: “a.mp4: expected a video, found no video stream. Choose another video file or "
          "a camera.”"),
    Input("half of an MP4 whose index was at its end", cut(films("a.mp4")), film,
          "refused: “a.mp4: expected a video, found a file that is not one, is empty or is cut off "
          "(Invalid data found when processing input). Convert or download it again.”"),
]  # fmt: skip

SOUNDS = [
    Input("AAC in MP4", sounding("a.mp4", "aac"), sound, "copied as AAC"),
    Input("AAC of a broadcast (`.ts`)", sounding("a.ts", "aac"), sound, AAC),
    Input("MP3", sounding("a.mkv", "mp3"), sound, "copied as MP3"),
    Input("AC-3", sounding("a.mkv", "ac3"), sound, AAC),
    Input("E-AC-3, 5.1", sounding("a.mkv", "eac3", layout="5.1"), sound, AAC),
    Input("Windows Media", sounding("a.asf", "wmav2", rate=44100, layout="stereo"), sound, AAC),
    Input("PCM of 8 kHz", sounding("a.mov", "pcm_s16le", rate=8000), sound, AAC),
    Input("PCM of 11024 Hz, from a digital camera", sounding("a.avi", "pcm_s16le", rate=11024),
          sound, AAC),
    Input("PCM of 192 kHz", sounding("a.mov", "pcm_s16le", rate=192_000), sound, AAC),
    Input("ambisonics of a 360° camera", sounding("a.mov", "pcm_s16le", layout="ambisonic 1"),
          sound, AAC),
    Input("24 channels without names", sounding("a.mkv", "pcm_s16le", layout="24 channels"), sound,
          AAC),
    Input("two tracks, the second of them the default",
          sounding("a.mkv", "ac3", "ac3", hz=(880, 440), defaults=(1,)), sound,
          f"track 2 of 2, {AAC}"),
    Input("a first track that nothing decodes", unknown_sound("ac3", "aac"), sound,
          "track 2 of 2, copied as AAC"),
    Input("sound that nothing decodes", unknown_sound("ac3"), sound,
          "a silent film, and a line: no decoder knows the sound"),
    Input("no sound", sounding("a.mp4"), sound, "a silent film, and a line"),
]  # fmt: skip

ROWS = [*PHOTOGRAPHS, *FILMS, *SOUNDS]


def outcome(row: Input, folder: Path) -> str:
    """Make the row's file in ``folder`` and return what came of it."""
    with chdir(folder):  # a name such as `~me.jpg` is one only where it lies
        return row.look(Path(row.make(folder).name) if "~" in row.have else row.make(folder))


def table() -> str:
    """Return the page's tables."""
    parts = [("A photograph", PHOTOGRAPHS), ("A film", FILMS), ("Its sound", SOUNDS)]
    lines = []
    for title, rows in parts:
        lines += [f"\n## {title}\n", "| what you have | what happens |", "|---|---|"]
        lines += [f"| {row.have} | {row.happens} |" for row in rows]
    return "\n".join(lines)


def with_table(text: str) -> str:
    """Return the page's text with the tables of today between its marks."""
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}\n{table()}\n\n{END}{rest.split(END)[1]}"


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
