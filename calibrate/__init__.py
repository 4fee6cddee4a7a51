"""A person's own range of expression: guided capture, and the pure fit of samples to a profile.

Numbers in, numbers out: the package sees neither cameras nor pictures. ``avatar calibrate``
(``avatar/app/calibrate``) feeds it and keeps what it finds.
"""

from calibrate.fit import CalibrationError, fit
from calibrate.profile import SCHEMA_VERSION, Profile
from calibrate.samples import Recording, Sample
from calibrate.session import Session
from calibrate.state import Problem, State
from calibrate.steps import REST, STEPS, Step
from calibrate.training_steps import SPEECH, TRAINING_STEPS

__all__ = [
    "CalibrationError", "fit", "SCHEMA_VERSION", "Profile", "Recording", "Sample", "Problem",
    "Session", "State", "REST", "STEPS", "Step", "SPEECH", "TRAINING_STEPS",
]  # fmt: skip
