from __future__ import annotations

import io
import threading
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from avatar.core.errors import UsageError
from avatar.core.frames import GeneratedFrame, Presence, UInt8Image
from avatar.stages.label import CORNERS, VisibleLabel, create_labeller, fonts, visible

BACKGROUNDS = ["black", "white", "plate", "text", "noise", "fine checks"]


def background(kind: str, size_px: tuple[int, int]) -> UInt8Image:
    width, height = size_px
    flat = {"black": 0, "white": 255, "plate": 20, "text": 250}
    if kind in flat:
        return np.full((height, width, 3), flat[kind], np.uint8)
    if kind == "noise":
        return np.random.default_rng(1).integers(0, 256, (height, width, 3), np.uint8)
    checks = (np.indices((height, width)).sum(0) % 2 * 255).astype(np.uint8)
    return np.repeat(checks[..., None], 3, axis=2)


def mark(label: VisibleLabel, image: UInt8Image) -> UInt8Image:
    return label.label(GeneratedFrame(image.copy(), 5, 3, Presence.HELD)).image


def ink(label: VisibleLabel, size_px: tuple[int, int]) -> NDArray[np.bool_]:
    """Return where the text itself stands: opaque, so the same on black as on white."""
    dark = mark(label, background("black", size_px))
    light = mark(label, background("white", size_px))
    opaque: NDArray[np.bool_] = (dark == light).all(-1) & (dark.min(-1) > 240)
    return opaque


def touched(label: VisibleLabel, size_px: tuple[int, int]) -> NDArray[np.bool_]:
    dark = background("black", size_px)
    light = background("white", size_px)
    changed: NDArray[np.bool_] = (mark(label, dark) != dark).any(-1) | (
        mark(label, light) != light
    ).any(-1)
    return changed


def luminance(image: UInt8Image) -> NDArray[np.float64]:
    """WCAG 2 relative luminance."""
    c = image / 255.0
    linear = np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
    weighted: NDArray[np.float64] = linear @ np.array([0.2126, 0.7152, 0.0722])
    return weighted


