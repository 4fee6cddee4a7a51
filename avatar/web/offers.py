"""What a page offers for a video connection: read, and refused in words where it does not fit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from avatar.core.errors import UsageError
from avatar.core.messages import Message

MAX_OFFER_BYTES = 32_768


def without_candidates(description: str) -> str:
    """Return an SDP without the addresses it names, and without the promise that none follow."""
    if len(description) > MAX_OFFER_BYTES:
        raise UsageError(f"An offer of {len(description)} bytes is too long.")
    lines = [
        line
        for line in description.splitlines()
        if not line.startswith(("a=candidate:", "a=end-of-candidates"))
    ]
    return "\r\n".join(lines) + "\r\n"


def check_offer(description: str, codecs: Sequence[str]) -> None:
    """Raise ``ValueError`` for an SDP without what a connection is known by.

    aiortc would find out in a task of its own, that nobody waits for. Raises ``UsageError`` when
    the browser has none of ``codecs``, which aiortc would call a failure to set parameters.
    """
    from aiortc.sdp import SessionDescription

    for media in SessionDescription.parse(description).media:
        if media.dtls is None or not media.dtls.fingerprints:
            raise ValueError("no fingerprint of a certificate")
        if not (media.ice.usernameFragment and media.ice.password):
            raise ValueError("no ICE user and password")
        if media.kind == "video":
            _check_codecs([codec.mimeType for codec in media.rtp.codecs], codecs)


def _check_codecs(found: Sequence[str], wanted: Sequence[str]) -> None:
    if any(one.lower() == other.lower() for one in found for other in wanted):
        return
    names = dict.fromkeys(_name(codec) for codec in found)
    shown = ", ".join(name for name in names if name.lower() not in _NO_PICTURES)
    raise UsageError(
        Message(
            "error.noCodec",
            "this browser offers {found} for video, and this page needs {wanted}: use another "
            "browser, or allow it there",
            found=shown[:100] or "–",
            wanted=" or ".join(map(_name, wanted)),
        )
    )


# Listed like codecs: what is sent again, and what corrects it (RFC 4588, 5109, 2198).
_NO_PICTURES = ("rtx", "red", "ulpfec", "flexfec-03")


def _name(codec: str) -> str:
    return codec.partition("/")[2]


def capabilities(*names: str) -> list[Any]:
    """Return aiortc's codecs of these names, in this order."""
    from aiortc import RTCRtpSender

    known = RTCRtpSender.getCapabilities("video").codecs
    return [codec for name in names for codec in known if codec.mimeType == name]


def keep_best(transceiver: Any) -> str:
    """Leave one codec of those both sides have, the best; return its name in small letters.

    What is sent is encoded already, and cannot change over to another.
    """
    best = transceiver._codecs[0]
    transceiver._codecs = [
        codec
        for codec in transceiver._codecs
        if codec is best or codec.parameters.get("apt") == best.payloadType
    ]
    return str(best.mimeType).lower()
