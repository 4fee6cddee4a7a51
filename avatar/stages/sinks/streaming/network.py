"""Is anybody there? Asked apart from the stream, for a reason that can be read."""

from __future__ import annotations

import atexit
import ipaddress
import socket
import ssl
import tempfile
import threading
from contextlib import suppress
from functools import cache
from pathlib import Path

from avatar.stages.sinks.streaming.address import StreamAddress

ANSWER_S = 4.0
"""How long a server may take to answer."""


def why_unreachable(
    address: StreamAddress, ca_file: Path | None, interrupted: threading.Event
) -> str | None:
    """Return why nobody can be reached at ``address``, None when somebody answers there.

    Opens a connection (with TLS and a checked certificate where the address has it) and closes it
    again. Returns at once when ``interrupted`` is set. MPEG-TS has no connection to try: there the
    host's name alone is looked up.
    """
    found: list[str | None] = []
    done = threading.Event()

    def knock() -> None:
        found.append(_knock(address, ca_file))
        done.set()

    # A thread of its own, left behind if need be: looking a name up cannot be interrupted.
    threading.Thread(target=knock, name="knock", daemon=True).start()
    for _ in range(round(2 * ANSWER_S / 0.05)):
        if done.wait(0.05):
            return found[0]
        if interrupted.is_set():
            return "interrupted"
    return f"no answer from {address.host} within {2 * ANSWER_S:g} s"


def _knock(address: StreamAddress, ca_file: Path | None) -> str | None:
    place = f"{address.host}:{address.port}"
    try:
        if address.kind == "udp":
            socket.getaddrinfo(address.host, address.port, type=socket.SOCK_DGRAM)
            return None
        with socket.create_connection((address.host, address.port), ANSWER_S) as connection:
            if address.is_secure:
                context = tls_context(ca_file)
                context.wrap_socket(connection, server_hostname=address.host).close()
    except ssl.SSLCertVerificationError as error:
        return (
            f"the certificate of {address.host} is not trusted ({error.verify_message}). If the "
            "server is yours, give its certificate with --stream-ca FILE"
        )
    except ssl.SSLError:
        return f"{place} does not speak TLS: check the address, or use one without the s"
    except socket.gaierror:
        return f"the name {address.host} is not known: check the address and the network"
    except TimeoutError:
        return f"no answer from {place} within {ANSWER_S:g} s"
    except ConnectionRefusedError:
        return f"nothing answers at {place} (is the server running?)"
    except OSError as error:
        return f"{place} cannot be reached: {error.strerror or type(error).__name__}"
    return None


def is_this_machine(host: str) -> bool:
    """Return whether ``host`` is this machine by a loopback, unspecified or link-local address.

    However it is written: numbers of few or of other digits, and names that lead there. A name that
    is not known within ``ANSWER_S`` leads nowhere yet.
    """
    found: list[str] = []

    def look_up() -> None:
        with suppress(OSError, UnicodeError):
            found.extend(str(entry[4][0]) for entry in socket.getaddrinfo(host, None))

    looking = threading.Thread(target=look_up, name="look up", daemon=True)
    looking.start()
    looking.join(ANSWER_S)
    return any(map(_is_own, (host, *list(found))))


def _is_own(number: str) -> bool:
    try:
        address = ipaddress.ip_address(number.partition("%")[0])
    except ValueError:
        return number.lower().rstrip(".") == "localhost"
    mapped = getattr(address, "ipv4_mapped", None) or address
    return bool(mapped.is_loopback or mapped.is_unspecified or mapped.is_link_local)


def tls_context(ca_file: Path | None) -> ssl.SSLContext:
    """Return a context that checks certificates: against ``ca_file``, else as the system does."""
    return ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))


def certificate_file(ca_file: Path | None) -> Path:
    """Return a file of the certificates to trust, for FFmpeg, which knows no system's store."""
    if ca_file is not None:
        return ca_file
    usual = ssl.get_default_verify_paths().cafile
    return Path(usual) if usual else _exported()


@cache
def _exported() -> Path:
    """Return a file of what Windows and macOS trust; it lasts as long as the program."""
    certificates = ssl.create_default_context().get_ca_certs(binary_form=True)
    folder = tempfile.TemporaryDirectory(prefix="ca-")
    atexit.register(folder.cleanup)
    path = Path(folder.name) / "ca.pem"
    path.write_text("".join(map(ssl.DER_cert_to_PEM_cert, certificates)), "ascii")
    return path
