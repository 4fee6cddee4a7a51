"""A face as JSON: how stored avatars and the cache of found faces keep it, and read it back."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, Field, model_validator

from avatar.core.frames import BLENDSHAPE_NAMES, LANDMARK_COUNT, Face, Float32

# Far beyond any picture, and still finite as float32.
Number = Annotated[float, Field(ge=-1e6, le=1e6, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=-0.01, le=1.01, allow_inf_nan=False)]
Point = tuple[Number, Number, Number]
Row = tuple[Number, Number, Number, Number]
Side = Annotated[int, Field(ge=1, le=1_000_000)]


class FaceNumbers(BaseModel):
    """``Face`` in JSON: the same fields, blendshapes by their names."""

    image_size_px: tuple[Side, Side]
    landmarks_px: Annotated[
        list[Point], Field(min_length=LANDMARK_COUNT, max_length=LANDMARK_COUNT)
    ]
    blendshapes: dict[str, Share]
    pose: tuple[Row, Row, Row, Row]

    @model_validator(mode="after")
    def _all_blendshapes(self) -> FaceNumbers:
        if set(self.blendshapes) != set(BLENDSHAPE_NAMES):
            raise ValueError(f"expected the {len(BLENDSHAPE_NAMES)} blendshapes by their names")
        return self

    @classmethod
    def of(cls, face: Face) -> FaceNumbers:
        """Return the numbers of ``face``; ``face()`` gives it back bit for bit."""
        return cls(
            image_size_px=face.image_size_px,
            landmarks_px=_numbers(face.landmarks_px),
            blendshapes=dict(zip(BLENDSHAPE_NAMES, _numbers(face.blendshapes), strict=True)),
            pose=_numbers(face.pose),
        )

    def face(self) -> Face:
        """Return the face that these numbers describe."""
        return Face(
            np.array(self.landmarks_px, np.float32),
            np.array([self.blendshapes[name] for name in BLENDSHAPE_NAMES], np.float32),
            np.array(self.pose, np.float32),
            self.image_size_px,
        )


def _numbers(values: Float32) -> Any:
    """Return nested lists; each number as short as a float32 can be told apart."""
    if values.ndim > 1:
        return [_numbers(row) for row in values]
    return [float(str(value)) for value in values]
