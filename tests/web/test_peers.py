"""Video to and from pages, with aiortc as the page: real ICE, DTLS and RTP on loopback."""

from __future__ import annotations

import asyncio
import gc
import itertools
import re
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

import numpy as np
import pytest

from avatar.core.clock import MonotonicClock
from avatar.core.errors import UsageError
from avatar.core.frames import GeneratedFrame, LabelledFrame, Presence
from avatar.stages.label import VisibleLabel
from avatar.stages.sinks.page import Audience, PageSink
from avatar.stages.sources.page import PageInbox
from avatar.web.offers import without_candidates
from avatar.web.peers import MAX_PREVIEWS, MAX_WATCHERS, Peers
from avatar.web.prompt import PromptBuffer
from tests.stages.sinks.numbers import COLOUR, colour_error, number, numbered
from tests.web.fakes import LOOPBACK, Page, film_track, until

SIZE = (320, 240)


def run(what: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(what, 60))


class Stage:
    """Peers with somebody who draws numbered pictures all the time."""

    def __init__(self, transparent: bool = False) -> None:
        self.audience = Audience()
        self.lines: list[str] = []
        self.inbox = PageInbox(MonotonicClock())
        self.peers = Peers(self.audience, self.inbox, LOOPBACK, self.lines.append)
        self.index = 0
        self._sink = PageSink(SIZE, 30, self.audience)
        self._transparent = transparent

    async def __aenter__(self) -> Stage:
        self._sink.__enter__()
        self._drawing = asyncio.create_task(self._draw())
        return self

    async def __aexit__(self, *why: object) -> None:
        self._drawing.cancel()
        await self.peers.close()
        self._sink.__exit__(None, None, None)

    async def _draw(self) -> None:
        while True:
            self._sink.write(self._frame())
            self.index += 1
            await asyncio.sleep(1 / 60)

    def _frame(self) -> LabelledFrame:
        time_ns = self.index * 33_000_000
        if self._transparent:
            image = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
            alpha = np.zeros((SIZE[1], SIZE[0]), np.uint8)
            image[100:200, 40:160], alpha[100:200, 40:160] = COLOUR, 255
            frame = GeneratedFrame(image, time_ns, self.index, Presence.TRACKED, alpha)
            return VisibleLabel().label(frame)
        frame = numbered(self.index % 1024, SIZE)
        return LabelledFrame(
            frame.image, time_ns, self.index, frame.presence, frame.label_text, frame.seal
        )

    async def watch(self) -> Page:
        page = Page("recvonly")
        await page.accept(await self.peers.watch(await page.offer()))
        return page


def test_a_page_sees_the_pictures_in_order() -> None:
    async def scene() -> None:
        async with Stage() as stage:
            page = await stage.watch()
            seen = [await page.picture() for _ in range(20)]
            numbers = [number(image) for image in seen]
            assert all(0 < b - a <= 3 for a, b in itertools.pairwise(numbers)), numbers
            assert colour_error(seen[-1]) <= 8
            await page.close()

    run(scene())


def test_opacity_travels_below_the_colours() -> None:
    async def scene() -> None:
        async with Stage(transparent=True) as stage:
            page = await stage.watch()
            image = await page.picture()
            assert image.shape == (2 * SIZE[1], SIZE[0], 3)
            colours, opacity = np.split(image.astype(int), 2)
            assert np.abs(colours[150, 100] - COLOUR).max() <= 8
            assert opacity[150, 100].min() >= 250 and opacity[150, 250].max() <= 5
            assert opacity[12:24, -40:-12].min() >= 200, "the label is opaque"
            await page.close()

    run(scene())


def test_several_watch_one_encoder_and_whoever_comes_late_sees_at_once() -> None:
    async def scene() -> None:
        async with Stage() as stage:
            first = await stage.watch()
            for _ in range(5):
                await first.picture()
            before = stage.index
            second = await stage.watch()
            await second.picture()
            assert stage.index - before < 60, "not only at the next regular keyframe"
            await first.picture()
            await first.close()
            await until(lambda: stage.peers.watching == 1, "the first page left")
            for _ in range(5):
                await second.picture()
            await second.close()
            await until(lambda: stage.audience.is_empty, "nobody watches")

    run(scene())


