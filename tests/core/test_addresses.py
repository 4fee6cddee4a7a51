"""Of an address only scheme, host and port are ever shown."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avatar.core.addresses import is_address, shown_address, shown_spec, without_addresses

KEY = "live_123-s3cr3t"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("rtmp://live.example/app/KEY", "rtmp://live.example/…"),
        ("rtmp://live.example/app/KEY/", "rtmp://live.example/…"),
        ("rtmp://live.example", "rtmp://live.example"),
        ("rtmp://u:p@live.example:99/app/KEY?x=1", "rtmp://live.example:99/…"),
        ("rtmps://h/app/inst/KEY#f", "rtmps://h/…"),
        ("udp://239.0.0.1:5004", "udp://239.0.0.1:5004"),
        ("udp://239.0.0.1:5004?localaddr=1", "udp://239.0.0.1:5004/…"),
        ("rtmp://[::1]:1935/app/KEY", "rtmp://[::1]:1935/…"),
        ("whip:https://h:8443/KEY/webRTC/publish", "whip:https://h:8443/…"),
        ("WHIP:HTTPS://H/KEY", "whip:https://h/…"),
        ("rtmp://h:port/app/KEY", "rtmp://…"),
        ("rtmp://user:pa/ss@host/app", "rtmp://…"),
        ("rtmp:/h/app/KEY", "rtmp://…"),
        ("rtmp:///KEY", "rtmp://…"),
        ("rtmp://h\\@x/KEY", "rtmp://…"),
        ('"rtmp://h/app/KEY"', "rtmp://h/…"),
        ("KEY://", "…"),
        ("k@y://host/x", "…"),
    ],
)
def test_scheme_host_and_port_are_all_that_is_shown(url: str, shown: str) -> None:
    assert is_address(url)
    assert shown_address(url) == shown
    assert shown_spec(url) == shown


@pytest.mark.parametrize("spec", ["demo", "file:/tmp/a b.mp4", "virtual:/dev/video3", "C:\\a.mp4",
                                  "me.mp4", "page:9000", "none"])  # fmt: skip
def test_what_is_no_address_stays(spec: str) -> None:
    assert not is_address(spec)
    assert shown_spec(spec) == spec


def test_words_keep_what_may_be_shown_and_lose_the_rest() -> None:
    for shown in ("rtmp://h:1935/…", "rtmp://…", "whip:https://h/…"):
        assert without_addresses(f"nothing answers at {shown}: check it") == (
            f"nothing answers at {shown}: check it"
        )
    assert without_addresses(f"cannot open rtmp://h/app/{KEY}: refused") == (
        "cannot open rtmp://h/…"
    )
    assert without_addresses(f"cannot open 'rtmp://h/app/\"{KEY}\"'") == "cannot open 'rtmp://h/…"


SECRET = st.text("abcdefgXYZ0123456789-_.~!$&*+,;=%@:/?#'\"() \t\\", min_size=0, max_size=14).map(
    lambda text: f"S3{text}CR3T"
)
HOSTS = st.sampled_from(["h", "live.example", "127.0.0.1", "[::1]", "bücher.example", "a-b.c"])
SCHEMES = st.sampled_from(
    ["rtmp", "rtmps", "RTMP", "udp", "http", "https", "rtsp", "whip:https", "whip:http", "srt"]
)


@st.composite
def addresses(draw: st.DrawFn) -> str:
    """Draw an address with secrets in all that is not scheme, host or port."""
    user = draw(st.none() | SECRET)
    port = draw(st.none() | st.integers(1, 65_535))
    quote = draw(st.sampled_from(["", "'", '"', " ", "<"]))
    slashes = draw(st.sampled_from(["://", "://", "://", ":/", ":", ":///"]))
    made = draw(SCHEMES) + slashes
    made += f"{user}:{draw(SECRET)}@" if user else ""
    made += draw(HOSTS) + (f":{port}" if port else "")
    for before in draw(st.lists(st.sampled_from("/?#"), min_size=1, max_size=4)):
        made += before + draw(SECRET)
    return quote + made + quote


@settings(max_examples=400, deadline=None)
@given(addresses())
def test_no_other_part_of_an_address_is_ever_shown(address: str) -> None:
    for shown in (
        shown_address(address), shown_spec(address), without_addresses(f"found {address}"),
        without_addresses(f"{address!r}: not there"),
    ):  # fmt: skip
        assert not re.search("S3|CR3T", shown, re.IGNORECASE), (address, shown)
    allowed = r"(whip:)?([a-z]+://)?[\w.\[\]:-]*(/?…)?"
    assert re.fullmatch(allowed, shown_address(address)), shown_address(address)
