"""A card that is none: its streams do their work later, in an order that only events bound."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any

import numpy as np

from engines.graph import Array, ModelSpec, TensorSpec
from engines.overlap import CopyingCard, Pinned, Work


@dataclass
class SimulatedStream:
    """Pieces of work in their order; ``done`` of them are."""

    pieces: list[Callable[[], None]] = field(default_factory=list)
    done: int = 0

    def advance(self, until: int) -> None:
        """Do what stands before ``until``."""
        while self.done < until:
            piece = self.pieces[self.done]
            self.done += 1
            piece()


@dataclass
class SimulatedEvent:
    """A place in a stream."""

    stream: SimulatedStream | None = None
    place: int = 0

    def reach(self) -> None:
        """Do what stands before it."""
        if self.stream is not None:
            self.stream.advance(self.place)


class CardArray:
    """A value that lies on the card."""

    def __init__(self, array: Array) -> None:
        self.array = array


class SimulatedCard(CopyingCard[CardArray, SimulatedStream, SimulatedEvent]):
    """Does as much as ``random`` will before each call, and the rest when somebody waits for it.

    ``function``: the work, arrays by name to arrays by name.
    """

    name = "a simulated card"

    def __init__(
        self, spec: ModelSpec, function: Callable[..., Mapping[str, Array]], random: Random
    ) -> None:
        self._spec, self._function, self._random = spec, function, random
        self._streams: list[SimulatedStream] = []
        self.entered = 0

    @contextmanager
    def guard(self) -> Iterator[None]:
        self.entered += 1
        yield

    def _anything(self) -> None:
        for stream in self._random.sample(self._streams, len(self._streams)):
            stream.advance(self._random.randint(stream.done, len(stream.pieces)))

    def stream(self) -> SimulatedStream:
        self._streams.append(SimulatedStream())
        return self._streams[-1]

    def event(self) -> SimulatedEvent:
        return SimulatedEvent()

    def memory(self, spec: TensorSpec) -> CardArray:
        return CardArray(np.zeros([n or 1 for n in spec.shape], spec.dtype))

    def pinned(self, spec: TensorSpec) -> Pinned[CardArray]:
        memory = self.memory(spec)
        return Pinned(memory, memory.array)

    def copy(self, target: CardArray, source: CardArray, stream: SimulatedStream) -> None:
        stream.pieces.append(lambda: np.copyto(target.array, source.array))
        self._anything()

    def record(self, event: SimulatedEvent, stream: SimulatedStream) -> None:
        event.stream, event.place = stream, len(stream.pieces)
        self._anything()

    def wait(self, stream: SimulatedStream, event: SimulatedEvent) -> None:
        # As set now: an event may be set again before the stream comes to it.
        awaited = SimulatedEvent(event.stream, event.place)
        stream.pieces.append(awaited.reach)
        self._anything()

    def finish(self, event: SimulatedEvent) -> None:
        self._anything()
        event.reach()

    def described(self, value: Any) -> Array | None:
        return value.array if isinstance(value, CardArray) else None

    def taken(self, value: CardArray, stream: SimulatedStream) -> CardArray:
        return value

    def work(self, inputs: Mapping[str, CardArray], stream: SimulatedStream) -> Work[CardArray]:
        outputs = {value.name: self.memory(value) for value in self._spec.outputs}

        def run() -> None:
            found = self._function(**{name: value.array for name, value in inputs.items()})
            for name, value in found.items():
                np.copyto(outputs[name].array, value)

        def start() -> None:
            stream.pieces.append(run)
            self._anything()

        return Work(start, outputs)
