"""Nothing that a page, or whoever is none, may send brings the studio down, or its owner to wait.

A small share of what ``scripts/test --fuzz`` sends: that sets ``AVATAR_FUZZ``.
"""

from __future__ import annotations

import asyncio
import http.client
import os
import random
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from tests import ROOT
from tests.fuzz import damaged, studio
from tests.fuzz.test_damaged import tail

WHOLE = 10_000
SHARE = 0.02
SEED = 19
MOST_GROWTH_MB = 50
# Beside other tests on a busy machine a process may wait longer than that for its turn.
OWNER_WITHIN_S = 0.5 if os.environ.get("AVATAR_FUZZ") else 5.0
OWNER_EVERY_S = 0.05


class Target:
    """A studio in a process of its own."""

    def __init__(self, folder: Path) -> None:
        self.errors = folder / "errors.txt"
        self._said = self.errors.open("w")
        self.child = subprocess.Popen(
            [sys.executable, "-m", "tests.fuzz.studio", str(folder / "home")], cwd=ROOT, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._said,
        )  # fmt: skip
        address = self.line()
        self.host = address.split("/")[2]
        self.cookie = ""
        self.cookie = self.ask("GET", "/" + address.partition(self.host + "/")[2])[1]

    def line(self) -> str:
        assert self.child.stdout is not None
        return self.child.stdout.readline().strip()

    @property
    def memory_mb(self) -> float:
        assert self.child.stdin is not None
        self.child.stdin.write("\n")
        self.child.stdin.flush()
        return float(self.line())

    def ask(
        self, method: str, path: str, body: bytes | None = None, kind: str = "application/json"
    ) -> tuple[int, str]:
        """Return the status of the answer, and a cookie that came with it."""
        connection = http.client.HTTPConnection(self.host, timeout=60)
        headers = {"Origin": f"http://{self.host}", "Cookie": self.cookie, "Content-Type": kind}
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            answer.read()
            return answer.status, (answer.getheader("set-cookie") or "").partition(";")[0]
        finally:
            connection.close()

    def send(self, data: bytes) -> int:
        """Send bytes that may be no request; return the answer's status, 0 without one."""
        host, port = self.host.split(":")
        with socket.create_connection((host, int(port)), 60) as one, suppress(OSError):
            one.sendall(data)
            one.shutdown(socket.SHUT_WR)
            found = one.recv(64).split(b" ")
            return int(found[1]) if len(found) > 1 and found[1].isdigit() else 0
        return 0

    def end(self) -> None:
        assert self.child.stdin is not None
        self.child.stdin.close()
        try:
            assert self.child.wait(60) == 0, tail(self.errors)
        finally:
            self.child.kill()
            self._said.close()
            if self.child.stdout is not None:
                self.child.stdout.close()


class Owner(threading.Thread):
    """Loads the page over and over; ``slowest_s`` is the longest it took."""

    def __init__(self, target: Target) -> None:
        super().__init__(daemon=True)
        self._target, self._over = target, threading.Event()
        self.slowest_s, self.count = 0.0, 0
        self.refused: list[int] = []

    def run(self) -> None:
        while not self._over.wait(OWNER_EVERY_S):
            begun = time.monotonic()
            status, _ = self._target.ask("GET", "/")
            self.slowest_s = max(self.slowest_s, time.monotonic() - begun)
            self.count += 1
            if status != 200:
                self.refused.append(status)

    def end(self) -> None:
        self._over.set()
        self.join()


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Target]:
    running = Target(tmp_path)
    yield running
    running.end()


def test_a_studio_answers_whatever_is_sent(target: Target, tmp_path: Path) -> None:
    count = WHOLE if os.environ.get("AVATAR_FUZZ") else round(WHOLE * SHARE)
    rng = random.Random(SEED)
    seeds = damaged.photographs(tmp_path)
    send = senders(target, seeds)
    # What is loaded at its first use is no growth.
    warm = random.Random(0)
    for one in send.values():
        for _ in range(6):
            one(warm)
    before_mb = target.memory_mb
    owner = Owner(target)
    owner.start()
    came: Counter[int] = Counter()
    for _ in range(count):
        (kind,) = rng.choices(list(send), [40, 27, 10, 13, 10])
        came[send[kind](rng)] += 1
    owner.end()
    assert not [status for status in came if status >= 500], (came, tail(target.errors))
    said = target.errors.read_text()
    assert "Traceback" not in said and "the pages' server" not in said, tail(target.errors)
    assert "S3CR3T" not in said
    assert owner.count > 3 and owner.refused == []
    assert owner.slowest_s < OWNER_WITHIN_S
    assert target.memory_mb - before_mb < MOST_GROWTH_MB


def senders(target: Target, seeds: damaged.Seeds) -> dict[str, Callable[[random.Random], int]]:
    """Return what sends one input of each kind and says with which status it was answered."""

    def raw(rng: random.Random) -> int:
        return target.send(studio.raw(rng, target.host, target.cookie))

    def act(rng: random.Random) -> int:
        return target.ask("POST", *studio.act(rng))[0]

    def offer(rng: random.Random) -> int:
        return target.ask("POST", *studio.offer(rng))[0]

    def upload(rng: random.Random) -> int:
        data = rng.choice(seeds)[1]
        if rng.random() < 0.9:
            data = damaged.damaged(data, np.random.default_rng(rng.randrange(2**32)))
        return target.ask("POST", "/api/avatars?name=a", data, studio.kind_of_upload(rng))[0]

    def message(rng: random.Random) -> int:
        asyncio.run(_converse(target, [studio.message(rng) for _ in range(3)]))
        return 101

    return {"raw": raw, "act": act, "offer": offer, "upload": upload, "message": message}


async def _converse(target: Target, messages: list[str | bytes]) -> None:
    from websockets.asyncio.client import connect
    from websockets.exceptions import ConnectionClosed

    address, origin = f"ws://{target.host}/api/live", f"http://{target.host}"
    headers = {"Cookie": target.cookie}
    async with connect(address, origin=origin, additional_headers=headers, proxy=None) as page:  # type: ignore[arg-type]
        with suppress(ConnectionClosed, TimeoutError):
            for message in messages:
                await page.send(message)
            await asyncio.wait_for(page.recv(), 0.05)
