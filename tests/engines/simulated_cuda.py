"""As much of ``cuda.core`` as ``engines.tensorrt`` uses, on a card that is none.

Memory is the machine's. Streams do their work later, in an order that only events bound.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from random import Random
from types import SimpleNamespace
from typing import Any, ClassVar

from tests.engines.simulated_card import SimulatedEvent, SimulatedStream


class CudaEvent(SimulatedEvent):
    def sync(self) -> None:
        self.reach()


class CudaStream(SimulatedStream):
    """Known by its handle, as a library is given it."""

    known: ClassVar[dict[int, CudaStream]] = {}
    random: ClassVar[Random] = Random(0)

    def __init__(self) -> None:
        super().__init__()
        self.handle = len(self.known) + 1
        self.known[self.handle] = self

    def push(self, piece: Callable[[], None]) -> None:
        self.pieces.append(piece)
        for stream in self.random.sample(list(self.known.values()), len(self.known)):
            if not isinstance(stream, Builder):
                stream.advance(self.random.randint(stream.done, len(stream.pieces)))

    def record(self, event: CudaEvent) -> None:
        event.stream, event.place = self, len(self.pieces)

    def wait(self, event: CudaEvent) -> None:
        self.push(SimulatedEvent(event.stream, event.place).reach)

    def sync(self) -> None:
        self.advance(len(self.pieces))

    def create_graph_builder(self) -> Builder:
        return Builder()


class Builder(CudaStream):
    """A stream that only notes its pieces, for a graph."""

    @property
    def stream(self) -> Builder:
        return self

    def begin_building(self) -> Builder:
        return self

    def end_building(self) -> Builder:
        return self

    def complete(self) -> Any:
        def launch(stream: CudaStream) -> None:
            for piece in self.pieces:
                stream.push(piece)

        return SimpleNamespace(launch=launch)


class CudaBuffer:
    def __init__(self, size: int, handle: int = 0) -> None:
        self._memory = None if handle else (ctypes.c_ubyte * size)()
        self.handle = handle or ctypes.addressof(self._memory)  # type: ignore[arg-type]
        self.size = size

    @classmethod
    def from_handle(cls, handle: int, size: int, owner: Any) -> CudaBuffer:
        return cls(size, handle)

    def copy_from(self, source: CudaBuffer, *, stream: CudaStream) -> None:
        def copy() -> None:
            ctypes.memmove(self.handle, source.handle, self.size)

        stream.push(copy)

    def copy_to(self, target: CudaBuffer, *, stream: CudaStream) -> None:
        target.copy_from(self, stream=stream)

    def close(self) -> None:
        """The memory stays for those who still have its handle."""


class CudaDevice:
    def __init__(self, number: int) -> None:
        self.number = number

    def set_current(self) -> None:
        pass

    def create_stream(self) -> CudaStream:
        return CudaStream()

    def create_event(self) -> CudaEvent:
        return CudaEvent()

    def allocate(self, size: int, *, stream: CudaStream) -> CudaBuffer:
        return CudaBuffer(size)

    def sync(self) -> None:
        for stream in CudaStream.known.values():
            stream.sync()


class CudaPinned:
    def allocate(self, size: int) -> CudaBuffer:
        return CudaBuffer(size)


def copy_on_card(target: int, source: int, size: int, stream: int) -> None:
    """Start a copy within the card, as a library does."""
    CudaStream.known[stream].push(lambda: ctypes.memmove(target, source, size))


def simulated_cuda(seed: int) -> Any:
    """Return the module, with an order of its own."""
    CudaStream.known, CudaStream.random = {}, Random(seed)
    return SimpleNamespace(
        Device=CudaDevice, LegacyPinnedMemoryResource=CudaPinned, Buffer=CudaBuffer,
        Stream=CudaStream,
    )  # fmt: skip
