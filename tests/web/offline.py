"""The studio from start to picture in one process: ``python -m tests.web.offline FOLDER``.

A page without a browser opens the printed address, starts the drawn driver and sees the avatar by
WebRTC. ``test_no_network.py`` runs it where there is no network, and where every call is written
down.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import sys
from pathlib import Path

from avatar.core.options import Options
from tests.web.fakes import Page, serving

SIZE = (320, 240)


def ask(address: str, method: str, path: str, cookie: str, values: object = None) -> bytes:
    """Ask the server as its page would."""
    origin = "/".join(address.split("/")[:3])
    headers = {"Origin": origin, "Cookie": cookie, "Content-Type": "application/json"}
    connection = http.client.HTTPConnection(origin.split("/")[2], timeout=30)
    connection.request(method, path, json.dumps(values), headers)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    if answer.status == 303:
        return str(answer.headers["Set-Cookie"]).partition(";")[0].encode()
    assert answer.status == 200, (answer.status, body)
    return body


async def watch(address: str) -> int:
    """Open the page, start, and return how many pictures were seen."""
    path = "/" + address.split("/", 3)[3]
    cookie = (await asyncio.to_thread(ask, address, "GET", path, "")).decode()
    page = Page("recvonly")
    offer = {"sdp": await page.offer()}
    answer = await asyncio.to_thread(ask, address, "POST", "/api/watch", cookie, offer)
    await page.accept(json.loads(answer)["sdp"])
    await asyncio.to_thread(ask, address, "POST", "/api/act/start", cookie, {})
    pictures = [await page.picture() for _ in range(10)]
    assert all(picture.shape == (SIZE[1], SIZE[0], 3) for picture in pictures)
    await page.close()
    return len(pictures)


def main(folder: Path) -> None:
    """Serve and watch."""
    config = Options(camera="demo", size=f"{SIZE[0]}x{SIZE[1]}")
    with serving(folder, config) as (_, pages):
        seen = asyncio.run(watch(pages.address("studio")))
    sys.stdout.write(f"saw {seen} pictures\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
