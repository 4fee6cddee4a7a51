"""A photograph moved by a family of published networks."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Self

import numpy as np

from avatar.core.choices import Framing, Smoothing
from avatar.core.face.head import decompose
from avatar.core.frames import (
    Face,
    FaceTrack,
    GeneratedFrame,
    Motion,
    NetworkMotion,
    Presence,
    UInt8Image,
)
from avatar.stages.generate.deform import usable_or_still
from avatar.stages.generate.framing import make_canvas
from avatar.stages.generate.neural.crop import Crop, DriverCrop
from avatar.stages.generate.neural.ease import Ease
from avatar.stages.generate.neural.family import INPUT_PX, Family, Source, Values
from avatar.stages.generate.neural.features import FeatureCache
from avatar.stages.generate.neural.networks import Networks
from avatar.stages.generate.neural.paste import PasteBack
from avatar.stages.generate.viewed import Viewed

# Keypoints this far from the photograph's, in half sides of the square, are no face any more.
_FARTHEST = 4.0
# A head unit in half sides of the square, where no face was looked for: that of faces.
_USUAL_UNIT = 0.37
# One more whenever `encode` comes to give other numbers for the same picture.
_ENCODING = 1
_RETURN_NS, _IDLE_NS = 350_000_000, 1_050_000_000


class NeuralGenerator(Viewed):
    """Animates one photograph.

    ``photo``: uint8 (H, W, 3) RGB. ``face``: its face in its pixels; ``looked_for`` is False when
    that is only a stand-in. ``crop``: the photograph's square. ``networks`` may be shared by
    several generators. ``features``: where what is computed of the photograph is kept.
    """

    def __init__(
        self,
        photo: UInt8Image,
        face: Face,
        framing: Framing,
        size_px: tuple[int, int] | None,
        *,
        crop: Crop,
        family: Family,
        networks: Networks,
        features: FeatureCache,
        smoothing: Smoothing = "off",
        looked_for: bool = True,
    ) -> None:
        super().__init__(photo, framing, size_px)
        self._photo, self._face = photo, face
        self._crop, self._family, self._networks = crop, family, networks
        self._features, self._smoothing, self._looked_for = features, smoothing, looked_for
        self._open = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as opening:
            opening.enter_context(self._networks)
            self._networks.prepare(self._family.models)
            self._source = self._encoded()
            self._open = opening.pop_all()
        self._rest = self._family.rest(self._source)
        self._driver = DriverCrop(self._family.driver_scale, self._family.driver_shift)
        self._ease = Ease(self._smoothing, self._source.head_unit)
        self._reference: tuple[FaceTrack, Values] | None = None
        self._seen: NetworkMotion | None = None
        self._kind = ""
        self._drawn: tuple[Values, UInt8Image] | None = None
        self._lay_out()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    @property
    def family(self) -> Family:
        """Return the family of networks that draws."""
        return self._family

    @property
    def seen(self) -> NetworkMotion | None:
        """Return what the networks saw for the last picture; None when nobody drove it."""
        return self._seen

    def _lay_out(self) -> None:
        self._paste: PasteBack | None = None

    def generate(self, motion: Motion) -> GeneratedFrame:
        """Draw the avatar; the picture is new each time and belongs to the caller.

        Keypoints that have not changed are not drawn again. Raises ``EngineError`` when the
        runtime fails.
        """
        motion = usable_or_still(motion)
        points = self._points(motion)
        if self._drawn is None or not _equal(self._drawn[0], points):
            square = self._family.draw(self._networks, self._source, points)
            self._drawn = (points, square)
        image = self._pasted(self._drawn[1])
        return GeneratedFrame(image, motion.timestamp_ns, motion.index, motion.presence)

    def _encoded(self) -> Source:
        picture = self._crop.cut(self._photo, INPUT_PX)
        values = self._features.get(
            picture,
            f"{self._family.name} {_ENCODING} {self._networks.identity}",
            self._family.source_shapes,
            lambda: self._family.encode(self._networks, picture),
        )
        if not self._looked_for:
            return Source(values, None, _USUAL_UNIT)
        return Source(values, self._face, decompose(self._face).scale_px * 2 / self._crop.side)

    def _points(self, motion: Motion) -> Values:
        """Return where the photograph's keypoints go, eased from where they were."""
        self._seen = self._look(motion)
        if self._seen is not None:
            points = self._family.driven(
                self._networks, self._source, self._seen, absolute=motion.absolute
            )
            kind, length_ns = f"driven {id(motion.reference)}", _RETURN_NS
        elif motion.presence is Presence.HELD and self._ease.shown is not None:
            return self._ease.shown
        elif motion.absolute:
            points, kind, length_ns = self._ease.shown or self._rest, "still", _IDLE_NS
        else:
            points = self._family.moved(self._networks, self._source, motion)
            kind, length_ns = "moved", _IDLE_NS
        if not self._sound(points):
            points = self._rest
        if kind != self._kind:
            self._ease.begin(motion.timestamp_ns, length_ns)
            self._kind = kind
        return self._ease(points, motion.timestamp_ns, smooth=self._seen is not None)

    def _look(self, motion: Motion) -> NetworkMotion | None:
        """Return what the networks see of the driver; None when there is nobody to look at."""
        if motion.network is not None and motion.network.family == self._family.name:
            return motion.network
        if motion.track is None:
            return None
        if motion.reference is not None and motion.reference.camera is not None:
            before = motion.reference
        else:  # a reference that was measured and not seen: the first picture stands for it
            before = self._reference[0] if self._reference is not None else motion.track
        if self._reference is None or before is not self._reference[0]:
            self._driver.reset()
            values = self._see(motion, before)
            if values is None:
                return None
            self._reference = (before, values)
        reference = self._reference[1]
        values = reference if motion.track is before else self._see(motion, motion.track)
        return None if values is None else NetworkMotion(self._family.name, values, reference)

    def _see(self, motion: Motion, track: FaceTrack) -> Values | None:
        if track.camera is None or track.face is None:
            return None
        crop = self._driver.follow(track.face)
        if crop is None:
            return None
        picture = crop.cut(track.camera.image, INPUT_PX)
        return self._family.see(self._networks, picture, track.face, motion.eye_closure, crop)

    def _sound(self, points: Values) -> bool:
        return all(
            bool(np.isfinite(value).all())
            and float(np.abs(value - self._rest[name]).max()) < _FARTHEST
            for name, value in points.items()
        )

    def _pasted(self, square: UInt8Image) -> UInt8Image:
        if self._paste is None:
            canvas = make_canvas(self._photo, self._face, self._framing, self._size_px, self._view)
            self._paste = PasteBack(canvas, self._crop, len(square))
        return self._paste.paste(square)


def _equal(a: Values, b: Values) -> bool:
    return all(np.array_equal(a[name], b[name]) for name in a)
