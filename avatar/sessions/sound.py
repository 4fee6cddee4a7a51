"""The sound of a live session: how late it has to be, and what the voice moves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

from avatar.core.counting import counted
from avatar.core.face.head import decompose
from avatar.core.frames import Face
from avatar.core.home import Home
from avatar.core.observe import Recorder
from avatar.core.options import Options
from avatar.core.stages import Retargeter, SoundTrack
from avatar.library.profiles import ProfileStore
from avatar.stages.motion.spoken import VoiceDriven
from avatar.stages.sound.passthrough import SoundReport
from avatar.stages.sound.process import SoundProcess
from avatar.stages.sound.track import SoundFeed
from avatar.stages.sound.voice import SpokenMouth

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
        return max(0.0, inside_s + self.before_s())

    def before_s(self) -> float:
        """Return how much of it lies before the picture's time stamp; negative: sound is earlier.

        That is what remains where sound and pictures are put together by their times.
        """
        lag_s = self._lag_s()
        # A picture that a voice moves has no camera's delay in it.
        camera_s = self._camera_s if lag_s == 0 else 0.0
        return lag_s + camera_s + self._by_hand_s


class LiveSound:
    """The sound of one session: the way to the speaker, and the mouth that is heard.

    ``sink``: the name of the output whose pictures the sound has to match. ``is_recorded``: whether
    ``open_track`` will be asked for tracks. A context manager.
    """

    def __init__(
        self, config: Options, recorder: Recorder, sink: Callable[[], str],
        say: Callable[[str], None], home: Home, *, is_recorded: bool = False,
    ) -> None:  # fmt: skip
        assert config.mic is not None
        self._config, self.is_recorded = config, is_recorded
        self._driven: VoiceDriven | None = None
        self._mouth = SpokenMouth()
        delay = PictureDelay(
            recorder, sink, camera_s=_camera_delay_s(config, home),
            by_hand_s=config.av_offset / 1e3,
            shown_lag_s=lambda: self._driven.lag_s if self._driven is not None else 0.0,
        )  # fmt: skip
        self._feed = SoundFeed(delay.before_s)
        self._process = SoundProcess(
            config.mic,
            config.speaker,
            say=say,
            delay_s=delay,
            mouth=self._mouth if config.drive != "video" else None,
            listener=self._feed.hear if is_recorded else None,
        )

    @property
    def report(self) -> SoundReport:
        """Return how it went until now."""
        return self._process.report

    def open_track(self) -> SoundTrack:
        """Return what is heard from now on, for a recording or a stream."""
        return self._feed.open_track()

    def drive(self, retargeter: Retargeter, face: Face) -> Retargeter:
        """Return ``retargeter`` with the mouth that is heard, as ``--drive`` says.

        ``face``: the avatar's.
        """
        config = self._config
        if config.drive == "video":
            return retargeter
        strength = config.strength * config.weights.get("mouth", 1.0)
        shape = decompose(face).shape
        self._driven = VoiceDriven(retargeter, self._mouth.at, config.drive, shape, strength)
        return self._driven

    def __enter__(self) -> Self:
        self._process.__enter__()
        return self

    def __exit__(self, *raised: Any) -> None:
        self._process.__exit__(*raised)


def _camera_delay_s(config: Options, home: Home) -> float:
    """Return what ``avatar calibrate --av`` measured for the profile, 0 where it did not."""
    if config.profile is None:
        return 0.0
    return (ProfileStore(home.profiles).load(config.profile).delays_ms.sound or 0.0) / 1e3


def sound_summary(report: SoundReport) -> str:
    """Return the line that a session ends with."""
    lost = f", lost {counted(report.outages, 'time')}" if report.outages else ""
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
