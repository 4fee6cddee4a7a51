"""Where a motion puts an avatar's landmarks: brows in full, bone not at all."""

from dataclasses import replace

import numpy as np
import pytest

from avatar.core.face.fields import brow_field
from avatar.core.face.head import decompose, shape_of
from avatar.core.face.topology import BROW_RINGS
from avatar.core.frames import Face, Float32, Presence, UInt8Image, still
from avatar.stages.generate.deform import FaceDeformer
from avatar.stages.generate.framing import View, make_canvases

# Where the cheekbones' arches meet the ears, and the bridge of the nose.
BONE = [127, 356, 162, 389, 6]


def moved(deformer: FaceDeformer, expression: Float32, neutral: Float32) -> Float32:
    """Return by how much the avatar's landmarks leave the photograph's, head units."""
    motion = replace(still(0, 0, Presence.TRACKED), expression=expression, neutral=neutral)
    pose = deformer.pose(motion)
    shape = shape_of(pose.landmarks_px, pose.rotation, pose.centre_px, pose.scale_px)
    return np.asarray(shape - deformer.head.shape, np.float32)


@pytest.fixture(scope="module")
def deformer(portrait: UInt8Image, portrait_face: Face) -> FaceDeformer:
    (canvas,) = make_canvases(portrait, [portrait_face], "portrait", (512, 512), View())
    return FaceDeformer(canvas)


@pytest.mark.parametrize("strength", [-0.5, 0.4, 1.0])
def test_brows_rise_as_far_as_the_drivers_up_to_their_ends(
    deformer: FaceDeformer, portrait_face: Face, strength: float
) -> None:
    neutral = decompose(portrait_face).shape
    driver = np.float32(strength) * brow_field(neutral)
    avatar = moved(deformer, driver, neutral)
    for ring in BROW_RINGS:
        np.testing.assert_allclose(avatar[ring, 1] / driver[ring, 1], 1, atol=0.12)


def test_bone_stays_where_it_is_while_brows_rise(
    deformer: FaceDeformer, portrait_face: Face
) -> None:
    neutral = decompose(portrait_face).shape
    avatar = moved(deformer, brow_field(neutral), neutral)
    assert np.abs(avatar[BONE]).max() <= 0.015
