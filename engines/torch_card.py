"""PyTorch on an NVIDIA card: float16, channels last, and each frame one CUDA graph.

It is for cards that TensorRT-RTX refuses, such as those of data centres, and for whoever has
PyTorch and nothing else. The order of uploads and work is that of ``engines.overlap``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from avatar.core.errors import EngineError, MissingDependencyError
from engines.export import model
from engines.graph import Array, TensorSpec
from engines.networks.family import Function
from engines.nvidia import has_driver, no_driver
from engines.overlap import CopyingCard, OverlappedRunner, Pinned, Work
from engines.torch import computed, deployed_copy, import_torch

if TYPE_CHECKING:
    from torch import nn

    from engines.backends import Precision
    from engines.build import Say
    from engines.deploy import Colour

# Libraries choose their kernels and take their memory in the first runs.
_WARM_UPS = 3


def find_card() -> str:
    """What runs PyTorch's networks here, in words.

    Raises ``EngineError`` or ``MissingDependencyError`` with what is missing: the driver, a
    PyTorch with CUDA, a card, or kernels for it. Without a driver PyTorch is not even loaded.
    """
    if not has_driver():
        raise no_driver(RuntimeError("its device file is not there"))
    torch = import_torch()
    if torch.version.cuda is None:
        raise MissingDependencyError(
            f"PyTorch {torch.__version__} was built without CUDA: install it again with pip "
            "install --force-reinstall torch --index-url https://download.pytorch.org/whl/cu130"
        )
    if not torch.cuda.is_available():
        raise EngineError(
            f"PyTorch {torch.__version__} for CUDA {torch.version.cuda} finds no card that it can "
            "use. Check nvidia-smi: the driver has to be as new as that CUDA, and in a container "
            "the card has to be passed through (docker run --gpus all)"
        )
    name, capability = torch.cuda.get_device_name(), torch.cuda.get_device_capability()
    card = f"{name} (sm{capability[0]}{capability[1]})"
    built = torch.cuda.get_arch_list()
    if not _has_kernels(capability, built):
        raise EngineError(
            f"PyTorch {torch.__version__} has no kernels for {card}; it has {', '.join(built)}. "
            "Choose --backend openvino or onnxruntime on the processor"
        )
    return f"PyTorch {torch.__version__} on {card}"


def _has_kernels(capability: tuple[int, int], built: Sequence[str]) -> bool:
    """Whether code built for ``built`` (``sm_86``, ``compute_90``) runs on a card.

    Compiled code runs on later cards of the same major number, ``compute`` code on all later ones
    (CUDA's programming guide, "binary compatibility" and "PTX compatibility").
    """
    for kind, number, only in re.findall(r"^(sm|compute)_(\d+)([af]?)$", "\n".join(built), re.M):
        made = divmod(int(number), 10)
        if made == capability or (
            not only and made < capability and (kind == "compute" or made[0] == capability[0])
        ):
            return True
    return False


class TorchCard(CopyingCard[Any, Any, Any]):
    """The card number ``index`` as PyTorch reaches it; arrays on it are PyTorch's tensors."""

    def __init__(self, index: int = 0) -> None:
        self._torch = import_torch()
        self._device = f"cuda:{index}"
        with _told(self._torch):
            self.name = str(self._torch.cuda.get_device_name(index))

    @contextmanager
    def guard(self) -> Iterator[None]:
        """See ``CopyingCard``. Work may come from another thread than opened the runner."""
        with _told(self._torch), self._torch.cuda.device(self._device), self._torch.no_grad():
            yield

    def stream(self) -> Any:
        """See ``CopyingCard``."""
        return self._torch.cuda.Stream(self._device)

    def event(self) -> Any:
        """See ``CopyingCard``."""
        return self._torch.cuda.Event()

    def memory(self, spec: TensorSpec) -> Any:
        """See ``CopyingCard``."""
        return self._torch.zeros(_shape(spec), dtype=self._type(spec), device=self._device)

    def pinned(self, spec: TensorSpec) -> Pinned[Any]:
        """See ``CopyingCard``."""
        memory = self._torch.empty(_shape(spec), dtype=self._type(spec), pin_memory=True)
        return Pinned(memory, memory.numpy())

    def _type(self, spec: TensorSpec) -> Any:
        return getattr(self._torch, str(spec.dtype))

    def copy(self, target: Any, source: Any, stream: Any) -> None:
        """See ``CopyingCard``."""
        with self._torch.cuda.stream(stream):
            target.copy_(source, non_blocking=True)

    def record(self, event: Any, stream: Any) -> None:
        """See ``CopyingCard``."""
        event.record(stream)

    def wait(self, stream: Any, event: Any) -> None:
        """See ``CopyingCard``."""
        stream.wait_event(event)

    def finish(self, event: Any) -> None:
        """See ``CopyingCard``."""
        event.synchronize()

    def described(self, value: Any) -> Array | None:
        """See ``CopyingCard``; a tensor that is not contiguous is copied as it is read."""
        if not isinstance(value, self._torch.Tensor) or str(value.device) != self._device:
            return None
        empty: Array = np.lib.stride_tricks.as_strided(
            np.zeros(1, str(value.dtype).removeprefix("torch.")),
            tuple(value.shape), [0] * value.dim(), writeable=False,
        )  # fmt: skip
        return empty

    def taken(self, value: Any, stream: Any) -> Any:
        """See ``CopyingCard``."""
        stream.wait_stream(self._torch.cuda.current_stream(self._device))
        value.record_stream(stream)  # its memory is nobody else's until this stream has read it
        return value

    def place(self, module: nn.Module) -> None:
        """Bring ``module`` onto the card, with channels last, as its tensor cores want them."""
        torch = self._torch
        last = {4: torch.channels_last, 5: torch.channels_last_3d}
        module.to(self._device)
        for parameter in module.parameters():
            if parameter.dim() in last:
                parameter.data = parameter.data.contiguous(memory_format=last[parameter.dim()])

    def captured(
        self, function: Function, inputs: Mapping[str, Any], stream: Any, say: Callable[[str], None]
    ) -> Work[Any]:
        """The work of ``function`` as one CUDA graph; where it cannot be one, ``say`` is told.

        What keeps a function from being one is that it waits for the card within.
        """
        torch, made = self._torch, dict[str, Any]()
        with torch.cuda.stream(stream), self._kernels():
            for _ in range(_WARM_UPS):
                made.update(_together(function(**inputs)))
            stream.synchronize()
            graph = torch.cuda.CUDAGraph()
            try:
                # Other threads go on with their cards meanwhile.
                with torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
                    outputs = _together(function(**inputs))
            except RuntimeError as error:
                say(f"runs without a CUDA graph, and more slowly: {_first_line(error)}")
                return self._started(function, inputs, made, stream)

        def start() -> None:
            with torch.cuda.stream(stream):
                graph.replay()

        return Work(start, outputs)

    def _started(
        self, function: Function, inputs: Mapping[str, Any], outputs: Mapping[str, Any], stream: Any
    ) -> Work[Any]:
        def start() -> None:
            with self._torch.cuda.stream(stream), self._kernels():
                for name, value in function(**inputs).items():
                    outputs[name].copy_(value)

        return Work(start, outputs)

    def _kernels(self) -> Any:
        """Let cuDNN look for the fastest kernels; float32 means float32, never TF32."""
        return self._torch.backends.cudnn.flags(enabled=True, benchmark=True, allow_tf32=False)


@contextmanager
def _told(torch: Any) -> Iterator[None]:
    """Turn what a card says into a message for the user."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise EngineError(
            "the card has too little memory left for the networks. Close what else uses it "
            "(nvidia-smi lists that), take --precision fp16, or --device cpu"
        ) from error
    except torch.AcceleratorError as error:
        raise EngineError(
            f"the card failed: {_first_line(error)}. Look at nvidia-smi; restart the machine if it "
            "goes on, or take --device cpu"
        ) from error


def _together(values: Mapping[str, Any]) -> dict[str, Any]:
    """Each value with its numbers one after the other, as they are copied from the card."""
    return {name: value.contiguous() for name, value in values.items()}


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def _shape(spec: TensorSpec) -> list[int]:
    return [n or 1 for n in spec.shape]


def open_on_card(
    name: str, networks: Mapping[str, nn.Module], precision: Precision, colour: Colour, say: Say
) -> OverlappedRunner:
    """A runner of the model ``name`` in the form that is exported; ``networks`` stay as they are.

    ``say`` is told what does not go as it should. Raises ``EngineError``.
    """
    card, spec = TorchCard(), model(name).spec
    module = deployed_copy(name, networks, colour)
    with card.guard():
        function = computed(module, spec, precision, emulated=False)
        card.place(module)

    def make_work(inputs: Mapping[str, Any], stream: Any) -> Work[Any]:
        return card.captured(function, inputs, stream, lambda line: say(f"{name} {line}"))

    return OverlappedRunner("torch", spec, card, make_work)
