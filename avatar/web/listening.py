"""Where the server listens, and by which names it is reached there."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass

from avatar.core.errors import UsageError

LOOPBACK = "127.0.0.1"
# Machines with containers have dozens, and each is a socket of every connection.
_MOST_ADDRESSES = 8


@dataclass(frozen=True)
class ListenAddress:
    """An address to listen on.

    ``addresses``: all numbers by which it is reached, for video connections. ``names``: what may
    stand in the address line. ``beyond``: others than this machine can reach it.
    """

    address: str
    addresses: tuple[str, ...]
    names: tuple[str, ...]
    beyond: bool

    def hosts(self, port: int) -> frozenset[str]:
        """Return the names as they stand in a request's Host: without the scheme's own port."""
        shown = [f"[{name}]" if ":" in name else name for name in self.names]
        end = "" if port == (443 if self.beyond else 80) else f":{port}"
        return frozenset(f"{name}{end}".lower() for name in shown)

    def wider_addresses(self) -> tuple[str, ...]:
        """Return what else this machine is reached by from itself, where loopback is listened on.

        For video connections of browsers that use no loopback address.
        """
        if self.beyond:
            return ()
        version = ipaddress.ip_address(self.address).version
        return tuple(_own_addresses(version)[:_MOST_ADDRESSES])

    @property
    def shown(self) -> str:
        """Return the name for the printed address."""
        name = self.names[0]
        return f"[{name}]" if ":" in name else name


def place_at(address: str) -> ListenAddress:
    """Return the place that ``--listen`` names. Raises ``UsageError`` unless it is a number."""
    try:
        number = ipaddress.ip_address(address)
    except ValueError:
        raise UsageError(
            f"--listen: expected an address of this machine as a number, such as 192.168.1.5, or "
            f"0.0.0.0 for all; found {address!r}"
        ) from None
    if number.is_loopback:
        return ListenAddress(address, (address,), _once(address, "localhost"), beyond=False)
    host = socket.gethostname().lower()
    hosts = (host, f"{host.removesuffix('.local')}.local")
    if not number.is_unspecified:
        return ListenAddress(address, (address,), _once(address, *hosts), beyond=True)
    own = _own_addresses(number.version)
    if not own:
        raise UsageError("--listen: this machine has no address but its own: leave --listen out")
    return ListenAddress(
        address, _once(*own, LOOPBACK), _once(*own, *hosts, "localhost", LOOPBACK), beyond=True
    )


def _own_addresses(version: int) -> list[str]:
    """Return this machine's addresses but the loopback and link-local ones."""
    import psutil

    found = []
    for entries in psutil.net_if_addrs().values():
        for entry in entries:
            try:
                number = ipaddress.ip_address(entry.address)
            except ValueError:
                continue  # a hardware address, or one with a zone
            if number.version == version and not (number.is_loopback or number.is_link_local):
                found.append(str(number))
    return found


def _once(*names: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))
