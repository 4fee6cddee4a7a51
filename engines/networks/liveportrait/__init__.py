"""LivePortrait: keypoints in a volume of features (arXiv 2407.03168).

::

    liveportrait/appearance_feature_extractor    picture -> feature_3d                once a source
    liveportrait/motion_extractor                picture -> pitch, yaw, roll, t, …    once a frame
    liveportrait/frame                           feature_3d, keypoints -> picture     once a frame
    liveportrait/stitching_retargeting_module/…  vector -> vector                     once a frame
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from engines.graph import Array
from engines.networks.family import (
    PICTURE,
    Feeds,
    Function,
    Model,
    NetworkFamily,
    Shapes,
    spec_of_shapes,
)
from engines.precision import convolutions

if TYPE_CHECKING:
    from onnx import ModelProto
    from torch import nn

    from engines.deploy import Colour
    from engines.runner import Runner

_APPEARANCE = "liveportrait/appearance_feature_extractor"
_MOTION = "liveportrait/motion_extractor"
_WARPING, _DECODING = "liveportrait/warping_module", "liveportrait/spade_generator"
_FRAME = "liveportrait/frame"
_PART = "liveportrait/stitching_retargeting_module"
_VOLUME: Shapes = {"feature_3d": (1, 32, 16, 64, 64)}
_HEADS: Shapes = {
    **dict.fromkeys(("pitch", "yaw", "roll"), (1, 66)),
    "t": (1, 3),
    "exp": (1, 63),
    "scale": (1, 1),
    "kp": (1, 63),
}


def _as_it_is(_model: Model, networks: Sequence[nn.Module], _colour: Colour) -> nn.Module:
    return networks[0]


def _deployed_frame(_model: Model, networks: Sequence[nn.Module], colour: Colour) -> nn.Module:
    from engines.networks.liveportrait.deployed import PortraitFrame

    warping, decoding = networks
    return PortraitFrame(warping, decoding, colour)


def _published_frame(
    networks: Sequence[nn.Module], _enter: nn.Module, leave: nn.Module
) -> Function:
    warp, decode = networks

    def frame(feature_3d: Any, kp_driving: Any, kp_source: Any) -> Mapping[str, Any]:
        return {"picture": leave(decode(warp(feature_3d, kp_driving, kp_source)["out"]))}

    return frame


def _feeds(opened: Callable[[str], Runner], source: Array, driving: Sequence[Array]) -> list[Feeds]:
    motion = opened(_MOTION)
    volume = opened(_APPEARANCE).infer({"picture": source})["feature_3d"]
    points = [
        motion.infer({"picture": picture})["kp"].reshape(1, 21, 3) for picture in (source, *driving)
    ]
    return [{"feature_3d": volume, "kp_source": points[0], "kp_driving": p} for p in points[1:]]


def _eight_bit(graph: ModelProto) -> tuple[str, ...]:
    """The dense motion and the SPADEs' scales and shifts.

    Found by making one group after the other 8-bit (docs/performance.md): three fifths of the work,
    and a third of the error that all would cost.
    """
    shapes = {tensor.name: tuple(tensor.dims) for tensor in graph.graph.initializer}
    weights = {n.output[0]: shapes.get(n.input[1], ()) for n in graph.graph.node if n.input[1:]}
    # Volumes have kernels of three axes; only scales and shifts read 128 channels.
    return tuple(
        name
        for name in convolutions(graph)
        if len(weights[name]) == 5 or weights[name][1:] == (128, 3, 3)
    )


def _vector(part: str, inputs: int, outputs: int) -> Model:
    spec = spec_of_shapes({"input": (1, inputs)}, {"output": (1, outputs)})
    return Model((f"{_PART}/{part}",), spec, _as_it_is)


FAMILY = NetworkFamily(
    "liveportrait",
    sections={
        **dict.fromkeys((_APPEARANCE, _MOTION, _WARPING, _DECODING), ""),
        f"{_PART}/stitching": "retarget_shoulder",
        f"{_PART}/lip": "retarget_mouth",
        f"{_PART}/eye": "retarget_eye",
    },
    models={
        _APPEARANCE: Model((_APPEARANCE,), spec_of_shapes(PICTURE, _VOLUME)),
        _MOTION: Model((_MOTION,), spec_of_shapes(PICTURE, _HEADS)),
        _FRAME: Model(
            (_WARPING, _DECODING),
            spec_of_shapes(
                {**_VOLUME, "kp_driving": (1, 21, 3), "kp_source": (1, 21, 3)},
                {"picture": (512, 512, 3)},
            ),
            _deployed_frame,
            _published_frame,
            _feeds,
            fed_by=(_APPEARANCE, _MOTION),
            eight_bit=_eight_bit,
        ),
        **{
            f"{_PART}/{part}": _vector(part, inputs, outputs)
            for part, inputs, outputs in (("stitching", 126, 65), ("lip", 65, 63), ("eye", 66, 63))
        },
    },
    each_frame=(_MOTION, _FRAME),
)
