"""What the generator asks of a family of networks, and what can be chosen about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Protocol

from avatar.core.choices import Region
from avatar.core.frames import Face, Float32, Motion, NetworkMotion, UInt8Image
from avatar.core.options import Options
from avatar.stages.generate.neural.crop import Crop
from avatar.stages.generate.neural.networks import Networks

INPUT_PX = 256
"""The side of every picture that a network of either family takes."""

Values = Mapping[str, Float32]


class FamilyOptions(Protocol):
    """What can be chosen about a family's arithmetic; ``Options`` says what each stands for."""

    @property
    def strength(self) -> float:
        """How far the avatar goes along; 1 is as far as the driver."""
        ...

    @property
    def regions(self) -> tuple[Region, ...]:
        """What of the driver's face drives the avatar."""
        ...

    @property
    def stitching(self) -> bool:
        """Whether the shoulders are kept still."""
        ...

    @property
    def retarget_eyes(self) -> bool:
        """Whether a network of its own shuts the lids as far as the driver's are."""
        ...

    @property
    def retarget_lips(self) -> bool:
        """Whether a network of its own opens the lips as far as the driver's are."""
        ...


@dataclass(frozen=True, eq=False)
class Source:
    """The photograph's square as the networks know it.

    ``values``: all that was computed of it once, arrays by name. ``face``: None where no face was
    looked for. ``head_unit``: a head unit in the square's coordinates, −1 to 1 across.
    """

    values: Values
    face: Face | None
    head_unit: float


class Family(Protocol):
    """The arithmetic between the networks of one family; it keeps nothing from call to call.

    Keypoints are arrays by name in the coordinates of the photograph's square: −1 to 1 across,
    x to the right, y down.
    """

    @property
    def name(self) -> str:
        """The family's name, as in ``engines.networks``."""
        ...

    @property
    def cpu_frame_s(self) -> float:
        """Seconds a frame on two cores of a usual processor, fp32 (docs/performance.md)."""
        ...

    @property
    def reasons(self) -> Mapping[str, str]:
        """Why it cannot use an option, by the option's name, in words that follow its name."""
        ...

    @property
    def source_scale(self) -> float:
        """The side of the photograph's square in lengths of its face."""
        ...

    @property
    def source_shift(self) -> float:
        """How far that square is moved up, in its sides."""
        ...

    @property
    def driver_scale(self) -> float:
        """As ``source_scale``, of the driver's square."""
        ...

    @property
    def driver_shift(self) -> float:
        """As ``source_shift``, of the driver's square."""
        ...

    @property
    def models(self) -> tuple[str, ...]:
        """The models that run once a frame, as ``engines.export.MODELS`` calls them."""
        ...

    @property
    def source_shapes(self) -> Mapping[str, tuple[int, ...]]:
        """Names and shapes of what ``encode`` returns."""
        ...

    @property
    def seen_shapes(self) -> Mapping[str, tuple[int, ...]]:
        """Names and shapes of what ``see`` returns: what a motion template holds for a frame."""
        ...

    def encode(self, networks: Networks, picture: UInt8Image) -> dict[str, Float32]:
        """Return all that is computed once of a photograph's square, uint8 (256, 256, 3) RGB."""
        ...

    def see(
        self, networks: Networks, picture: UInt8Image, face: Face, eye_closure: Float32, crop: Crop
    ) -> Values:
        """Return what the networks see in a driver's square.

        ``picture``: uint8 (256, 256, 3) RGB, cut by ``crop``. ``face``: the driver's, in the
        pixels it was cut from. ``eye_closure``: as in ``Motion``.
        """
        ...

    def rest(self, source: Source) -> Values:
        """Return the photograph's own keypoints."""
        ...

    def driven(
        self, networks: Networks, source: Source, motion: NetworkMotion, *, absolute: bool
    ) -> Values:
        """Return the photograph's keypoints moved as the driver was seen to."""
        ...

    def moved(self, networks: Networks, source: Source, motion: Motion) -> Values:
        """Return them moved by a relative motion's own numbers: nobody was seen."""
        ...

    def draw(self, networks: Networks, source: Source, points: Values) -> UInt8Image:
        """Return the photograph's square with its keypoints at ``points``, uint8 (n, n, 3) RGB."""
        ...


def make_family(name: str, options: Options) -> Family:
    """Return the family called ``name``: what the module here of that name calls ``FAMILY``."""
    family: Family = import_module(f"avatar.stages.generate.neural.{name}").FAMILY(options)
    return family