def rows_and_columns(mask: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return rows[0], rows[-1] + 1, columns[0], columns[-1] + 1


@pytest.mark.parametrize("kind", BACKGROUNDS)
def test_text_stands_out_on_any_background(kind: str) -> None:
    size = (640, 480)
    label = VisibleLabel()
    text = ink(label, size)
    marked = mark(label, background(kind, size))
    top, bottom, left, right = rows_and_columns(text)
    # The plate well inside the text's box, without the letters' soft edges.
    plate = np.zeros_like(text)
    plate[top:bottom, left:right] = True
    near = text.copy()
    for axis in (0, 1):
        for step in (-2, -1, 1, 2):
            near |= np.roll(text, step, axis)
            near |= np.roll(np.roll(text, step, 0), -step, 1)
            near |= np.roll(np.roll(text, step, 0), step, 1)
    plate &= ~near
    assert plate.any()
    bright, dark = luminance(marked)[text].min(), luminance(marked)[plate].max()
    assert (bright + 0.05) / (dark + 0.05) >= 4.5


@pytest.mark.parametrize("kind", ["black", "plate"])
def test_plate_itself_is_seen_on_a_dark_background(kind: str) -> None:
    size = (640, 480)
    label = VisibleLabel()
    before = background(kind, size)
    marked = mark(label, before)
    rim = touched(label, size)
    top, bottom, left, right = rows_and_columns(rim)
    middle = (left + right) // 2
    assert int(marked[top, middle].min()) - int(before[top, middle].max()) > 80
    assert bottom - top > 0


@settings(deadline=None, max_examples=40)
@given(
    width=st.integers(200, 1100),
    height=st.integers(200, 1100),
    corner=st.sampled_from(CORNERS),
    text=st.sampled_from(["AI", "ai", "KI", "ИИ", "Ai gen", "x"]),
)
def test_text_is_tall_enough_and_inside_the_frame(
    width: int, height: int, corner: visible.Corner, text: str
) -> None:
    label = VisibleLabel(text, corner)
    size = (width, height)
    top, bottom, left, right = rows_and_columns(ink(label, size))
    # The outermost rows may be soft edges: half a pixel on either side.
    assert bottom - top + 1 >= 0.05 * min(size)
    plate_top, plate_bottom, plate_left, plate_right = rows_and_columns(touched(label, size))
    assert plate_top > 0 and plate_left > 0
    assert plate_bottom < height and plate_right < width
    assert plate_top <= top and bottom <= plate_bottom
    assert (plate_top < height - plate_bottom) == corner.startswith("top")
    assert (plate_left < width - plate_right) == corner.endswith("left")
    assert plate_left <= left and right <= plate_right


def test_capitals_meet_the_rule_at_common_sizes() -> None:
    for size in [(1280, 720), (1920, 1080), (640, 480), (720, 1280), (512, 512)]:
        top, bottom, _, _ = rows_and_columns(ink(VisibleLabel("AI"), size))
        assert bottom - top >= 0.05 * min(size)


def test_label_survives_h264_and_halved_colour() -> None:
    """The text and the plate keep their contrast through a strongly compressed video."""
    import av

    size = (640, 480)
    label = VisibleLabel()
    text = ink(label, size)
    marked = mark(label, background("noise", size))
    memory = io.BytesIO()
    with av.open(memory, "w", format="mp4") as out:
        stream = out.add_stream("libx264", rate=Fraction(30), options={"crf": "35"})
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for _ in range(5):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(marked, format="rgb24")))
        out.mux(stream.encode(None))
    memory.seek(0)
    with av.open(memory) as back:
        *_, last = (frame.to_ndarray(format="rgb24") for frame in back.decode(video=0))
    top, bottom, left, right = rows_and_columns(text)
    box = np.zeros_like(text)
    box[top:bottom, left:right] = True
    grey = last.mean(-1)
    core = text & np.roll(text, 2, 1) & np.roll(text, -2, 1)
    plate = box & ~text & ~np.roll(text, 3, 1) & ~np.roll(text, -3, 1)
    assert np.percentile(grey[core], 10) - np.percentile(grey[plate], 90) > 90


def test_frame_keeps_its_time_and_says_what_stands_in_it() -> None:
    frame = GeneratedFrame(background("noise", (320, 240)), 123, 7, Presence.IDLE)
    before = frame.image.copy()
    marked = VisibleLabel("KI").label(frame)
    assert (marked.timestamp_ns, marked.index, marked.presence) == (123, 7, Presence.IDLE)
    assert marked.label_text == "KI"
    assert marked.image is frame.image
    outside = ~touched(VisibleLabel("KI"), (320, 240))
    np.testing.assert_array_equal(marked.image[outside], before[outside])


def test_read_only_picture_is_copied() -> None:
    image = background("black", (320, 240))
    image.flags.writeable = False
    marked = VisibleLabel().label(GeneratedFrame(image, 0, 0, Presence.TRACKED))
    assert marked.image is not image
    assert not image.any()
    assert marked.image.any()


def test_no_value_wraps_around() -> None:
    for value in range(256):
        image = np.full((120, 160, 3), value, np.uint8)
        marked = mark(VisibleLabel("I"), image)
        assert marked.max() >= value * 0.99
        assert marked.min() >= value * 0.2


def test_corner_goes_round_and_comes_back() -> None:
    label = VisibleLabel()
    assert label.corner == "top-right"
    seen = [label.next_corner() for _ in range(4)]
    assert seen == ["top-left", "bottom-left", "bottom-right", "top-right"]


def test_corner_may_change_while_another_thread_draws() -> None:
    label = VisibleLabel()
    black = background("black", (160, 120))
    expected = []
    for _ in CORNERS:
        expected.append(mark(label, black).tobytes())
        label.next_corner()
    stop = threading.Event()

    def turn() -> None:
        while not stop.is_set():
            label.next_corner()

    thread = threading.Thread(target=turn)
    thread.start()
    try:
        for _ in range(200):
            assert mark(label, black).tobytes() in expected
    finally:
        stop.set()
        thread.join()


