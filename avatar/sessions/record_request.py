"""The options of ``avatar record``, declared once; see ``avatar.core.options``."""

# No `from __future__ import annotations`: these are read at each start; texts would be compiled.

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from avatar.core.choices import Smoothing, TrackerName
from avatar.core.errors import UsageError
from avatar.core.option import Option
from avatar.core.options import Options, check_bounds, lent

RECORD = "record"
_HERE: Any = {"on": (RECORD,)}


@dataclass(frozen=True)
class RecordRequest:
    """What the user asked of ``avatar record``; raises ``UsageError`` for what cannot be."""

    # fmt: off
    out: Annotated[Path | None, Option(
        "Motion to write.", metavar="FILE.npz", **_HERE,
    )] = None
    take: Annotated[Path | None, Option(
        "Take the motion from Live Link Face's table instead of a camera.", metavar="FILE.csv",
        flag="--from", **_HERE,
    )] = None
    camera: Annotated[str, lent("camera", RECORD)] = Options.camera
    camera_size: Annotated[str, lent("camera_size", RECORD)] = Options.camera_size
    seconds: Annotated[float | None, Option(
        "How long to record (default: until Q or Ctrl-C).", bounds=(0.5, 1200, 0.5),
        unit="seconds", **_HERE,
    )] = None
    count_in: Annotated[float, Option(
        "How long to count before it, from when your face is seen.", bounds=(2, 30, 1),
        unit="seconds", **_HERE,
    )] = 3.0
    mirror: Annotated[bool, lent("mirror", RECORD)] = Options.mirror
    smoothing: Annotated[Smoothing, lent("smoothing", RECORD)] = Options.smoothing
    profile: Annotated[str | None, lent("profile", RECORD)] = Options.profile
    tracker: Annotated[TrackerName, lent("tracker", RECORD)] = Options.tracker
    person: Annotated[str, lent("person", RECORD)] = Options.person
    face_model: Annotated[Path | None, lent("face_model", RECORD)] = None
    force: Annotated[bool, Option("Replace a file of that name.", flag="--force", **_HERE)] = False
    # fmt: on

    def __post_init__(self) -> None:
        check_bounds(self)
        if self.out is None:
            raise UsageError("expected a file to write: avatar record --out wave.npz")
        if self.take is not None and self.seconds is not None:
            raise UsageError("--from takes a whole recording: leave out --seconds")
        _ = self.session

    @property
    def session(self) -> Options:
        """Return what a session's parts are made with. Raises ``UsageError``."""
        return Options(
            camera=self.camera, camera_size=self.camera_size, mirror=self.mirror,
            smoothing=self.smoothing, profile=self.profile, tracker=self.tracker,
            person=self.person, face_model=self.face_model,
        )  # fmt: skip
