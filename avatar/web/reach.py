"""By which of this machine's addresses a video connection comes and goes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any


def listen_only_on(
    transceiver: Any, addresses: Sequence[str], heard_from: Collection[str] | None = None
) -> None:
    """Have a connection gather candidates on ``addresses`` alone, the loopback ones among them.

    aioice takes all addresses of the machine but loopback, and has no option for it.
    ``heard_from``: whose datagrams are read; others are dropped unread. None: everybody's.
    """
    ice = transceiver.receiver.transport.transport.iceGatherer._connection
    gather = ice.get_component_candidates

    async def gather_here(component: int, addresses: list[str], timeout: int = 5) -> Any:
        candidates = await gather(component, own, timeout)
        if heard_from is not None:
            for protocol in ice._protocols:
                protocol.datagram_received = _of(heard_from, protocol.datagram_received)
        return candidates

    own = list(addresses)
    ice.get_component_candidates = gather_here


def _of(senders: Collection[str], read: Callable[[bytes, Any], None]) -> Callable[..., None]:
    def received(data: bytes, address: Any) -> None:
        if address[0] in senders:
            read(data, address)

    return received