@pytest.mark.parametrize("text", ["", "   ", "\u200b", "...", "—", "\u3164 ", "7"])
def test_text_that_shows_nothing_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        VisibleLabel(text).prepare((640, 480))


@pytest.mark.parametrize("text", ["A\nI", "A\tI", "A\u202eI"])
def test_text_with_invisible_parts_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="U\\+"):
        VisibleLabel(text)


def test_text_too_long_for_the_frame_is_refused_at_the_start() -> None:
    with pytest.raises(UsageError, match=r"too long.*Shorten"):
        create_labeller(size_px=(640, 480), text="This picture was made by a machine, not a camera")


def test_frame_too_small_for_a_label_is_refused() -> None:
    with pytest.raises(UsageError, match="32×32"):
        VisibleLabel().prepare((31, 400))


def test_unknown_corner_is_refused() -> None:
    with pytest.raises(UsageError, match="top-right"):
        VisibleLabel(corner="middle")  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["KI-Überzeichnung", "ИИ", "Généré", "ΨΩ", "YZ ürünü"])
def test_accents_and_other_alphabets_have_real_glyphs(text: str) -> None:
    assert fonts.missing_characters(fonts.find_font(text), text) == []
    assert ink(VisibleLabel(text), (1280, 720)).any()


def test_decomposed_letters_are_composed() -> None:
    assert VisibleLabel("U\u0308ber").text == "Über"


def test_characters_no_font_has_are_named_with_the_package(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fonts, "system_fonts", lambda: iter(()))
    with pytest.raises(UsageError, match=r"'生' \(CJK.*'成'.*fonts-noto-cjk"):
        VisibleLabel("AI生成")


def test_a_font_of_the_system_is_taken_when_it_has_the_characters(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.ttf"
    broken.write_bytes(b"no font")
    serif = fonts.bundled_font().with_name("STIXGeneral.ttf")
    monkeypatch.setattr(fonts, "system_fonts", lambda: iter((broken, serif)))
    char = next(chr(code) for code in range(0x2100, 0x2200) if _only_in(serif, chr(code)))
    assert fonts.find_font(f"A{char}") == serif


def _only_in(font: Path, char: str) -> bool:
    return not fonts.missing_characters(font, char) and bool(
        fonts.missing_characters(fonts.bundled_font(), char)
    )


def test_chinese_label_is_drawn_where_a_font_for_it_is_installed() -> None:
    try:
        label = VisibleLabel("AI生成")
    except UsageError:
        pytest.skip("no font with Chinese characters on this system")
    assert ink(label, (640, 480)).any()


def test_the_label_is_opaque_on_a_transparent_picture() -> None:
    height, width = 200, 300
    clear = GeneratedFrame(
        np.zeros((height, width, 3), np.uint8), 0, 0, Presence.TRACKED,
        np.zeros((height, width), np.uint8),
    )  # fmt: skip
    labelled = VisibleLabel().label(clear)
    assert labelled.alpha is not None
    assert (labelled.image.max(axis=2) <= labelled.alpha).all()
    rows, columns = np.nonzero(labelled.alpha)
    plate = labelled.alpha[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    middle = plate[len(plate) // 4 : -len(plate) // 4]
    assert (middle[:, 1:-1] == 255).all()
    assert plate[0, 0] < 128  # its corners are round


def test_the_label_takes_nothing_from_an_opaque_picture() -> None:
    solid = GeneratedFrame(
        np.full((200, 300, 3), 90, np.uint8), 0, 0, Presence.TRACKED,
        np.full((200, 300), 255, np.uint8),
    )  # fmt: skip
    labelled = VisibleLabel().label(solid)
    assert labelled.alpha is not None
    assert (labelled.alpha == 255).all()
