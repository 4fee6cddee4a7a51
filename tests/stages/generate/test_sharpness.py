import cv2
import numpy as np
import pytest

from avatar.core.frames import Face, UInt8Image
from avatar.stages.generate.sharpness import Softness, blur_px


def checks(face: Face, blur: float) -> UInt8Image:
    """Return a checkerboard, blurred."""
    width, height = face.image_size_px
    x, y = np.arange(width) // 16 % 2, np.arange(height) // 16 % 2
    board = np.where(x[None, :] ^ y[:, None], 200.0, 60.0).astype(np.float32)
    return np.repeat(cv2.GaussianBlur(board, (0, 0), blur)[..., None], 3, axis=2).astype(np.uint8)


@pytest.mark.parametrize("blur", [0.8, 1.5, 2.5])
def test_the_blur_of_edges_is_found(portrait_face: Face, blur: float) -> None:
    found = blur_px(checks(portrait_face, blur), portrait_face.landmarks_px)
    assert found == pytest.approx(blur, rel=0.2)


def test_what_is_sharper_than_the_picture_is_softened(portrait_face: Face) -> None:
    sharp = checks(portrait_face, 0.6)
    points = portrait_face.landmarks_px
    softened = Softness(2.0).apply(sharp, sharp, points, 1.0)
    assert blur_px(softened, points) == pytest.approx(2.0, rel=0.2)


def test_what_is_as_soft_as_the_picture_stays(portrait_face: Face) -> None:
    soft = checks(portrait_face, 2.0)
    same = Softness(2.0).apply(soft, soft, portrait_face.landmarks_px, 1.0)
    assert np.array_equal(same, soft)


def test_a_face_beyond_the_picture_has_no_blur(portrait_face: Face) -> None:
    far = (portrait_face.landmarks_px + 10_000).astype(np.float32)
    assert blur_px(checks(portrait_face, 1.0), far) == 0
