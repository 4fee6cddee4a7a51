"""A step's parts: their sizes, their order, their threads, and what goes wrong in one."""

from __future__ import annotations

import threading

import pytest

torch = pytest.importorskip("torch", reason="training is done with PyTorch")

from engines.training.parts import Parts  # noqa: E402


@pytest.fixture
def two_threads() -> None:
    """PyTorch with two threads; the folder's fixture sets them back."""
    torch.set_num_threads(2)


@pytest.mark.parametrize(
    ("kind", "batch", "sizes"),
    [("cpu", 6, [3, 3]), ("cpu", 5, [3, 2]), ("cpu", 1, [1]), ("cuda", 6, [6])],
)
def test_sizes_are_even_and_sum_to_the_batch(kind: str, batch: int, sizes: list[int]) -> None:
    assert Parts(kind).sizes(batch) == sizes


def test_what_parts_give_comes_in_their_order(two_threads: None) -> None:
    second_done = threading.Event()

    def work(part: int, size: int) -> tuple[int, int, int, str]:
        if part == 0:
            assert second_done.wait(60)  # both run at the same time
        else:
            second_done.set()
        return part, size, torch.get_num_threads(), threading.current_thread().name

    first, second = Parts("cpu").run(work, [2, 1])
    assert first[:3] == (0, 2, 1) and second[:3] == (1, 1, 1)
    assert first[3] != second[3]


def test_one_thread_does_one_after_the_other() -> None:
    names = Parts("cpu").run(lambda *_: threading.current_thread().name, [1, 1])
    assert names[0] == names[1]


def test_a_failure_of_one_part_is_told(two_threads: None) -> None:
    def work(part: int, size: int) -> int:
        if part == 1:
            raise ValueError("part one")
        return size

    parts = Parts("cpu")
    with pytest.raises(ValueError, match="part one"):
        parts.run(work, [1, 1])
    assert parts.run(lambda _, size: size, [1, 2]) == [1, 2]