def test_the_answer_names_no_other_address_than_the_one_listened_on() -> None:
    async def scene() -> None:
        async with Stage() as stage:
            page = Page("recvonly")
            answer = await stage.peers.watch(await page.offer())
            found = re.findall(r"a=candidate:\S+ 1 udp \d+ (\S+) \d+ typ (\S+)", answer)
            assert found == [("127.0.0.1", "host")]
            assert "H264" in answer and "VP8" not in answer
            await page.close()

    run(scene())


def only(codec: str) -> Page:
    """Return a page whose browser has one codec alone."""
    from aiortc import RTCRtpReceiver

    page = Page("recvonly")
    known = RTCRtpReceiver.getCapabilities("video").codecs
    page.transceiver.setCodecPreferences([one for one in known if one.mimeType == codec])
    return page


@pytest.mark.parametrize("transparent", [False, True])
def test_a_browser_without_h264_sees_the_pictures_by_vp8(transparent: bool) -> None:
    async def scene() -> None:
        async with Stage(transparent) as stage:
            page, other = only("video/VP8"), await stage.watch()
            answer = await stage.peers.watch(await page.offer())
            assert "VP8" in answer and "H264" not in answer
            await page.accept(answer)
            images = [await page.picture() for _ in range(10)]
            if transparent:
                assert images[-1].shape == (2 * SIZE[1], SIZE[0], 3)
            else:
                numbers = [number(image) for image in images]
                assert all(0 < b - a <= 3 for a, b in itertools.pairwise(numbers)), numbers
                assert colour_error(images[-1]) <= 8
            await other.picture()
            await page.close()
            await other.close()
            await until(lambda: stage.audience.is_empty, "nobody watches")

    run(scene())


def test_a_browser_that_has_neither_codec_is_told_what_it_has() -> None:
    async def scene() -> None:
        async with Stage() as stage:
            page = Page("recvonly")
            offer = (await page.offer()).replace("VP8", "AV1").replace("H264", "VP9")
            with pytest.raises(UsageError, match=r"offers AV1, VP9.*needs H264 or VP8"):
                await stage.peers.watch(offer)
            await page.close()

    run(scene())


def test_a_browser_that_pairs_no_loopback_is_given_this_machines_addresses() -> None:
    """Firefox: what comes from another machine than this is not even looked at."""

    async def scene() -> None:
        audience, inbox = Audience(), PageInbox(MonotonicClock())
        peers = Peers(audience, inbox, LOOPBACK, print, wider=lambda: ["127.0.0.2"])
        page = Page("recvonly")
        answer = await peers.watch(await page.offer(), wide=True)
        found = re.findall(r"a=candidate:\S+ 1 udp \d+ (\S+) \d+ typ host", answer)
        assert sorted(found) == ["127.0.0.1", "127.0.0.2"]
        ice = peers._watchers["view"][0].getTransceivers()[0].sender.transport.transport
        heard: list[bytes] = []
        ice._connection.data_received = lambda data, component: heard.append(data)
        for protocol in ice._connection._protocols:
            for address in ("203.0.113.9", "127.0.0.1", "127.0.0.2"):
                protocol.datagram_received(address.encode(), (address, 50_000))
        assert sorted(set(heard)) == [b"127.0.0.1", b"127.0.0.2"]
        await page.close()
        await peers.close()

    run(scene())


