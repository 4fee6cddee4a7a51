"""The face detector's numbers: anchors, what its answers mean, and which boxes are one face."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avatar.stages.track.detection import (
    Detection,
    anchors,
    decode,
    merged,
    overlaps,
    same_place,
)


def face(left: float, top: float, side: float, score: float = 0.9) -> Detection:
    box = np.array([left, top, left + side, top + side], np.float32)
    points = np.tile(np.array([[left + side / 2, top + side / 2]], np.float32), (6, 1))
    return Detection(box, points, score)


def answers(*sure: tuple[int, float]) -> tuple[np.ndarray, np.ndarray]:
    """Return a detector's answer in which the anchors given by number are as sure as told."""
    logits = np.full(896, -50.0, np.float32)
    for index, logit in sure:
        logits[index] = logit
    return np.zeros((896, 16), np.float32), logits


def test_there_are_896_anchors_in_the_middle_of_their_cells() -> None:
    found = anchors()
    assert found.shape == (896, 2)
    assert found[0].tolist() == found[1].tolist() == [0.5 / 16, 0.5 / 16]
    assert found[2].tolist() == [1.5 / 16, 0.5 / 16], "row by row"
    assert found[512:518].tolist() == [[0.5 / 8, 0.5 / 8]] * 6
    assert found[-1].tolist() == [7.5 / 8, 7.5 / 8]


def test_an_answer_is_relative_to_its_anchor_in_pixels_of_128() -> None:
    boxes, logits = answers((0, 3.0))
    boxes[0, :4] = 64, 32, 32, 16  # centre, size
    boxes[0, 4:6] = 12.8, 25.6
    (found,) = decode(boxes, logits)
    x, y = anchors()[0]
    assert found.box == pytest.approx(
        [x + 0.5 - 0.125, y + 0.25 - 0.0625, x + 0.5 + 0.125, y + 0.25 + 0.0625]
    )
    assert found.points[0] == pytest.approx([x + 0.1, y + 0.2])
    assert found.score == pytest.approx(1 / (1 + np.exp(-3)))


def test_unsure_answers_count_for_nothing_and_extreme_ones_do_no_harm() -> None:
    assert decode(*answers((5, -0.01))) == []
    assert [round(found.score, 6) for found in decode(*answers((5, 1e30)))] == [1.0]


def test_boxes_of_one_face_become_their_mean_by_score() -> None:
    (found,) = merged([face(10, 10, 100, 0.9), face(20, 10, 100, 0.6)])
    assert found.box == pytest.approx([14, 10, 114, 110])
    assert found.points[0] == pytest.approx([64, 60])
    assert found.score == 0.9


def test_faces_beside_each_other_stay_two_the_surest_first() -> None:
    found = merged([face(0, 0, 50, 0.6), face(60, 0, 50, 0.8)])
    assert [each.score for each in found] == [0.8, 0.6]


def test_an_eye_in_a_face_is_no_second_face_but_a_neighbour_is() -> None:
    faces = np.stack([face(0, 0, 100).box, face(90, 0, 100).box])
    assert same_place(face(50, 20, 45).box, faces).tolist() == [True, False]
    assert same_place(face(0, 0, 100).box, faces).tolist() == [True, False]


BOX = st.tuples(st.floats(-50, 50), st.floats(-50, 50), st.floats(1, 80), st.floats(1, 80))


@given(BOX, BOX)
def test_overlap_is_symmetric_and_a_share(one: tuple[float, ...], other: tuple[float, ...]) -> None:
    first, second = (np.array([x, y, x + w, y + h], np.float32) for x, y, w, h in (one, other))
    there, back = overlaps(first, second[None])[0], overlaps(second, first[None])[0]
    assert 0 <= there <= 1 + 1e-5
    assert there == pytest.approx(back, abs=1e-5)
    assert overlaps(first, first[None])[0] == pytest.approx(1, abs=1e-5)


@given(st.lists(st.tuples(st.floats(0, 300), st.floats(0, 300), st.floats(0.5, 1)), max_size=12))
def test_what_is_kept_covers_what_was_found(places: list[tuple[float, float, float]]) -> None:
    found = [face(x, y, 60, score) for x, y, score in places]
    kept = merged(found)
    assert len(kept) <= len(found)
    assert sorted((each.score for each in kept), reverse=True) == [each.score for each in kept]
    if found:
        assert kept[0].score == max(each.score for each in found)
