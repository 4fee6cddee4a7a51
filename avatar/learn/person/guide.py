"""A guided capture: the live loop runs, and text says what to do. Calibration and recording use it.

What is asked for, when it counts as done and how often it is asked for again is the session's
(``calibrate.session``); here are the camera, the window, the keys and the terminal.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from functools import partial

from avatar.core import terminal
from avatar.core.errors import AvatarError
from avatar.core.frames import FaceTrack
from avatar.core.home import Home
from avatar.core.machine import ended_by_signals
from avatar.core.observe import Recorder
from avatar.core.options import Options
from avatar.core.stages import FrameSource, Tracker
from avatar.core.terminal_keys import TerminalKeys
from avatar.learn.person.watch import Watcher
from avatar.sessions.guidance import Guidance
from avatar.sessions.live import LiveSession
from avatar.sessions.observed_tracker import ObservedTracker
from avatar.stages.sinks.display import check_display
from calibrate import Session, State

Say = Callable[[str], None]
OnState = Callable[[State], None]

_SIZE = "960x720"


class GuidedCapture:
    """A session that is fed with tracks.

    ``watcher``: what feeds ``session``; None: the usual one. ``on_state``: hears after every
    tracked frame what to show, in the thread that tracks.
    """

    def __init__(
        self,
        session: Session,
        *,
        watcher: Watcher | None = None,
        on_state: OnState = lambda state: None,
    ) -> None:
        self._session = session
        self._watcher = watcher or Watcher(session)
        self._on_state = on_state

    @property
    def state(self) -> State:
        """Return what to show."""
        return self._watcher.state

    @property
    def done(self) -> bool:
        """Return whether all was asked for; never of one that watches in any order."""
        return self._session.done

    def see(self, track: FaceTrack, progress: float | None = None) -> State:
        """Take one tracked frame in; ``progress`` replaces the state's own."""
        state = self._watcher.see(track)
        if progress is not None:
            state = replace(state, progress=progress)
        self._on_state(state)
        return state

    def press(self, key: str) -> None:
        """Do what a key stands for, from any thread: "n" leaves a step out, "r" asks again."""
        if key == "n":
            self._session.skip()
        elif key == "r":
            self._session.repeat()

    def wrap(self, tracker: Tracker) -> Tracker:
        """Return a tracker that does as ``tracker`` and shows the capture what it saw."""
        return ObservedTracker(tracker, lambda _, track: self.see(track))


def guide(
    capture: GuidedCapture,
    options: Options,
    *,
    window: bool,
    say: Say,
    home: Home,
    cancel: threading.Event,
    source: FrameSource | None = None,
    recorder: Recorder | None = None,
    begun: Callable[[], None] = lambda: None,
) -> None:
    """Run the live loop with prompts until all is done or the driver ends it.

    ``options``: the camera and the face model. ``window``: show the built-in avatar and the
    prompts. ``cancel``: ends it when set, from any thread. ``begun``: called once the camera and
    all else is open. Raises what the live session raises.
    """
    has_window = window and _has_window()
    options = replace(options, out=("preview" if has_window else "none",), size=_SIZE)
    ends = _Ends(capture, cancel)
    live = LiveSession(
        options,
        say,
        home=home,
        source=source,
        recorder=recorder,
        wrap_tracker=lambda tracker: ObservedTracker(tracker, lambda _, track: ends.see(track)),
        guidance=Guidance(
            lambda: capture.state.line, {key: partial(capture.press, key) for key in "nr"}
        ),
    )
    ends.stop = live.stop

    def explain() -> None:
        if window and not has_window:
            say("there is no screen for a window: the prompts stand here alone")
        begun()

    with ExitStack() as meanwhile:
        meanwhile.enter_context(ended_by_signals(live.stop))
        meanwhile.enter_context(TerminalKeys(live.press))
        live.run(begun=explain)


class Prompts:
    """Shows a session's state on the terminal when it changes."""

    def __init__(self, say: Say = terminal.say) -> None:
        self._say = say
        self._last = ""
        self._seen = False

    def see(self, state: State) -> None:
        """Take a state in; called from the tracker's thread."""
        line = f"{state.step}/{state.steps}  {state.text}"
        if line != self._last:
            self._last, self._seen = line, False
            self._say(line)
        elif state.progress >= 1 and not state.done and not self._seen:
            self._seen = True
            self._say("     seen")


class _Ends:
    """Stops the live loop when the capture is done or cancelled."""

    def __init__(self, capture: GuidedCapture, cancel: threading.Event) -> None:
        self._capture, self._cancel = capture, cancel
        self.stop: Callable[[], None] = lambda: None

    def see(self, track: FaceTrack) -> None:
        """Take one frame in; called from the tracker's thread."""
        self._capture.see(track)
        if self._capture.done or self._cancel.is_set():
            self.stop()


def _has_window() -> bool:
    try:
        check_display()
    except AvatarError:
        return False
    return True
