"""How far a training has come."""

from __future__ import annotations

import pytest

from avatar.learn.generator.session import Budget


def test_by_time_it_is_the_time_of_this_run() -> None:
    assert Budget(600).done(first_step=900, step=950, spent_s=150) == pytest.approx(0.25)


def test_by_steps_those_before_a_resumption_do_not_count() -> None:
    budget = Budget(1200, steps=1000)
    assert budget.done(first_step=0, step=500, spent_s=60) == pytest.approx(0.5)
    assert budget.done(first_step=800, step=900, spent_s=60) == pytest.approx(0.5)
    assert budget.done(first_step=1000, step=1000, spent_s=0) == 1
    assert budget.done(first_step=1200, step=1200, spent_s=0) == 1
