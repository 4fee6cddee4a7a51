"""A card as ``cuda-core`` reaches it: memory, streams and events, for ``engines.overlap``."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from avatar.core.errors import EngineError
from engines.graph import Array, TensorSpec
from engines.overlap import CopyingCard, Pinned


class DeviceArray:
    """Values kept on the card, for inputs that stay the same: a source's features.

    Made by ``upload`` of a runner on this card; valid until that runner is closed.
    """

    def __init__(self, buffer: Any, spec: TensorSpec) -> None:
        self.buffer = buffer
        self.spec = spec

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        return {
            "shape": self.spec.shape,
            "typestr": self.spec.dtype.str,
            "data": (int(self.buffer.handle), True),
            "strides": None,
            "stream": None,
            "version": 3,
        }


class CudaCard(CopyingCard[Any, Any, Any]):
    """The card number ``index``; ``name`` is for people.

    Arrays on it are anything with ``__cuda_array_interface__`` (torch, CuPy, PyCUDA,
    :class:`DeviceArray`).
    """

    def __init__(self, index: int, name: str) -> None:
        from cuda.core import Device, LegacyPinnedMemoryResource

        self.name = name
        self._device = Device(index)
        self._device.set_current()
        self._pinned = LegacyPinnedMemoryResource()
        self._allocating = self._device.create_stream()

    @contextmanager
    def guard(self) -> Iterator[None]:
        """See ``CopyingCard``; frames may come from another thread than opened the runner."""
        self._device.set_current()
        yield

    def stream(self) -> Any:
        """See ``CopyingCard``."""
        return self._device.create_stream()

    def event(self) -> Any:
        """See ``CopyingCard``."""
        return self._device.create_event()

    def memory(self, spec: TensorSpec) -> Any:
        """See ``CopyingCard``."""
        memory = self._device.allocate(_size(spec), stream=self._allocating)
        self._allocating.sync()  # it is allocated in the order of that stream, used by others
        return memory

    def pinned(self, spec: TensorSpec) -> Pinned[Any]:
        """See ``CopyingCard``."""
        memory = self._pinned.allocate(_size(spec))
        return Pinned(memory, _view(memory, spec))

    def copy(self, target: Any, source: Any, stream: Any) -> None:
        """See ``CopyingCard``."""
        target.copy_from(source, stream=stream)

    def record(self, event: Any, stream: Any) -> None:
        """See ``CopyingCard``."""
        stream.record(event)

    def wait(self, stream: Any, event: Any) -> None:
        """See ``CopyingCard``."""
        stream.wait(event)

    def finish(self, event: Any) -> None:
        """See ``CopyingCard``."""
        event.sync()

    def kept(self, memory: Any, spec: TensorSpec) -> DeviceArray:
        """See ``CopyingCard``."""
        return DeviceArray(memory, spec)

    def described(self, value: Any) -> Array | None:
        """See ``CopyingCard``."""
        interface = getattr(value, "__cuda_array_interface__", None)
        return None if interface is None else described(interface)

    def taken(self, value: Any, stream: Any) -> Any:
        """See ``CopyingCard``."""
        from cuda.core import Buffer

        interface = value.__cuda_array_interface__
        await_producer(value, interface, stream, self._device)
        size = described(interface).nbytes
        return Buffer.from_handle(int(interface["data"][0]), size, owner=value)

    def free(self, memory: Any) -> None:
        """See ``CopyingCard``."""
        memory.close()


def await_producer(value: Any, interface: Mapping[str, Any], stream: Any, card: Any) -> None:
    """Have ``stream`` wait for what still has to be done to ``value``, an array on the card.

    Since version 3 of the interface it names the stream to wait for, or says that there is none.
    PyTorch's is of version 2 and leaves that open, but its DLPack takes a stream and makes it wait
    (https://dmlc.github.io/dlpack/latest/python_spec.html). Else all of the card is waited for.
    """
    if "stream" in interface:
        if interface["stream"] is not None:
            from cuda.core import Stream

            stream.wait(Stream.from_handle(int(interface["stream"])))
    elif hasattr(value, "__dlpack__"):
        value.__dlpack__(stream=int(stream.handle))
    else:
        card.sync()


def described(interface: Mapping[str, Any]) -> Array:
    """An array with the dtype and shape of a ``__cuda_array_interface__``, and no memory.

    Raises ``EngineError`` when the values on the card do not lie one after the other.
    """
    dtype, shape = np.dtype(interface["typestr"]), tuple(interface["shape"])
    empty: Array = np.lib.stride_tricks.as_strided(
        np.zeros(1, dtype), shape, [0] * len(shape), writeable=False
    )
    strides: tuple[int, ...] = tuple(interface.get("strides") or ())
    expected = dtype.itemsize
    for length, stride in zip(reversed(shape), reversed(strides), strict=False):
        if stride != expected and length > 1:
            raise EngineError(
                f"an input on the card has strides {strides}; expected contiguous values. "
                "Make it contiguous first"
            )
        expected *= length
    return empty


def _size(value: TensorSpec) -> int:
    return int(np.prod([n or 1 for n in value.shape], dtype=np.int64)) * value.dtype.itemsize


def _view(buffer: Any, spec: TensorSpec) -> Array:
    """Pinned memory as an array; valid while the buffer is."""
    memory = (ctypes.c_ubyte * _size(spec)).from_address(int(buffer.handle))
    shape = [n or 1 for n in spec.shape]
    return np.frombuffer(memoryview(memory), spec.dtype).reshape(shape)
