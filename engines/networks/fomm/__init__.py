"""First Order Motion Model: ten keypoints and how the plane bends at each (arXiv 2003.00196).

::

    fomm/kp_detector    picture -> value, jacobian           once a frame
    fomm/source         picture -> small, features           once a source
    fomm/frame          those and keypoints -> picture       once a frame
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

if TYPE_CHECKING:
    from torch import nn

    from engines.deploy import Colour
    from engines.runner import Runner

_DETECTOR, _GENERATOR = "fomm/kp_detector", "fomm/generator"
_SOURCE, _FRAME = "fomm/source", "fomm/frame"
_ENCODED: Shapes = {"small": (1, 3, 64, 64), "features": (1, 256, 64, 64)}
_POINTS: Shapes = {"value": (1, 10, 2), "jacobian": (1, 10, 2, 2)}
_SIDES: Shapes = {
    f"{side}_{name}": shape for side in ("source", "driving") for name, shape in _POINTS.items()
}


def _deployed_detector(_model: Model, networks: Sequence[nn.Module], colour: Colour) -> nn.Module:
    from engines.deploy import OfPicture
    from engines.networks.fomm.deployed import Keypoints

    return OfPicture(Keypoints(networks[0]), colour, tuple(_POINTS))


def _deployed_source(_model: Model, networks: Sequence[nn.Module], colour: Colour) -> nn.Module:
    from engines.networks.fomm.deployed import SourceEncoder

    return SourceEncoder(networks[0], colour)


def _deployed_frame(_model: Model, networks: Sequence[nn.Module], colour: Colour) -> nn.Module:
    from engines.networks.fomm.deployed import FirstOrderFrame

    return FirstOrderFrame(networks[0], colour)


def _published_source(
    networks: Sequence[nn.Module], enter: nn.Module, _leave: nn.Module
) -> Function:
    def encode(picture: Any) -> Mapping[str, Any]:
        small, features = networks[0].encode(enter(picture))
        return {"small": small, "features": features}

    return encode


def _published_frame(
    networks: Sequence[nn.Module], _enter: nn.Module, leave: nn.Module
) -> Function:
    generator = networks[0]

    def frame(small: Any, features: Any, **points: Any) -> Mapping[str, Any]:
        motion = generator.dense_motion_network(small, **points)
        image = generator.decode(features, motion["deformation"], motion["occlusion_map"])
        return {"picture": leave(image)}

    return frame


def _feeds(opened: Callable[[str], Runner], source: Array, driving: Sequence[Array]) -> list[Feeds]:
    encode, detect = opened(_SOURCE), opened(_DETECTOR)
    encoded = encode.infer({"picture": source})
    found = [detect.infer({"picture": picture}) for picture in (source, *driving)]
    still = {f"source_{key}": value for key, value in found[0].items()}
    return [
        {**encoded, **still, **{f"driving_{key}": value for key, value in points.items()}}
        for points in found[1:]
    ]


FAMILY = NetworkFamily(
    "fomm",
    sections={_DETECTOR: "kp_detector", _GENERATOR: "generator"},
    models={
        _DETECTOR: Model((_DETECTOR,), spec_of_shapes(PICTURE, _POINTS), _deployed_detector),
        _SOURCE: Model(
            (_GENERATOR,), spec_of_shapes(PICTURE, _ENCODED), _deployed_source, _published_source
        ),
        _FRAME: Model(
            (_GENERATOR,),
            spec_of_shapes({**_ENCODED, **_SIDES}, PICTURE),
            _deployed_frame,
            _published_frame,
            _feeds,
            fed_by=(_DETECTOR, _GENERATOR),
        ),
    },
    each_frame=(_DETECTOR, _FRAME),
    whole=(_SOURCE,),
)
