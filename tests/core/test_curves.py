import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from avatar.core.curves import eased, smooth_step
from avatar.core.frames import Float32


@given(t=arrays(np.float32, 8, elements=st.floats(-3, 4, width=32)))
def test_a_smooth_step_rises_from_nought_to_one(t: Float32) -> None:
    steps = smooth_step(np.sort(t))
    assert steps.dtype == np.float32
    assert (np.diff(steps) >= -1e-6).all()
    assert np.allclose(smooth_step(1 - t), 1 - smooth_step(t), atol=1e-5)
    assert (smooth_step(t)[t <= 0] == 0).all()
    assert (smooth_step(t)[t >= 1] == 1).all()


@given(share=st.floats(0, 1))
def test_easing_is_the_same_curve(share: float) -> None:
    assert eased(share) == pytest.approx(float(smooth_step(np.array(share))), abs=1e-6)
