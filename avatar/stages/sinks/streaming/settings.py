"""What can be chosen about a stream, and what the services recommend."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from avatar.core.choices import StreamPreset
from avatar.core.errors import UsageError
from avatar.core.files import read_small

KEYFRAME_S = 2.0
SOUND_HZ = 48_000
KEY_VARIABLE = "AVATAR_STREAM_KEY"
_BITRATES_KBPS = (100, 50_000)


@dataclass(frozen=True)
class Service:
    """What a service asks for.

    ``rates_kbps``: (pixels at the most, video at 30 fps, at 60 fps), small pictures first.
    ``limit_kbps``, ``limit_pixels``: more is refused by it or harms.
    """

    rates_kbps: tuple[tuple[int, int, int], ...]
    sound_kbps: int
    limit_kbps: int
    limit_pixels: int


_SD, _QHD, _HD, _FULL_HD, _UHD = 640 * 360, 854 * 480, 1280 * 720, 1920 * 1080, 3840 * 2160
# Twitch's broadcasting guidelines and YouTube's "live encoder settings", read in November 2026:
# both want H.264, a constant bit rate, a keyframe every two seconds, AAC of 48 kHz.
SERVICES: Mapping[StreamPreset, Service] = {
    "twitch": Service(
        ((_SD, 1000, 1500), (_QHD, 1500, 2500), (_HD, 3000, 4500), (_FULL_HD, 4500, 6000)),
        160, 6000, _FULL_HD,
    ),
    "youtube": Service(
        (
            (_HD, 4000, 6000), (_FULL_HD, 10_000, 12_000), (2560 * 1440, 15_000, 24_000),
            (_UHD, 30_000, 35_000),
        ),
        128, 35_000, _UHD,
    ),
}  # fmt: skip
# Without a service: what Twitch asks for is enough for a head before a background that stays.
_OTHERS = Service(
    (*SERVICES["twitch"].rates_kbps, (_UHD, 13_000, 20_000)), 128, 50_000, 4096 * 4096
)


@dataclass(frozen=True)
class StreamSettings:
    """The options of streams.

    ``encoder``: ``auto`` or a name of ``encoders.ENCODERS``. ``bitrate_kbps``: of the video, None
    for the recommended one. ``size_px``: (width, height) sent, None for the picture's own.
    ``key``: given apart from the address. ``ca_file``: certificates to trust in place of the
    system's.
    """

    encoder: str = "auto"
    bitrate_kbps: int | None = None
    size_px: tuple[int, int] | None = None
    preset: StreamPreset | None = None
    key: str | None = field(default=None, repr=False)
    ca_file: Path | None = None

    def __post_init__(self) -> None:
        low, high = _BITRATES_KBPS
        if self.bitrate_kbps is not None and not low <= self.bitrate_kbps <= high:
            raise UsageError(
                f"--bitrate: expected {low} to {high} kbit/s, found {self.bitrate_kbps}"
            )
        if self.ca_file is not None and not self.ca_file.is_file():
            raise UsageError(f"--stream-ca: expected a file of certificates, found {self.ca_file}")

    @property
    def service(self) -> Service:
        """Return what the chosen service asks for."""
        return SERVICES[self.preset] if self.preset is not None else _OTHERS

    @property
    def is_constant_rate(self) -> bool:
        """Return whether a still picture is filled up to the bit rate, as the services ask."""
        return self.preset is not None

    def video_kbps(self, size_px: tuple[int, int], fps: float) -> int:
        """Return the bit rate for pictures of ``size_px``. Raises ``UsageError`` beyond a limit."""
        service = self.service
        pixels = size_px[0] * size_px[1]
        if pixels > service.limit_pixels:
            raise UsageError(
                f"--stream-preset {self.preset}: expected at most {service.limit_pixels} pixels a "
                f"picture, found {size_px[0]}x{size_px[1]}. Use --stream-size 1920x1080"
            )
        if self.bitrate_kbps is not None:
            if self.bitrate_kbps > service.limit_kbps:
                raise UsageError(
                    f"--stream-preset {self.preset} takes at most {service.limit_kbps} kbit/s; "
                    f"found --bitrate {self.bitrate_kbps}"
                )
            return self.bitrate_kbps
        row = next((row for row in service.rates_kbps if pixels <= row[0]), service.rates_kbps[-1])
        return row[1] if fps <= 30 else row[2]


def stream_key(path: Path | None, environment: Mapping[str, str] = os.environ) -> str | None:
    """Return the key in the file at ``path``, else that of the environment, else None.

    A key in a file or the environment is in no shell's history and in no list of processes.
    Raises ``UsageError``, which does not repeat what was found.
    """
    if path is None:
        return environment.get(KEY_VARIABLE, "").strip() or None
    try:
        # Editors on Windows begin a file with a mark of its encoding.
        lines = read_small(path).decode("utf-8-sig").split()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not a text file"
        raise UsageError(f"--stream-key-file: {path} cannot be read: {reason}") from None
    if len(lines) != 1:
        raise UsageError(
            f"--stream-key-file: expected one line with the key in {path}, found {len(lines)} "
            "words. Write the key and nothing else into it"
        )
    return lines[0]
