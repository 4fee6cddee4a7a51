"""The published motion-transfer networks, by name.

A name is a family and the part of it, as its checkpoint is called::

    liveportrait/appearance_feature_extractor
    liveportrait/motion_extractor
    liveportrait/warping_module
    liveportrait/spade_generator
    liveportrait/stitching_retargeting_module/{stitching,lip,eye}
    fomm/kp_detector
    fomm/generator
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from avatar.errors import EngineError, MissingDependencyError

if TYPE_CHECKING:
    from torch import nn

_LIVEPORTRAIT = (
    "appearance_feature_extractor",
    "motion_extractor",
    "warping_module",
    "spade_generator",
    "stitching_retargeting_module/stitching",
    "stitching_retargeting_module/lip",
    "stitching_retargeting_module/eye",
)
_FOMM = ("kp_detector", "generator")

NAMES: tuple[str, ...] = (
    *(f"liveportrait/{part}" for part in _LIVEPORTRAIT),
    *(f"fomm/{part}" for part in _FOMM),
)
"""Every network that :func:`create` knows."""


def create(name: str) -> nn.Module:
    """The network ``name``, in eval mode, with untrained weights.

    Its ``state_dict()`` has the names and shapes of the published checkpoint. What goes in
    and comes out is written in the class: ``engines/networks/liveportrait.py`` and ``fomm.py``.

    Raises ``EngineError`` for an unknown name, ``MissingDependencyError`` without PyTorch.
    """
    if name not in NAMES:
        raise EngineError(f"no network is called {name!r}; known are: {', '.join(NAMES)}")
    family, part = name.split("/", 1)
    try:
        module = import_module(f"engines.networks.{family}")
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise MissingDependencyError(
            f"the network {name} is defined in PyTorch, which is not installed: pip install torch"
        ) from error
    network: nn.Module = module.PARTS[part]()
    return network.eval()
