"""Calibration within the running session, its words on the page."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from avatar.core.errors import AvatarError, UsageError
from avatar.core.frames import FaceTrack
from avatar.core.messages import Message, words_of
from avatar.core.observe import Recorder
from avatar.learn.person.learn import UNATTENDED_S, CalibrationResult, Lesson
from avatar.library.profiles import ProfileStore
from calibrate import State


class PageCalibration:
    """One lesson at a time. ``changed`` is told when there is something new to show."""

    def __init__(
        self, profiles: ProfileStore, say: Callable[[str], None], changed: Callable[[], None]
    ) -> None:
        self._profiles, self._say, self._changed = profiles, say, changed
        self._lesson: Lesson | None = None
        self._name = ""
        self._unattended = False
        self._first_ns: int | None = None
        self._shown: dict[str, Any] | None = None
        self._result: dict[str, Any] | None = None

    def begin(
        self, name: str, *, unattended: bool, recorder: Recorder, replace: bool = False
    ) -> None:
        """Learn from the next face on. Raises ``UsageError``."""
        if self._lesson is not None:
            raise UsageError(Message("error.calibrating", "a calibration is under way already"))
        if self._profiles.path(name).exists() and not replace:
            raise UsageError(
                Message(
                    "error.profileExists",
                    "the profile {name} exists: choose another name, or replace it",
                    name=name,
                )
            )
        self._name, self._unattended, self._first_ns = name, unattended, None
        self._result = self._shown = None
        self._lesson = Lesson(unattended=unattended, recorder=recorder)

    def see(self, track: FaceTrack) -> None:
        """Take a tracked frame in; in the tracker's thread."""
        lesson = self._lesson
        if lesson is None:
            return
        self._first_ns = track.timestamp_ns if self._first_ns is None else self._first_ns
        share = (track.timestamp_ns - self._first_ns) / (UNATTENDED_S * 1e9)
        state = lesson.see(track, min(max(share, 0.0), 1.0) if self._unattended else None)
        self._show(state)
        if state.done or (self._unattended and share >= 1):
            # Fitting takes a moment in which the avatar must go on.
            threading.Thread(target=self._finish, args=(lesson,), name="calibrate").start()
            self._lesson = None

    def _show(self, state: State) -> None:
        shown = {
            "text": state.text, "step": state.step, "steps": state.steps,
            "progress": round(state.progress, 2),
        }  # fmt: skip
        if shown != self._shown:
            self._shown = shown
            self._changed()

    def end(self, *, keep: bool) -> None:
        """End it before its time: ``keep`` what was seen until now, or nothing."""
        lesson, self._lesson = self._lesson, None
        if lesson is not None and keep:
            self._finish(lesson)
        self._changed()

    def cancel(self) -> None:
        """Forget a lesson under way: there is no session any more."""
        self._lesson = None

    def _finish(self, lesson: Lesson) -> None:
        try:
            result = lesson.result()
            self._profiles.save(self._name, result.profile)
        except AvatarError as error:
            self._result = {"error": words_of(error)}
        else:
            self._result = _summary(self._name, result)
            self._say(
                Message(
                    "said.profileKept",
                    "calibration: kept as the profile {name} (numbers only)",
                    name=self._name,
                )
            )
        self._changed()

    def describe(self) -> dict[str, Any]:
        """Return what the page shows of it."""
        return {
            "active": self._lesson is not None,
            "unattended": self._unattended,
            "name": self._name,
            "shown": self._shown if self._lesson is not None else None,
            "result": self._result,
        }


def _summary(name: str, result: CalibrationResult) -> dict[str, Any]:
    return {
        "name": name,
        "frames": len(result.recording),
        "seen": list(result.seen),
        "partly": list(result.partly),
        "missing": list(result.missing),
    }
