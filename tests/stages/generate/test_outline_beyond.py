"""Beyond a photograph's own edge shoulders fall as they came to it, without corner or hole."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from avatar.core.frames import Float32
from avatar.stages.generate.face_frame import FaceFrame
from avatar.stages.generate.outline_beyond import continue_person

SIZE = (300, 400)
RECT = (100, 0, 300, 300)


FRAME = FaceFrame(
    np.array([200, 90], np.float32),
    np.array([1, 0], np.float32),
    np.array([0, -1], np.float32),
    np.array([50, 65], np.float32),
)


def continued(slope: float, at_edge: float, *, slit: bool = False) -> Float32:
    """Return a person's coverage whose shoulders fall so steeply to both edges of ``RECT``."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]].astype(np.float32) + np.float32(0.5)
    outline = at_edge - slope * np.minimum(x - RECT[0], RECT[2] - x)
    alpha: Float32 = np.clip(y - outline + 0.5, 0, 1).astype(np.float32)
    if slit:
        alpha[round(at_edge) + 3 : round(at_edge) + 6] *= 0.2
    alpha[:, : RECT[0]] = alpha[:, RECT[2] :] = 0
    continue_person(alpha, RECT, FRAME)
    return alpha


def tops(alpha: Float32) -> Float32:
    """Return where the person begins in each column, to a share of a pixel; NaN without one."""
    top = SIZE[0] - alpha.sum(axis=0)
    return np.where(alpha[-1] > 0.5, top, np.nan).astype(np.float32)


shoulders = st.floats(0, 0.9), st.floats(210, 240)


@given(slope=shoulders[0], at_edge=shoulders[1])
def test_a_shoulder_goes_on_as_steeply_as_it_came(slope: float, at_edge: float) -> None:
    top = tops(continued(slope, at_edge))
    for near, step in ((RECT[0] - 1, -1), (RECT[2], 1)):
        beyond = top[near + step * np.arange(8)]
        assert abs(beyond[0] - at_edge) < 2.5
        assert np.ptp(np.diff(beyond)) < 0.5
        assert abs((beyond[-1] - beyond[0]) / 7 - slope) < 0.5


@given(slope=shoulders[0], at_edge=shoulders[1])
def test_a_shoulder_never_rises_and_ends(slope: float, at_edge: float) -> None:
    alpha = continued(slope, at_edge)
    for beyond in (alpha[:, RECT[0] - 1 :: -1], alpha[:, RECT[2] :]):
        assert (np.diff(beyond.sum(axis=0)) < 0.01).all()
    assert alpha[:, 0].max() == 0 or alpha[:, 0].sum() < alpha[:, RECT[0]].sum()


@given(slope=shoulders[0], at_edge=shoulders[1])
def test_slits_between_strands_do_not_go_on(slope: float, at_edge: float) -> None:
    alpha = continued(slope, at_edge, slit=True)
    beyond = alpha[:, RECT[0] - 5]
    first = int(np.argmax(beyond > 0.5))
    assert beyond[first + 2 :].min() > 0.95
