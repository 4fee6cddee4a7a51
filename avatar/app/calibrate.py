"""``avatar calibrate``: a guided minute that learns the driver's own range of expression.

Guided: the live loop runs with the built-in portrait, so that the driver sees a face that answers,
and the prompts stand in its window and in the terminal. The camera's picture is never shown.
Unattended: a recording (or a camera nobody listens to) is watched for the same acts in any order.
``learn`` and ``Lesson`` do the same for programs.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from avatar.core.counting import counted
from avatar.core.errors import UsageError
from avatar.core.home import Home
from avatar.core.terminal import say
from avatar.learn.person.guide import Prompts
from avatar.learn.person.learn import CalibrationResult, Lesson, learn
from avatar.library.profiles import ProfileStore
from avatar.measure.reports import check_reports

__all__ = ["CalibrationResult", "Lesson", "calibrate", "learn"]

DEFAULT_NAME = "me"
# Between the inner lips, head units: somebody who speaks all the time never rests.
_PARTED_LIPS = 0.1


def calibrate(
    camera: str = "0",
    name: str = DEFAULT_NAME,
    *,
    unattended: bool = False,
    window: bool = True,
    html: Path | None = None,
    force: bool = False,
    face_model: Path | None = None,
    home: Home,
) -> int:
    """Make the profile ``name`` and say what was learned; return the exit status.

    ``unattended``: ask for nothing, watch for everything. ``window``: show the avatar and the
    prompts; without one they stand in the terminal. ``html``: a page to write. ``force``: replace
    a profile of the same name, whose camera's delay (``--av``) is kept, since it is none of the
    face's. Raises ``UsageError`` and the errors of source and tracker; nothing is changed then.
    """
    store = ProfileStore(home.profiles)
    path = store.path(name)
    if path.exists() and not force:
        raise UsageError(
            f"the profile {name} exists. Choose another --name, or --force to replace it."
        )
    store.check_writable(name)
    if html is not None:
        check_reports(html=html, force=force, read=(camera,))
    prompts = Prompts()
    result = learn(
        camera, unattended=unattended, window=window, face_model=face_model, home=home,
        on_state=(lambda state: None) if unattended else prompts.see,
    )  # fmt: skip
    delay_ms = _sound_delay_ms(store, name)
    if delay_ms is not None:
        result = replace(result, profile=result.profile.with_sound_delay(delay_ms))
        say(
            f"kept from before: the camera is {delay_ms:.0f} ms later than the microphone. With "
            f"another camera or microphone: avatar calibrate --av --name {name}"
        )
    return _keep(store, name, result, html)


def _sound_delay_ms(store: ProfileStore, name: str) -> float | None:
    """Return the delay that the profile to be replaced has, None without a readable one."""
    try:
        return store.load(name).delays_ms.sound
    except UsageError:
        return None


def _keep(store: ProfileStore, name: str, result: CalibrationResult, html: Path | None) -> int:
    path = store.save(name, result.profile)
    seen = ", ".join(result.seen) or "the resting face alone"
    say(f"learned from {counted(len(result.recording), 'frame')}: {seen}")
    if result.partly:
        say(f"seen in part: {', '.join(result.partly)}")
    if result.missing:
        say(f"not seen clearly enough, the usual values stay: {', '.join(result.missing)}")
    if result.profile.lips.closed > _PARTED_LIPS:
        say(
            "the lips were parted even in the calmest moment: the avatar will press its own "
            "together. Calibrate again with a moment of rest, or use --reference first"
        )
    say(f"kept as {path} (numbers only); use it: avatar run --profile {name}")
    if html is not None:
        from avatar.measure.calibration import write_report

        write_report(
            html, name, result.profile, result.tracks, result.recording, result.missing
        )  # fmt: skip
        say(f"{html} shows what it changes")
    return 0
