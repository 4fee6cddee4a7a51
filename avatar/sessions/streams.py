"""What the options of a session say of its streams."""

from __future__ import annotations

from avatar.core.errors import UsageError
from avatar.core.option_values import parse_size
from avatar.core.options import Options
from avatar.stages.sinks import is_stream
from avatar.stages.sinks.streaming.settings import KEY_VARIABLE, StreamSettings, stream_key


def stream_settings(config: Options) -> StreamSettings:
    """Return how ``config`` wants streams. Raises ``UsageError`` for what does not fit."""
    streams = [spec for spec in config.out if is_stream(spec)]
    if not streams:
        _expect_nothing(config)
        return StreamSettings()
    key = stream_key(config.stream_key_file)
    keyed = [spec for spec in streams if not spec.startswith("udp:")]
    if key is not None and len(keyed) > 1:
        where = "--stream-key-file" if config.stream_key_file is not None else KEY_VARIABLE
        raise UsageError(
            f"{where} is for one stream, found {len(keyed)}. Write each address with its key into "
            "a file, as out = [...], and give that with --config"
        )
    return StreamSettings(
        config.encoder,
        config.bitrate,
        parse_size(config.stream_size, "--stream-size") if config.stream_size else None,
        config.stream_preset,
        key,
        config.stream_ca,
    )


def _expect_nothing(config: Options) -> None:
    """Refuse options of streams without one: they would do nothing."""
    given = {
        "--bitrate": config.bitrate, "--stream-size": config.stream_size,
        "--stream-preset": config.stream_preset, "--stream-key-file": config.stream_key_file,
        "--stream-ca": config.stream_ca,
        "--encoder": config.encoder if config.encoder != "auto" else None,
    }  # fmt: skip
    for option, value in given.items():
        if value is not None:
            raise UsageError(
                f"{option} is for streams: give one, such as --out rtmp://HOST/APP/KEY"
            )