def test_addresses_that_a_page_names_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither asked for by multicast nor sent to."""
    offer = (
        "v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 102\r\n"
        "a=candidate:1 1 udp 1 4c1e.local 50000 typ host\r\n"
        "a=candidate:2 1 udp 1 203.0.113.9 50000 typ host\r\na=end-of-candidates\r\na=mid:0\r\n"
    )
    kept = without_candidates(offer)
    assert "candidate" not in kept
    assert kept.endswith("a=mid:0\r\n")

    async def scene() -> None:
        from aioice import ice

        async def never(subscriber: object) -> None:
            raise AssertionError("a browser's .local name was asked for")

        monkeypatch.setattr(ice, "get_or_create_mdns_protocol", never)
        async with Stage() as stage:
            page = Page("recvonly")
            own = await page.offer()
            hostile = own.replace("a=setup", offer.split("\r\n")[2] + "\r\na=setup")
            await page.accept(await stage.peers.watch(hostile))
            await page.picture()
            await page.close()

    run(scene())


@pytest.mark.parametrize("offer", ["", "nonsense", "v=0\r\n", "x" * 40_000])
def test_an_offer_that_is_none_is_refused_in_words(offer: str) -> None:
    async def scene() -> None:
        async with Stage() as stage:
            with pytest.raises(UsageError, match="offer"):
                await stage.peers.watch(offer)
            assert stage.peers.watching == 0

    run(scene())


def test_only_so_many_watch() -> None:
    async def scene() -> None:
        async with Stage() as stage:
            pages = [await stage.watch() for _ in range(MAX_WATCHERS)]
            page = Page("recvonly")
            with pytest.raises(UsageError, match="are watching already"):
                await stage.peers.watch(await page.offer())
            for one in [*pages, page]:
                await one.close()

    run(scene())


def test_places_are_counted_while_pages_are_on_their_way() -> None:
    async def scene() -> None:
        async with Stage() as stage:
            pages = [Page("recvonly") for _ in range(MAX_WATCHERS + 3)]
            offers = [await page.offer() for page in pages]
            answers = await asyncio.gather(
                *(stage.peers.watch(offer) for offer in offers), return_exceptions=True
            )
            refused = [one for one in answers if isinstance(one, UsageError)]
            assert len(refused) == 3 and stage.peers.watching == MAX_WATCHERS
            for page in pages:
                await page.close()

    run(scene())


def test_the_studios_own_pages_have_places_whoever_watches() -> None:
    async def scene() -> None:
        async with Stage() as stage:
            pages = [await stage.watch() for _ in range(MAX_WATCHERS)]
            for _ in range(MAX_PREVIEWS + 2):
                page = Page("recvonly")
                await page.accept(await stage.peers.watch(await page.offer(), "studio"))
                pages.append(page)
            await until(
                lambda: stage.peers.watching == MAX_WATCHERS + MAX_PREVIEWS, "the oldest left"
            )
            assert (await pages[-1].picture()).shape[2] == 3, "the newest sees it"
            for page in pages:
                await page.close()

    run(scene())


@pytest.mark.parametrize(
    "lacks", ["a=fingerprint:", "a=ice-ufrag:", "a=ice-pwd:", "a=setup:", "a=mid:", "a=rtpmap:"]
)
def test_an_offer_that_lacks_something_leaves_no_fault_behind(lacks: str) -> None:
    faults: list[Any] = []

    async def scene() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))
        async with Stage() as stage:
            page = Page("recvonly")
            offer = "\r\n".join(
                line for line in (await page.offer()).splitlines() if not line.startswith(lacks)
            )
            with suppress(UsageError, ValueError):  # the page's side may not like the answer
                await page.accept(await stage.peers.watch(f"{offer}\r\n"))
            with suppress(UsageError):
                await stage.peers.receive(f"{offer}\r\n")
            await asyncio.sleep(0.5)
            await page.close()
        gc.collect()
        await asyncio.sleep(0)

    run(scene())
    assert faults == []


def test_a_page_that_would_send_nothing_does_not_take_the_camera() -> None:
    async def scene() -> None:
        async with Stage() as stage:
            page = Page("recvonly")
            with pytest.raises(UsageError, match="would send"):
                await stage.peers.receive(await page.offer())
            assert not stage.peers.has_camera and stage.lines == []
            await page.close()

    run(scene())


def test_a_page_is_the_camera_until_another_is() -> None:
    red, blue = (
        np.full((120, 160, 3), colour, np.uint8) for colour in ((200, 30, 30), (30, 30, 200))
    )

    async def newest(stage: Stage) -> Any:
        return await asyncio.to_thread(stage.inbox.take, 20.0)

    async def scene() -> None:
        async with Stage() as stage:
            first = Page("sendonly", film_track(red))
            await first.accept(await stage.peers.receive(await first.offer()))
            image, arrived_ns = await newest(stage)
            assert image.shape == (120, 160, 3) and image.dtype == np.uint8
            assert np.abs(image[60, 80].astype(int) - (200, 30, 30)).max() <= 12
            assert 0 <= MonotonicClock().now_ns() - arrived_ns < 5e9
            second = Page("sendonly", film_track(blue))
            await second.accept(await stage.peers.receive(await second.offer()))
            await until(lambda: first.connection.connectionState == "closed", "the first was left")
            assert "another page is the camera now" in stage.lines
            stage.inbox.clear()
            image, _ = await newest(stage)
            assert image[60, 80, 2] > 150
            await second.close()
            await until(lambda: not stage.peers.has_camera, "the second left")
            assert stage.lines[-1] == "the page's camera ended"
            await first.close()

    run(scene())


def test_a_view_alone_takes_no_camera() -> None:
    async def scene() -> None:
        page = Page("sendonly", film_track(np.zeros((48, 64, 3), np.uint8)))
        peers = Peers(Audience(), None, LOOPBACK, print)
        with pytest.raises(UsageError, match="cannot be the camera"):
            await peers.receive(await page.offer())
        await page.close()

    run(scene())


def test_a_page_that_nobody_hears_of_again_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    from avatar.web import peers as module

    monkeypatch.setattr(module, "CONNECT_WITHIN_S", 0.05)

    async def scene() -> None:
        async with Stage() as stage:
            page = Page("recvonly")
            await stage.peers.watch(await page.offer())  # the answer gets lost
            assert stage.peers.watching == 1
            await until(lambda: stage.peers.watching == 0, "given up")
            await until(lambda: stage.audience.is_empty, "not encoded for")
            await page.close()

    run(scene())


def test_nothing_is_kept_of_a_connection_that_ended() -> None:
    async def scene() -> None:
        async with Stage() as stage:
            pages = [
                Page("sendonly", film_track(np.zeros((48, 64, 3), np.uint8))) for _ in range(4)
            ]
            for page in pages:  # each takes the camera from the one before, and none connects
                await stage.peers.receive(await page.offer())
            # What waits for a connection and what reads its pictures hold all of it.
            await until(lambda: len(stage.peers._tasks) <= 2, "only the last one's")
            for page in pages:
                await page.close()

    run(scene())


def test_a_page_that_vanishes_without_a_word_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """A browser that crashed, a phone out of reach: nobody says good-bye."""
    from aioice import ice

    monkeypatch.setattr(ice, "CONSENT_INTERVAL", 0.05)
    monkeypatch.setattr(ice, "CONSENT_FAILURES", 1)

    async def scene() -> None:
        async with Stage() as stage:
            page = await stage.watch()
            await page.picture()
            connection = page.transceiver.receiver.transport.transport._connection
            for protocol in connection._protocols:
                protocol.transport.close()
            await until(lambda: stage.peers.watching == 0, "left")
            await until(lambda: stage.audience.is_empty, "not encoded for")
            await page.close()

    run(scene())


class Packet:
    """What a jitter buffer looks at of a packet."""

    def __init__(self, number: int, timestamp: int, marker: int, data: bytes) -> None:
        self.sequence_number, self.timestamp, self.marker = number % 65_536, timestamp, marker
        self._data = data


def film(first: int) -> list[Packet]:
    """Return three pictures of two, one and three packets."""
    parts = [
        (10, 0, b"a"),
        (10, 1, b"b"),
        (20, 1, b"c"),
        (30, 0, b"d"),
        (30, 0, b"e"),
        (30, 1, b"f"),
    ]
    return [Packet(first + n, *part) for n, part in enumerate(parts)]


def received(packets: list[Packet]) -> list[bytes | None]:
    from aiortc.jitterbuffer import JitterBuffer

    buffer = PromptBuffer(JitterBuffer(capacity=16, is_video=True))
    pictures = [buffer.add(packet)[1] for packet in packets]
    return [picture.data if picture is not None else None for picture in pictures]


@pytest.mark.parametrize("first", [0, 1000, 65_533])
def test_a_picture_is_there_with_its_last_packet(first: int) -> None:
    assert received(film(first)) == [None, b"ab", b"c", None, None, b"def"]


def test_packets_out_of_order_wait_for_each_other() -> None:
    a, b, c, d, e, f = film(0)
    assert received([a, c, b, d, e, f])[-1] in (b"c", b"def")
    assert b"def" in [*received([a, c, b, d, e, f, *film(6)[:1]])]
    assert received([a, b, c, d, f, e])[:5] == [None, b"ab", b"c", None, None]
