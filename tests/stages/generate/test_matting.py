"""Coverage down to single strands, and colours apart."""

import cv2
import numpy as np
import pytest

from avatar.core.frames import Float32, UInt8Image
from avatar.stages.generate import matting
from avatar.stages.generate.matting import sampled_coverage, separate_colours, solve_coverage

SIDE = 120


def _strands() -> Float32:
    """A body below, and strands that stand up from it, antialiased."""
    shape = np.zeros((4 * SIDE, 4 * SIDE), np.float32)
    shape[300:] = 1
    for x in range(60, 420, 40):
        cv2.line(shape, (x, 310), (x + 30, 150), (1.0,), 3)
    return np.asarray(cv2.resize(shape, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.float32)


def _busy() -> UInt8Image:
    noise = np.random.default_rng(2).normal(0, 1, (SIDE, SIDE, 3)).astype(np.float32)
    soft = cv2.GaussianBlur(noise, (0, 0), 2.0)
    return np.clip(np.array([150, 170, 120]) + 120 * soft, 0, 255).astype(np.uint8)


def _photographed(truth: Float32) -> UInt8Image:
    hair = np.array([40, 24, 20], np.float32)
    mixed = hair * truth[..., None] + _busy() * (1 - truth[..., None])
    return np.clip(mixed + 0.5, 0, 255).astype(np.uint8)


def test_the_energy_is_that_of_the_matting_laplacian() -> None:
    small = np.random.default_rng(0).random((9, 11, 3)).astype(np.float32)
    windows = matting._Windows(small)
    count = 9 * 11
    matrix = np.stack(
        [windows.energy(row.reshape(9, 11)).ravel() for row in np.eye(count, dtype=np.float32)]
    )
    wanted = np.zeros((count, count))
    index = np.arange(count).reshape(9, 11)
    for y in range(1, 8):
        for x in range(1, 10):
            # Levin, Lischinski, Weiss 2008, equation 12.
            inside = index[y - 1 : y + 2, x - 1 : x + 2].ravel()
            colours = small.reshape(-1, 3)[inside].astype(np.float64)
            off = colours - colours.mean(axis=0)
            spread = off.T @ off / 9 + matting._NOISE * np.eye(3)
            share = (1 + off @ np.linalg.inv(spread) @ off.T) / 9
            wanted[np.ix_(inside, inside)] += np.eye(9) - share
    assert np.abs(matrix - wanted).max() < 2e-3
    assert np.abs(np.diag(wanted).reshape(9, 11) - windows.diagonal).max() < 2e-3


def test_strands_before_a_busy_background_are_found() -> None:
    truth = _strands()
    image = _photographed(truth)
    person = np.zeros(truth.shape, bool)
    person[85:] = True
    wall = np.zeros(truth.shape, bool)
    wall[:25] = True
    unknown = ~person & ~wall
    likely, sure, _ = sampled_coverage(image, person, wall, person, 12.0)
    guess = np.where(unknown, likely, person).astype(np.float32)
    solved = solve_coverage(image, guess, 0.1 * sure + np.float32(1e-4), unknown)
    blob = cv2.GaussianBlur(person.astype(np.float32), (0, 0), 2.0)
    assert np.abs(solved - truth).sum() < 0.3 * np.abs(blob - truth).sum()
    assert np.array_equal(solved[~unknown], person[~unknown])


@pytest.mark.parametrize("value", [0, 128, 255])
def test_one_flat_colour_gives_finite_numbers(value: int) -> None:
    image = np.full((64, 64, 3), value, np.uint8)
    guess = np.zeros((64, 64), np.float32)
    guess[:, 32:] = 1
    unknown = np.zeros((64, 64), bool)
    unknown[:, 20:44] = True
    solved = solve_coverage(image, guess, np.full_like(guess, 1e-4), unknown)
    assert np.isfinite(solved).all()
    assert 0 <= solved.min() <= solved.max() <= 1


def test_colours_come_apart() -> None:
    truth = _strands()
    person, background = separate_colours(_photographed(truth), truth)
    mixed = (truth > 0.3) & (truth < 0.9)
    assert np.abs(person[mixed] - [40, 24, 20]).mean() < 12
    laid = person * truth[..., None] + background * (1 - truth[..., None])
    assert np.abs(laid - _photographed(truth)).mean() < 2


def test_what_is_plainly_wall_is_no_mixture() -> None:
    # A dark leaf of a busy wall, beside hair of about its colour: some mixture explains it.
    image = _busy()
    image[:, :30] = (40, 24, 20)
    person, wall = np.zeros((SIDE, SIDE), bool), np.zeros((SIDE, SIDE), bool)
    person[:, :26], wall[:, 60:] = True, True
    inside = np.zeros((SIDE, SIDE), bool)
    inside[:, :30] = True
    _, sure, little = sampled_coverage(image, person, wall, inside, 12.0)
    _, surer, less = sampled_coverage(image, person, wall, ~inside, 12.0)
    assert little[:, 35:60].mean() > 3 * less[:, 35:60].mean()
    assert sure[:, 35:60].mean() < 0.7 * surer[:, 35:60].mean()
    assert little[:, 26:30].min() > 0.5
