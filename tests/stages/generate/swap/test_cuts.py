"""Cuts are found, and nothing else is taken for one."""

from __future__ import annotations

import numpy as np

from avatar.core.frames import UInt8Image
from avatar.stages.generate.swap.cuts import CutFinder


def scene(seed: int) -> UInt8Image:
    import cv2

    coarse = np.random.default_rng(seed).integers(0, 255, (9, 16, 3)).astype(np.uint8)
    return np.asarray(cv2.resize(coarse, (640, 360), interpolation=cv2.INTER_CUBIC), np.uint8)


def cuts(images: list[UInt8Image]) -> list[int]:
    finder = CutFinder()
    return [k for k, image in enumerate(images) if finder.cuts_before(image)]


def test_each_scene_begins_with_a_cut() -> None:
    assert cuts([scene(k // 10) for k in range(40)]) == [0, 10, 20, 30]


def test_movement_noise_and_fading_are_no_cuts() -> None:
    rng = np.random.default_rng(0)
    panned = [np.roll(scene(1), 4 * k, axis=1) for k in range(30)]
    assert cuts(panned) == [0]
    noisy = [np.clip(scene(1) + rng.normal(0, 12, (360, 640, 3)), 0, 255) for _ in range(20)]
    assert cuts([image.astype(np.uint8) for image in noisy]) == [0]
    faded = [(scene(1) * (1 - k / 40)).astype(np.uint8) for k in range(40)]
    assert cuts(faded) == [0]


def test_a_cut_is_found_within_a_wild_pan() -> None:
    panned = [np.roll(scene(1), 20 * k, axis=1) for k in range(20)]
    other = [np.roll(scene(2), 20 * k, axis=1) for k in range(20)]
    assert 20 in cuts(panned + other)
