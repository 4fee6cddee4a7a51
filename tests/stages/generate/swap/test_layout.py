"""The sheet: what is laid out on it comes back to where it was."""

from __future__ import annotations

import numpy as np

from avatar.core.face.topology import FACE_OVAL, SURFACE_COUNT
from avatar.core.frames import Face, UInt8Image
from avatar.stages.generate.swap.layout import FaceSheet, drawn
from avatar.stages.generate.swap.photograph import at


def test_every_landmark_has_a_place_of_its_own_on_the_sheet(layout: FaceSheet) -> None:
    assert layout.points.shape == (SURFACE_COUNT, 2)
    assert layout.points.min() > 0 and layout.points.max() < 1
    apart = np.linalg.norm(layout.points[:, None] - layout.points[None], axis=-1)
    assert (apart + np.eye(SURFACE_COUNT)).min() > 1e-4


def test_a_face_laid_out_and_drawn_again_is_the_face(
    layout: FaceSheet, portrait: UInt8Image, portrait_face: Face
) -> None:
    points = portrait_face.landmarks_px
    sheet = layout.unwrap(portrait, points, 512)
    height, width = portrait.shape[:2]
    ones = np.ones(SURFACE_COUNT, np.float32)
    places, there = drawn(layout, points, (0, 0), (width, height), ones)
    again = at(sheet, places[..., 0], places[..., 1])
    inside = there & (places[..., 2] > 0.9)
    difference = np.abs(again - portrait)[inside]
    assert np.median(difference) < 2 and difference.mean() < 4


def test_zones_lie_within_the_face(layout: FaceSheet) -> None:
    zones = layout.zones(64)
    middle = np.round(layout.points[[1, 4]] * 64).astype(int)
    assert all(zones.skin[y, x] > 0.5 for x, y in middle), "the nose is skin"
    assert zones.skin[0, 0] == 0 and zones.rim[32, 32] == 0
    edge = np.round(layout.points[FACE_OVAL] * 64).astype(int).clip(0, 63)
    assert np.mean([zones.skin[y, x] for x, y in edge]) < 0.3


def test_a_cheek_that_is_turned_away_is_not_facing(layout: FaceSheet, portrait_face: Face) -> None:
    points = portrait_face.landmarks_px.copy()
    facing = layout.facing(points, 64)
    assert facing[32, 32] > 0.8
    angle = np.radians(60)
    middle = points.mean(axis=0)
    across = np.array(
        [[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]],
        np.float32,
    )
    turned = layout.facing((points - middle) @ across.T + middle, 64)
    left, right = turned[20:44, 8:20].mean(), turned[20:44, 44:56].mean()
    assert min(left, right) < 0.3 < max(left, right)
