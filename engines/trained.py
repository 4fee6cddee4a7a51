"""A trained generator of one person: its weights in a file, as a graph, and in 8 bits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from avatar.core.errors import MissingDependencyError
from engines.export import exported
from engines.graph import check
from engines.patches import Patch, spec_of
from engines.precision import Feeds, convolutions, to_int8
from engines.training import checkpoint

if TYPE_CHECKING:
    from onnx import ModelProto

    from engines.networks.portrait_gan import PortraitGan


def load(path: Path, patches: Sequence[Patch]) -> PortraitGan:
    """The generator with the weights in ``path``, in eval mode.

    Raises ``EngineError`` when the file is not whole or of another size, and
    ``MissingDependencyError`` without PyTorch.
    """
    try:
        from engines.networks.portrait_gan import PortraitGan
        from engines.training.loop import load_weights
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise MissingDependencyError(
            "training and exporting need PyTorch, which is not installed: pip install "
            "'webcam-avatar[train]'"
        ) from error
    weights, _ = checkpoint.read(path)
    network = PortraitGan(patches)
    load_weights(network, weights, str(path))
    network.eval().requires_grad_(False)
    return network


def graph(network: PortraitGan) -> ModelProto:
    """The generator as an ONNX graph in float32, uint8 on both sides (``engines.patches``)."""
    from engines.deploy_patches import Deployed

    made = exported(Deployed(network).eval(), spec_of(network.patches))
    check(made)
    return made


def eight_bit(model: ModelProto, samples: Iterable[Feeds]) -> ModelProto:
    """A copy of the graph with 8-bit convolutions, but for each patch's first and last one.

    ``samples``: inputs as they occur in training; a dozen or two.
    """
    names = convolutions(model)
    shapes = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    weights = {n.output[0]: shapes[n.input[1]] for n in model.graph.node if n.output[0] in names}
    # Convolutions of wide kernels between features are nearly all of the work. What reads or writes
    # pixels has their channels on one side: 3 colours, or a multiple of a folded square's 4.
    inner = {name for name in names if weights[name][2:] == (3, 3) and _between(model, name)}
    return to_int8(model, samples, only=inner)


def _between(model: ModelProto, name: str) -> bool:
    """Whether a convolution neither reads nor writes pixels."""
    feeds = {i: n for n in model.graph.node for i in n.input}
    made = {o: n for n in model.graph.node for o in n.output}
    node = made[name]
    before = made.get(node.input[0])
    return feeds[name].op_type not in ("Split", "Slice", "DepthToSpace") and (
        before is None or before.op_type != "Pad"
    )
