"""Everything the package raises on purpose.

::

    AvatarError                  root: catch this one to catch all
    ├── UsageError               what was asked for cannot be done as asked (exit status 2)
    │   ├── ConfigError          a config file is unreadable or has an unknown key or value
    │   └── PhotoError           a photograph cannot become an avatar
    ├── MissingDependencyError   a library of the system or of Python is absent
    ├── FaceModelError           the face model is absent or is not the expected file
    ├── SourceError              where frames come from
    │   ├── SourceNotFoundError  no such camera, file or address
    │   ├── SourceBusyError      the camera is there but another program or a permission holds it
    │   ├── SourceLostError      it worked and then went away; may come back
    │   └── SourceEndedError     a finite source has no further frame
    ├── TrackerError             the tracker could not start
    ├── SinkError                where frames go
    │   ├── SinkUnavailableError the device or path cannot be opened
    │   └── SinkLostError        it worked and then went away; may come back
    ├── SoundError               microphone and speaker
    │   ├── SoundNotFoundError   no such device
    │   └── SoundBusyError       the device is there but cannot be opened
    └── EngineError              a compiled network could not be built, read or run

Each message says what was expected, what was found, and what to do.
"""

from __future__ import annotations


class AvatarError(Exception):
    """Root of the errors raised on purpose; the message is written for the user.

    ``exit_status`` is what the command line ends with when the error reaches it.
    """

    exit_status = 1


class UsageError(AvatarError):
    """What was asked for cannot be done as asked."""

    exit_status = 2


class ConfigError(UsageError):
    """A config file is unreadable, or has an unknown key or an impossible value."""


class PhotoError(UsageError):
    """A photograph cannot become an avatar."""


class MissingDependencyError(AvatarError):
    """A library of the system or of Python is absent; the message has the line that installs it."""


class FaceModelError(AvatarError):
    """The face model is absent, or is not the expected file."""


class SourceError(AvatarError):
    """Where frames come from."""


class SourceNotFoundError(SourceError):
    """There is no such camera, file or address."""

    exit_status = 2


class SourceBusyError(SourceError):
    """The camera exists, but another program or a missing permission keeps it."""


class SourceLostError(SourceError):
    """The source worked and then went away; it may come back."""


class SourceEndedError(SourceError):
    """A finite source has no further frame: the normal end of a file that does not loop."""


class TrackerError(AvatarError):
    """The tracker could not start."""


class SinkError(AvatarError):
    """Where frames go."""


class SinkUnavailableError(SinkError):
    """The output's device or path cannot be opened."""


class SinkLostError(SinkError):
    """The output worked and then went away; it may come back."""


class SoundError(AvatarError):
    """Microphone and speaker."""


class SoundNotFoundError(SoundError):
    """There is no such microphone or speaker."""

    exit_status = 2


class SoundBusyError(SoundError):
    """The microphone or speaker exists but cannot be opened."""


class EngineError(AvatarError):
    """A compiled network could not be built, read or run."""
