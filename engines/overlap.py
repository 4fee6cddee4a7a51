"""Frames under way on a card: the upload of one runs beside the work on the one before.

One frame's way::

    numpy ─► pinned ─► staging ─► inputs ─► work ─► outputs ─► pinned ─► numpy
                  └ upload stream: overlaps the work on the frame before

Inputs and outputs of the work never move, so that the whole launch can be one CUDA graph. What is
done to memory, streams and events is a :class:`CopyingCard`'s; here is only the order of it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import numpy as np

from avatar.core.errors import EngineError
from engines.graph import Array, ModelSpec, TensorSpec
from engines.runner import Runner

Memory = TypeVar("Memory")
Stream = TypeVar("Stream")
Event = TypeVar("Event")


@dataclass(frozen=True)
class Pinned(Generic[Memory]):
    """Memory of the machine that a card reads and writes by itself; ``array`` looks into it."""

    memory: Memory
    array: Array


@dataclass(frozen=True)
class Work(Generic[Memory]):
    """What a card is to do in each frame.

    ``start`` starts it once more, on the stream it was made for; ``outputs``: where the results lie
    when it is done.
    """

    start: Callable[[], None]
    outputs: Mapping[str, Memory]


class CopyingCard(ABC, Generic[Memory, Stream, Event]):
    """A card's memory, streams and events. Everything that takes a stream is started there only."""

    name: str

    @abstractmethod
    def guard(self) -> AbstractContextManager[None]:
        """Something to be within for every call: it makes the card's errors ``EngineError``."""

    @abstractmethod
    def stream(self) -> Stream:
        """A queue of its own."""

    @abstractmethod
    def event(self) -> Event:
        """A mark for a place in a stream; one that was never set is past."""

    @abstractmethod
    def memory(self, spec: TensorSpec) -> Memory:
        """Memory of the card for a value."""

    @abstractmethod
    def pinned(self, spec: TensorSpec) -> Pinned[Memory]:
        """Memory of the machine for a value."""

    @abstractmethod
    def copy(self, target: Memory, source: Memory, stream: Stream) -> None:
        """Copy a value."""

    @abstractmethod
    def record(self, event: Event, stream: Stream) -> None:
        """Set ``event`` behind what was started on ``stream`` so far."""

    @abstractmethod
    def wait(self, stream: Stream, event: Event) -> None:
        """Have ``stream`` go on only past ``event``; nobody else waits."""

    @abstractmethod
    def finish(self, event: Event) -> None:
        """Wait here until ``event`` is past."""

    def kept(self, memory: Memory, spec: TensorSpec) -> Any:
        """What a caller is given of ``memory`` on the card: something that ``described`` knows."""
        return memory

    def free(self, memory: Memory) -> None:
        """Give memory back, of the card or pinned, that is not used any more."""

    @abstractmethod
    def described(self, value: Any) -> Array | None:
        """An array with dtype and shape of ``value`` on the card, without memory; None elsewhere.

        Raises ``EngineError`` for one that lies there otherwise than it must.
        """

    @abstractmethod
    def taken(self, value: Any, stream: Stream) -> Memory:
        """``value`` on the card, read by ``stream`` after what still makes it."""


@dataclass
class _Slot:
    """One frame on its way: memory of its own for inputs that are being uploaded.

    It is used again only once its result was taken, so nothing is done to its memory any more.

    ``feeds`` are kept until it is done: what lies on the card is read from there meanwhile.
    """

    pinned: dict[str, Any]
    staging: dict[str, Any]
    results: dict[str, Any]
    uploaded: Any
    finished: Any
    feeds: Mapping[str, Any] = field(default_factory=dict)


