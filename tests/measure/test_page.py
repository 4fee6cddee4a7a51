"""Pages of figures are well formed, escape what users named, and load nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avatar.core.errors import SinkError, UsageError
from avatar.core.observe import Span
from avatar.core.pictures import jpeg, png
from avatar.measure.page import (
    Html,
    all_figures,
    bad,
    bullets,
    check_plot,
    element,
    joined,
    page,
    picture,
    plot,
    table,
    write_plot,
)
from avatar.measure.plot import plot_bench
from tests.core.product import product
from tests.measure.pages import Page

HOSTILE = "</title></style><script>alert('1')</script><img src=\"http://a.b/c\" onerror=x> & Zoë"
TEXTS = st.one_of(st.just(HOSTILE), st.text(st.characters(exclude_categories=["C", "Z"])))


@given(text=TEXTS)
def test_whatever_a_user_names_is_text(text: str) -> None:
    shown = Page(
        page(
            text,
            element("p", text, title=text),
            bullets([text, joined(text, bad(text))]),
            table([text, "b"], [[text, bad(text)], ["c", "d"]]),
            table([], [[text]]),
            picture(text, b"\0", "png"),
            all_figures({text: [text, 1.5]}),
        )
    )
    # The figures are JSON, where some characters are written otherwise.
    assert shown.text.count(text) >= 9
    alts = [attributes["alt"] for tag, attributes in shown.tags if tag == "img"]
    assert alts == [text]
    assert [tag for tag, _ in shown.tags].count("p") == 1


def test_only_pieces_of_a_page_stand_as_they_are() -> None:
    assert element("p", "<b>", Html("<i></i>"), class_='"') == (
        '<p class="&quot;">&lt;b&gt;<i></i></p>'
    )
    assert element("img", alt="a", src="b") == '<img alt="a" src="b">'


def test_a_table_sets_words_to_the_left() -> None:
    shown = table(["a", "b"], [["c", "1"]], texts=(0,))
    assert shown == (
        '<table><thead><tr><th class="text">a</th><th>b</th></tr></thead>'
        '<tbody><tr><td class="text">c</td><td>1</td></tr></tbody></table>'
    )


def test_pictures_are_encoded_in_their_own_colours() -> None:
    import cv2

    image = np.zeros((32, 48, 3), np.uint8)
    image[:16] = (230, 20, 90)
    for data, kind, off in ((jpeg(image, 95), b"\xff\xd8", 6), (png(image), b"\x89PNG", 0)):
        assert data.startswith(kind)
        back = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
        assert np.abs(back[:12].astype(int) - image[:12]).max() <= off


def test_a_plot_is_a_picture_or_a_page(tmp_path: Path) -> None:
    def around(drawing: bytes) -> str:
        return page("drawn", plot("a line", drawing))

    write_plot(tmp_path / "a.PNG", b"picture", around)
    assert (tmp_path / "a.PNG").read_bytes() == b"picture"
    write_plot(tmp_path / "a.html", b"picture", around)
    assert Page((tmp_path / "a.html").read_text("utf-8")).count("img") == 1
    with pytest.raises(UsageError, match=r"\.png or \.html, found a\.gif"):
        check_plot(Path("a.gif"))
    with pytest.raises(SinkError, match=r"a\.png cannot be written: No such file"):
        write_plot(tmp_path / "none" / "a.png", b"", around)


def test_a_benchmark_of_a_clip_with_any_name(tmp_path: Path) -> None:
    times = {"p50_ms": 1.0, "p95_ms": 2.0, "p99_ms": 3.0, "max_ms": 4.0}
    what = {"camera": "clips/<b>&.mp4", "engine": "portrait", "frame": "portrait", "size": "512"}
    summary = {
        "what": what,
        "stages": {"track": times},
        "sinks": {"none": {"latency": times, "delivery": {"fps": 30.0}}},
    }
    spans = {"track": [Span("track", 1, 0, 1_000_000)]}
    plot_bench(tmp_path / "bench.html", summary, spans)
    shown = Page((tmp_path / "bench.html").read_text("utf-8"))
    assert "<b>&.mp4 → portrait" in shown.text and shown.count("b") == 0


def test_pages_have_one_maker() -> None:
    makers = [
        name
        for name, text in product()
        if "<html" in text.lower() or "<!doctype" in text.lower() or "data:image/" in text
    ]
    # The other one leads a browser on, and shows nothing.
    assert makers == ["avatar.measure.page", "avatar.web.leading"]
