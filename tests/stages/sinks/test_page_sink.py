"""Pictures for pages: encoded once, a keyframe for whoever comes, opacity below the colours."""

from __future__ import annotations

from typing import Any

import av
import numpy as np
import pytest

from avatar.core.clock import ManualClock
from avatar.core.errors import UsageError
from avatar.core.frames import GeneratedFrame, LabelledFrame, Presence, UInt8Image
from avatar.stages.label import VisibleLabel
from avatar.stages.sinks import create_sink, keeps_alpha
from avatar.stages.sinks.page import DEFAULT_PORT, Audience, EncodedPicture, PageCodec, PageSink
from tests.stages.sinks.numbers import COLOUR, colour_error, number, numbered

SIZE = (320, 240)
CODECS: tuple[PageCodec, ...] = ("H264", "VP8")
every_codec = pytest.mark.parametrize("codec", CODECS)


def at(index: int, frame: LabelledFrame | None = None) -> LabelledFrame:
    """Return a numbered frame, or ``frame``, at its time of 30 a second."""
    frame = frame or numbered(index, SIZE)
    return LabelledFrame(
        frame.image, index * 33_333_333, index, frame.presence, frame.label_text, frame.seal,
        frame.alpha,
    )  # fmt: skip


def decoded(pictures: list[EncodedPicture], codec: PageCodec = "H264") -> list[UInt8Image]:
    decoder: Any = av.CodecContext.create(codec.lower(), "r")
    frames = [frame for picture in pictures for frame in decoder.decode(av.Packet(picture.data))]
    frames += decoder.decode(None)
    return [frame.to_ndarray(format="rgb24") for frame in frames]


def transparent(value: int) -> LabelledFrame:
    image = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
    alpha = np.zeros((SIZE[1], SIZE[0]), np.uint8)
    image[60:180, 80:240] = np.array(COLOUR) * value // 255
    alpha[60:180, 80:240] = value
    return VisibleLabel().label(GeneratedFrame(image, 0, 0, Presence.TRACKED, alpha))


@every_codec
def test_every_picture_comes_through_at_once_with_its_time(codec: PageCodec) -> None:
    audience = Audience()
    got: list[EncodedPicture] = []
    with PageSink(SIZE, 30, audience) as sink:
        audience.subscribe(got.append, codec)
        for index in range(70):
            sink.write(at(index))
            assert len(got) == index + 1, "no picture waits for another"
    assert [picture.timestamp_ns for picture in got] == [n * 33_333_333 for n in range(70)]
    assert [n for n, picture in enumerate(got) if picture.is_keyframe] == [0, 60]
    images = decoded(got, codec)
    assert [number(image) for image in images] == list(range(70))
    assert max(map(colour_error, images)) <= 6


@every_codec
def test_nobody_watches_nothing_is_encoded(codec: PageCodec) -> None:
    audience = Audience()
    got: list[EncodedPicture] = []
    with PageSink(SIZE, 30, audience) as sink:
        sink.write(at(0))
        end = audience.subscribe(got.append, codec)
        sink.write(at(1))
        end()
        sink.write(at(2))
        audience.subscribe(got.append, codec)
        sink.write(at(3))
    assert [(p.timestamp_ns // 33_333_333, p.is_keyframe) for p in got] == [(1, True), (3, True)]


@every_codec
def test_whoever_comes_while_others_watch_begins_with_a_keyframe(codec: PageCodec) -> None:
    audience = Audience()
    first: list[EncodedPicture] = []
    second: list[EncodedPicture] = []
    with PageSink(SIZE, 30, audience) as sink:
        audience.subscribe(first.append, codec)
        for index in range(3):
            sink.write(at(index))
        audience.subscribe(second.append, codec)
        sink.write(at(3))
        sink.write(at(4))
        audience.request_keyframe(codec)
        sink.write(at(5))
    assert [picture.is_keyframe for picture in first] == [True, False, False, True, False, True]
    assert [number(image) for image in decoded(second, codec)] == [3, 4, 5]


@every_codec
@pytest.mark.parametrize("value", [255, 128])
def test_opacity_stands_below_the_colours(value: int, codec: PageCodec) -> None:
    audience = Audience()
    got: list[EncodedPicture] = []
    with PageSink(SIZE, 30, audience) as sink:
        audience.subscribe(got.append, codec)
        for index in range(3):
            sink.write(at(index, transparent(value)))
    image = decoded(got, codec)[-1].astype(int)
    assert image.shape == (2 * SIZE[1], SIZE[0], 3)
    colours, opacity = np.split(image, 2)
    assert np.abs(colours[120, 160] - np.array(COLOUR) * value // 255).max() <= 6
    assert np.abs(opacity[120, 160] - value).max() <= 3
    assert opacity[120, 20].max() <= 3
    assert np.ptp(opacity, axis=2).max() <= 6, "opacity is grey"


@every_codec
def test_transparency_may_come_and_go(codec: PageCodec) -> None:
    audience = Audience()
    got: list[EncodedPicture] = []
    with PageSink(SIZE, 30, audience) as sink:
        audience.subscribe(got.append, codec)
        for index, frame in enumerate([None, None, transparent(255), transparent(255), None]):
            sink.write(at(index, frame))
    assert [picture.is_keyframe for picture in got] == [True, False, True, False, True]
    assert [image.shape[0] for image in decoded(got, codec)] == [240, 240, 480, 480, 240]


def test_each_codec_is_encoded_for_those_who_want_it_alone() -> None:
    audience = Audience()
    got: dict[PageCodec, list[EncodedPicture]] = {codec: [] for codec in CODECS}
    with PageSink(SIZE, 30, audience) as sink:
        end = audience.subscribe(got["H264"].append, "H264")
        sink.write(at(0))
        audience.subscribe(got["VP8"].append, "VP8")
        sink.write(at(1))
        audience.request_keyframe("VP8")
        sink.write(at(2))
        end()
        sink.write(at(3))
    assert [picture.is_keyframe for picture in got["H264"]] == [True, False, False]
    assert [picture.is_keyframe for picture in got["VP8"]] == [True, True, False]
    assert [number(image) for image in decoded(got["VP8"], "VP8")] == [1, 2, 3]


def test_the_output_is_named_on_the_command_line() -> None:
    def made(spec: str) -> PageSink:
        sink = create_sink(spec, size_px=SIZE, fps=30, clock=ManualClock())
        assert isinstance(sink, PageSink)
        return sink

    assert (made("page").name, made("page").port) == ("page", DEFAULT_PORT)
    assert (made("page:9000").name, made("page:9000").port) == ("page:9000", 9000)
    assert keeps_alpha("page:9000")
    for wrong in ("page:web", "page:-1", "page:70000"):
        with pytest.raises(UsageError, match="port"):
            made(wrong)
