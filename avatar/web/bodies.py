"""The bodies of requests: how long they may be, how slow, and what is in them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

from avatar.core.errors import UsageError
from avatar.core.messages import Message

MAX_REQUEST_BYTES = 65_536
PATIENCE_S = 10.0
LEAST_RATE = 20_000
"""A body may take so long, and as long again for as many bytes a second: a slow telephone's."""


async def json_values(request: Any) -> dict[str, Any]:
    """Return a request's values. Raises ``UsageError`` for anything but a JSON object."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise UsageError(f"expected application/json, found {kind or 'no type'}")
    body = b"".join([part async for part in bounded(request, MAX_REQUEST_BYTES)])
    try:
        values = json.loads(body or b"{}")
        json.dumps(values, ensure_ascii=False).encode()  # halves of letters are in no answer either
    except (ValueError, RecursionError) as error:
        raise UsageError(f"the request is not JSON: {error}") from error
    if not isinstance(values, dict):
        raise UsageError(f"expected a JSON object, found {type(values).__name__}")
    return values


def file_name(name: str) -> str:
    """Return a name for a photograph that every file system takes."""
    fit = "".join(c if c.isalnum() or c in " -_" else "-" for c in name[:40])
    return fit.strip() or "photo"


async def bounded(request: Any, limit: int) -> AsyncIterator[bytes]:
    """Yield a request's body; raises ``UsageError`` as soon as it is too long, or too slow."""
    too_long = UsageError(
        f"at most {limit // 1_000_000} MB are taken" if limit >= 1_000_000
        else f"at most {limit} bytes are taken"
    )  # fmt: skip
    declared = request.headers.get("content-length", "0")
    if declared.isdecimal() and int(declared) > limit:
        raise too_long
    taken = 0
    loop = asyncio.get_running_loop()
    begun_s = loop.time()
    parts = aiter(request.stream())
    while True:
        left_s = PATIENCE_S + taken / LEAST_RATE - (loop.time() - begun_s)
        try:
            part = await asyncio.wait_for(anext(parts), left_s)
        except StopAsyncIteration:
            return
        except TimeoutError:
            raise UsageError(
                Message("error.tooSlow", "what was sent came too slowly, and was not taken")
            ) from None
        taken += len(part)
        if taken > limit:
            raise too_long
        yield part
