"""Made-up requests, messages, offers and uploads, and the studio that they are sent to.

``python -m tests.fuzz.studio FOLDER`` serves one over real sessions of the drawn driver, whose
files lie in FOLDER. It prints its address, then one line for each line it reads: the megabytes
it takes.
"""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path
from typing import Any

import psutil

from avatar.core.options import Options
from tests.web.fakes import serving

_WORDS = (
    "start", "stop", "camera", "avatar", "remove", "options", "output", "calibrate", "key", "look",
    "id", "on", "address", "name", "value", "strength", "background", "label_text", "engine",
    "recording", "face", "what", "microphones", "page", "demo", "builtin", "stream", "file",
    "virtual", "rtmp://h/app/S3CR3T/", "whip:https://h/S3CR3T",
    "udp://127.0.0.1:9?S3CR3T", "../../etc/passwd", "%00", "\u202e", "é", "\U0001d518", "\ud800",
    "a" * 3000,
)  # fmt: skip
# Not ``start``: what is drawn meanwhile is not what is looked at here.
_ACTIONS = (
    "camera", "avatar", "remove", "options", "output", "calibrate", "key", "look", "fly", "stop",
    "restore", "rename", "face", "show", "reset",
)  # fmt: skip
_PATHS = (
    "/", "/view", "/api/options", "/api/view", "/api/live", "/api/camera", "/api/watch", "/nothing",
    "/api/avatars", "/api/avatars/builtin", "/static/studio.js", "/static/..%2fapp.py", "//", "/%",
    "/api/recordings/x.mp4", "/api/recordings/..%2fview-token", "/api/avatars/builtin?face=999",
)  # fmt: skip
_KINDS = ("image/jpeg", "image/png", "image/webp", "image/avif", "image/heic")
_OFFER = """v=0
o=- 1 2 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0
m=video 9 UDP/TLS/RTP/SAVPF 96 97
c=IN IP4 0.0.0.0
a=ice-ufrag:abcd
a=ice-pwd:abcdefghijklmnopqrstuvwx
a=fingerprint:sha-256 {print}
a=setup:actpass
a=mid:0
a=recvonly
a=rtcp-mux
a=rtpmap:96 H264/90000
a=fmtp:96 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f
a=rtcp-fb:96 nack pli
a=rtpmap:97 rtx/90000
a=fmtp:97 apt=96
""".replace("{print}", ":".join(["AB"] * 32))


def value(rng: random.Random, depth: int = 3) -> Any:
    """Return anything that JSON can say."""
    kind = rng.randrange(8 if depth else 6)
    if kind == 0:
        return rng.choice((None, True, False))
    if kind == 1:
        return rng.choice((0, -1, 2**70, 0.5, 1e308, rng.random()))
    if kind < 6:
        return rng.choice(_WORDS)
    if kind == 6:
        return [value(rng, depth - 1) for _ in range(rng.randrange(4))]
    return {rng.choice(_WORDS): value(rng, depth - 1) for _ in range(rng.randrange(5))}


def act(rng: random.Random) -> tuple[str, bytes]:
    """Return a button's path, and what it sends."""
    values = value(rng)
    if rng.random() < 0.7:
        values = {rng.choice(_WORDS): value(rng) for _ in range(rng.randrange(5))}
    data = json.dumps(values).encode("utf-8", "surrogatepass")
    return f"/api/act/{rng.choice(_ACTIONS)}", changed(data, rng) if rng.random() < 0.2 else data


def offer(rng: random.Random) -> tuple[str, bytes]:
    """Return where an offer goes, and an offer that is somewhat wrong."""
    lines = _OFFER.splitlines()
    for _ in range(rng.randrange(1, 4)):
        at = rng.randrange(len(lines))
        how = rng.randrange(4)
        if how == 0:
            lines.pop(at)
        elif how == 1:
            lines.insert(rng.randrange(len(lines)), lines[at])
        else:
            lines[at] = changed(lines[at].encode(), rng).decode("latin-1")
    sdp = "\r\n".join(lines) + "\r\n"
    return rng.choice(("/api/watch", "/api/camera")), json.dumps({"sdp": sdp}).encode()


def raw(rng: random.Random, host: str, cookie: str) -> bytes:
    """Return what is nearly a request."""
    method = rng.choice(("GET", "POST", "HEAD", "PUT", "OPTIONS", "FOO", ""))
    headers = {
        "Host": host, "Cookie": cookie, "Origin": f"http://{host}",
        "Content-Type": "application/json",
        "Content-Length": rng.choice(("0", "2", "9", "-1", "x")),
    }  # fmt: skip
    for name in list(headers):
        if rng.random() < 0.25:
            headers[name] = rng.choice(("", "x" * rng.randrange(9000), "\x01", "127.0.0.1", "null"))
    if rng.random() < 0.15:
        headers |= {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
        headers |= {"Sec-WebSocket-Key": rng.choice(("AAAAAAAAAAAAAAAAAAAAAA==", "x", ""))}
    if rng.random() < 0.1:
        headers["Transfer-Encoding"] = rng.choice(("chunked", "gzip", "chunked, chunked"))
    query = rng.choice(("", "?token=x", "?token=" + "%ff" * 50, "?" + "a=b&" * 300))
    head = f"{method} {rng.choice(_PATHS)}{query} HTTP/1.1\r\n"
    head += "".join(f"{name}: {text}\r\n" for name, text in headers.items()) + "\r\n"
    data = head.encode("latin-1") + rng.choice(
        (b"", b"{}", b"5\r\nabcde\r\n0\r\n\r\n", b"\x81\x85x")
    )
    return changed(data, rng) if rng.random() < 0.5 else data


def message(rng: random.Random) -> str | bytes:
    """Return what no page of ours says on its WebSocket."""
    data = json.dumps({"driver": value(rng), rng.choice(_WORDS): value(rng)})
    plain = data.encode("utf-8", "replace")
    return changed(plain, rng) if rng.random() < 0.6 else plain.decode("utf-8", "replace")


def kind_of_upload(rng: random.Random) -> str:
    """Return what an upload says that it is."""
    return rng.choice((*_KINDS, *_KINDS, "image/svg+xml", "text/html", ""))


def changed(data: bytes, rng: random.Random) -> bytes:
    """Return bytes of which some are others, gone or twice."""
    made = bytearray(data)
    for _ in range(rng.randrange(1, 6)):
        if made:
            made[rng.randrange(len(made))] = rng.randrange(256)
    first, second = sorted((rng.randrange(len(made) + 1), rng.randrange(len(made) + 1)))
    how = rng.random()
    if how < 0.2:
        return bytes(made[:second])
    if how < 0.3:
        return bytes(made[:first] + made[second:])
    if how < 0.4:
        return bytes(made[:second] + made[first:])
    return bytes(made)


def main(folder: Path) -> None:
    """Serve; see the module."""
    config = Options(camera="demo", size="320x240")
    with serving(folder, config, say=_complain) as (_, pages):
        _tell(pages.address("studio"))
        for _ in sys.stdin:
            _tell(f"{psutil.Process().memory_info().rss / 1e6}")


def _complain(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def _tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