class OverlappedRunner(Runner):
    """A model's work on a card.

    Inputs are numpy arrays, or what ``card`` takes that lies on it. ``infer`` is one frame, start
    to end. ``submit`` and ``result`` take up to two frames at a time: the upload of the second runs
    beside the first. Those two are for one thread alone that has the runner to itself.

    ``make_work``: gives the work, of the inputs' memory by name and the stream that it is for.
    """

    def __init__(
        self,
        backend: str,
        spec: ModelSpec,
        card: CopyingCard[Any, Any, Any],
        make_work: Callable[[Mapping[str, Any], Any], Work[Any]],
    ) -> None:
        self.backend = backend
        super().__init__(spec, card.name)
        self._card = card
        with card.guard():
            self._upload_stream, self._stream = card.stream(), card.stream()
            self._inputs = {value.name: card.memory(value) for value in spec.inputs}
            self._slots = [self._slot(), self._slot()]
            self._work: Work[Any] | None = make_work(self._inputs, self._stream)
        self._submitted: list[_Slot] = []
        self._next = 0

    def _slot(self) -> _Slot:
        card, spec = self._card, self.spec
        return _Slot(
            pinned={value.name: card.pinned(value) for value in spec.inputs},
            staging={value.name: card.memory(value) for value in spec.inputs},
            results={value.name: card.pinned(value) for value in spec.outputs},
            uploaded=card.event(),
            finished=card.event(),
        )

    def upload(self, name: str, value: Array) -> Any:
        """Put a value of the input ``name`` on the card, to pass to ``infer`` many times."""
        spec = next((v for v in self.spec.inputs if v.name == name), None)
        if spec is None:
            raise EngineError(f"this model has no input {name!r}")
        if difference := spec.mismatch(value):
            raise EngineError(f"input {name}: {difference}")
        with self._busy, self._card.guard():
            memory, pinned, done = (
                self._card.memory(spec), self._card.pinned(spec), self._card.event(),
            )  # fmt: skip
            pinned.array[...] = value
            self._card.copy(memory, pinned.memory, self._upload_stream)
            self._card.record(done, self._upload_stream)
            self._card.finish(done)
            self._card.free(pinned.memory)
        return self._card.kept(memory, spec)

    def _described(self, value: Any) -> Array:
        if isinstance(value, np.ndarray):
            return value
        found = self._card.described(value)
        if found is None:
            raise EngineError(
                f"the {self.backend} runner takes numpy arrays and arrays on its card; found "
                f"{type(value).__name__}"
            )
        return found

    def _infer(self, feeds: Mapping[str, Any]) -> dict[str, Array]:
        while self._submitted:
            self.result()
        self._submit(feeds)
        return self.result()

    def submit(self, feeds: Mapping[str, Any]) -> None:
        """Start a frame. At most two are under way: then :meth:`result` must be taken first."""
        if len(self._submitted) == len(self._slots):
            raise EngineError("two frames are under way; take the result of the first before")
        self.spec.check_inputs({name: self._described(value) for name, value in feeds.items()})
        self._submit(feeds)

    def result(self) -> dict[str, Array]:
        """Wait for the oldest frame that was submitted: its outputs."""
        if not self._submitted:
            raise EngineError("no frame is under way; submit one first")
        slot = self._submitted.pop(0)
        with self._card.guard():
            self._card.finish(slot.finished)
        slot.feeds = {}
        return {value.name: slot.results[value.name].array.copy() for value in self.spec.outputs}

    def _submit(self, feeds: Mapping[str, Any]) -> None:
        card, slot = self._card, self._slots[self._next]
        self._next = 1 - self._next
        assert self._work is not None
        with card.guard():
            slot.feeds = feeds
            self._upload(slot, feeds)
            card.wait(self._stream, slot.uploaded)
            for name, value in feeds.items():
                here = isinstance(value, np.ndarray)
                source = slot.staging[name] if here else card.taken(value, self._stream)
                card.copy(self._inputs[name], source, self._stream)
            self._work.start()
            for name, pinned in slot.results.items():
                card.copy(pinned.memory, self._work.outputs[name], self._stream)
            card.record(slot.finished, self._stream)
        self._submitted.append(slot)

    def _upload(self, slot: _Slot, feeds: Mapping[str, Any]) -> None:
        """Start the copies to the card."""
        card = self._card
        for name, value in feeds.items():
            if isinstance(value, np.ndarray):
                slot.pinned[name].array[...] = value
                card.copy(slot.staging[name], slot.pinned[name].memory, self._upload_stream)
        card.record(slot.uploaded, self._upload_stream)

    def _close(self) -> None:
        assert self._work is not None
        with self._card.guard():
            for stream in (self._upload_stream, self._stream):
                ended = self._card.event()
                self._card.record(ended, stream)
                self._card.finish(ended)
            for memory in (*self._inputs.values(), *self._work.outputs.values()):
                self._card.free(memory)
            for slot in self._slots:
                for pinned in (*slot.pinned.values(), *slot.results.values()):
                    self._card.free(pinned.memory)
                for memory in slot.staging.values():
                    self._card.free(memory)
        self._submitted.clear()
        self._slots.clear()
        self._inputs.clear()
        self._work = None
