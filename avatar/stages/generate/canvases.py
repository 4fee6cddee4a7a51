"""Canvases that are drawn into again once nobody holds them any more.

A new array of a picture's size costs more than filling it: the system hands out memory page by
page. So the same few arrays go round. Whoever keeps a picture, or anything that looks into it,
keeps its array: it is taken again only when nothing refers to it.
"""

from __future__ import annotations

import sys

import numpy as np
from numpy.typing import NDArray

# More than these are held by others at a time only where somebody collects pictures.
_MOST = 6


class Canvases:
    """Hands out copies of pictures, each in an array that is the caller's as long as he keeps it.

    Arrays are kept for one shape at a time. To be used by one thread at a time; arrays may be kept
    and let go by any.
    """

    def __init__(self) -> None:
        self._arrays: list[NDArray[np.uint8]] = []

    def copy_of(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return an array of its own with the content of ``picture``, uint8 (H, W, …)."""
        if self._arrays and self._arrays[0].shape != picture.shape:
            self._arrays.clear()
        for index in range(len(self._arrays)):
            # The list's reference and the call's own: a view or a buffer's user would hold another.
            if sys.getrefcount(self._arrays[index]) == _UNUSED:
                array = self._arrays[index]
                break
        else:
            array = np.empty_like(picture, order="C", subok=False)
            if len(self._arrays) < _MOST:
                self._arrays.append(array)
        np.copyto(array, picture)
        return array


def _references_of_one_held_by_a_list() -> int:
    held = [np.empty(1, np.uint8)]
    return sys.getrefcount(held[0])


_UNUSED = _references_of_one_held_by_a_list()
