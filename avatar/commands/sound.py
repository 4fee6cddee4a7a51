"""The sound of a live session: how late it has to be, and what the voice moves."""

from __future__ import annotations

from collections.abc import Callable

from avatar.clock import Clock
from avatar.commands.profiles import default_profiles
from avatar.config import LiveConfig
from avatar.observe import Recorder
from avatar.sound.passthrough import Passthrough, SoundReport

_SPANS = 61
# Before the first picture is delivered.
_USUAL_DELAY_S = 0.04


class PictureDelay:
    """How much later than its moment a picture is seen, in seconds; what sound has to match.

    The median of the newest two seconds from capture to the delivery to ``sink``, which is
    measured while running; ``camera_s``: what the camera itself adds before its time stamp
    (``avatar calibrate --av``); ``by_hand_s``: what the user adds. ``shown_lag_s``: how far the
    picture lags behind the voice by intention, see ``VoiceDriven``.
    """

    def __init__(
        self, recorder: Recorder, sink: Callable[[], str], *, camera_s: float = 0.0,
        by_hand_s: float = 0.0, shown_lag_s: Callable[[], float] = lambda: 0.0,
    ) -> None:  # fmt: skip
        self._recorder, self._sink = recorder, sink
        self._camera_s, self._by_hand_s, self._lag_s = camera_s, by_hand_s, shown_lag_s

    def __call__(self) -> float:
        """Return the delay, never negative."""
        spans = self._recorder.latest(f"capture→{self._sink()}", _SPANS)
        middle_ms = sorted(span.ms for span in spans)[len(spans) // 2] if spans else None
        inside_s = middle_ms / 1e3 if middle_ms is not None else _USUAL_DELAY_S
        lag_s = self._lag_s()
        # A picture that a voice moves has no camera's delay in it.
        camera_s = self._camera_s if lag_s == 0 else 0.0
        return max(0.0, inside_s + lag_s + camera_s + self._by_hand_s)


def open_sound(
    config: LiveConfig, recorder: Recorder, sink: Callable[[], str], clock: Clock,
    say: Callable[[str], None],
) -> Passthrough | None:  # fmt: skip
    """Return the session's sound, not yet opened; None where none is asked for."""
    if config.mic is None:
        return None
    delay = PictureDelay(
        recorder, sink, camera_s=_camera_delay_s(config), by_hand_s=config.av_offset / 1e3
    )
    return Passthrough(config.mic, config.speaker, clock=clock, say=say, delay_s=delay)


def _camera_delay_s(config: LiveConfig) -> float:
    """Return what ``avatar calibrate --av`` measured for the profile, 0 where it did not."""
    if config.profile is None:
        return 0.0
    return (default_profiles().load(config.profile).delays_ms.sound or 0.0) / 1e3


def sound_summary(report: SoundReport) -> str:
    """Return the line that a session ends with."""
    lost = f", lost {report.outages} times" if report.outages else ""
    if report.wanted_ms == 0 and report.delay_ms == 0:
        return f"sound: {report.xruns} blocks lost{lost}"
    late_ms = report.delay_ms - report.wanted_ms
    step = (
        f"{late_ms:.0f} ms behind the picture, the devices take as long"
        if late_ms > 10
        else "in step with the picture"
    )
    return (
        f"sound: delayed by {report.delay_ms:.0f} ms, {step}; {report.xruns} blocks lost, "
        f"{report.gaps} gaps{lost}"
    )
