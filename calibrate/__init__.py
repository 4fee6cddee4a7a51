"""A person's own range of expression: guided capture, and the pure fit of samples to a profile.

Numbers in, numbers out: the package sees neither cameras nor pictures. ``avatar calibrate``
(``avatar/app/calibrate``) feeds it and keeps what it finds.
"""

from calibrate.fit import CalibrationError, fit
from calibrate.profile import SCHEMA_VERSION, Profile
from calibrate.samples import Recording, Sample
from calibrate.session import Problem, Session, State
from calibrate.steps import STEPS, Step

__all__ = [
    "CalibrationError", "fit", "SCHEMA_VERSION", "Profile", "Recording", "Sample", "Problem",
    "Session", "State", "STEPS", "Step",
]  # fmt: skip
