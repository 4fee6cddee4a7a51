"""Stand-ins for the published networks: their inputs and outputs, with a result one can foretell.

Features are the picture itself; a frame is that picture, moved by the mean of the keypoints'
movement. So a photograph's square comes back unchanged where nothing moves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from avatar.core.choices import Framing
from avatar.core.frames import Face, Float32, UInt8Image
from avatar.core.options import Options
from avatar.stages.generate.neural.crop import face_crop
from avatar.stages.generate.neural.family import Family
from avatar.stages.generate.neural.features import FeatureCache
from avatar.stages.generate.neural.fomm import FirstOrder
from avatar.stages.generate.neural.generator import NeuralGenerator
from avatar.stages.generate.neural.liveportrait import LivePortrait
from avatar.stages.generate.neural.networks import Networks
from engines.export import MODELS
from engines.runner import Runner

PLAIN = Options()
RING = np.linspace(0, 2 * np.pi, 21, endpoint=False)
Feeds = Mapping[str, Any]
FAMILIES: dict[str, Callable[[Options], Family]] = {
    "liveportrait": LivePortrait,
    "fomm": FirstOrder,
}


class ToyRunner(Runner):
    """A runner of the model ``name`` that computes ``FUNCTIONS[name]``, zeros where there is none.

    ``opened`` counts how often each model was opened, ``run`` how often it ran.
    """

    backend = "toy"

    def __init__(self, name: str, counts: dict[str, int] | None = None) -> None:
        super().__init__(MODELS[name].spec, "cpu")
        self.name, self.counts = name, {} if counts is None else counts
        self.counts[f"opened {name}"] = self.counts.get(f"opened {name}", 0) + 1

    def _infer(self, feeds: Feeds) -> dict[str, Any]:
        self.counts[f"run {self.name}"] = self.counts.get(f"run {self.name}", 0) + 1
        outputs = {
            spec.name: np.zeros([n or 1 for n in spec.shape], spec.dtype)
            for spec in self.spec.outputs
        }
        if self.name in FUNCTIONS:
            FUNCTIONS[self.name](feeds, outputs)
        return outputs

    def _close(self) -> None:
        self.counts[f"closed {self.name}"] = self.counts.get(f"closed {self.name}", 0) + 1


def embed(picture: UInt8Image, features: Float32) -> None:
    features.reshape(-1)[: picture.size] = picture.reshape(-1)


def moved(features: Float32, by: Float32, size_px: int) -> UInt8Image:
    picture = features.reshape(-1)[: 256 * 256 * 3].reshape(256, 256, 3).astype(np.uint8)
    large = cv2.resize(picture, (size_px, size_px), interpolation=cv2.INTER_CUBIC)
    x, y = (np.nan_to_num(by) * size_px / 2).clip(-size_px, size_px)
    matrix = np.array([[1, 0, x], [0, 1, y]], np.float64)
    return np.asarray(cv2.warpAffine(large, matrix, (size_px, size_px), borderMode=1), np.uint8)


def centroid(picture: UInt8Image) -> Float32:
    """Where a picture is bright, −1 to 1."""
    grey = picture.mean(axis=2) + 1e-3
    at = (np.arange(len(grey)) + 0.5) / len(grey) * 2 - 1
    return np.array([grey.sum(axis=0) @ at, grey.sum(axis=1) @ at], np.float32) / grey.sum()


def _appearance(feeds: Feeds, out: dict[str, Any]) -> None:
    embed(feeds["picture"], out["feature_3d"])


def _motion(feeds: Feeds, out: dict[str, Any]) -> None:
    for name in ("pitch", "yaw", "roll"):
        out[name][:] = -10
        out[name][0, 32:34] = 10  # 0 degrees
    out["kp"][:] = (
        np.stack([np.cos(RING), np.sin(RING), 0.3 * np.cos(2 * RING)], axis=1).reshape(1, -1) * 0.5
    )
    out["scale"][:] = 1
    out["t"][0, :2] = centroid(feeds["picture"])


def _portrait(feeds: Feeds, out: dict[str, Any]) -> None:
    by = (feeds["kp_driving"] - feeds["kp_source"])[0, :, :2].mean(axis=0)
    spread = feeds["kp_driving"][0, :, 0].std() / feeds["kp_source"][0, :, 0].std() - 1
    out["picture"] = moved(feeds["feature_3d"], by + np.float32(spread), 512)


def _detector(feeds: Feeds, out: dict[str, Any]) -> None:
    ring = np.stack([np.cos(RING[::2]), np.sin(RING[::2])], axis=1)[:10]
    out["value"][0] = ring * 0.4 + centroid(feeds["picture"])
    out["jacobian"][:] = np.eye(2)


def _source(feeds: Feeds, out: dict[str, Any]) -> None:
    embed(feeds["picture"], out["features"])


def _first_order(feeds: Feeds, out: dict[str, Any]) -> None:
    by = (feeds["driving_value"] - feeds["source_value"])[0].mean(axis=0)
    out["picture"] = moved(feeds["features"], by, 256)


FUNCTIONS: dict[str, Callable[[Feeds, dict[str, Any]], None]] = {
    "liveportrait/appearance_feature_extractor": _appearance,
    "liveportrait/motion_extractor": _motion,
    "liveportrait/frame": _portrait,
    "fomm/kp_detector": _detector,
    "fomm/source": _source,
    "fomm/frame": _first_order,
}


def toys(counts: dict[str, int] | None = None) -> Networks:
    return Networks(lambda model: ToyRunner(model, counts), "toys")


def toy_generator(
    name: str,
    photo: UInt8Image,
    face: Face,
    framing: Framing = "portrait",
    size_px: tuple[int, int] | None = None,
    options: Options = PLAIN,
    *,
    cache: Path,
    networks: Networks | None = None,
) -> NeuralGenerator:
    """A generator of toy networks, or of other ones, that keeps its features in ``cache``."""
    family = FAMILIES[name](options)
    crop = face_crop(face, family.source_scale, family.source_shift)
    assert crop is not None
    return NeuralGenerator(
        photo,
        face,
        framing,
        size_px,
        crop=crop,
        family=family,
        networks=networks or toys(),
        features=FeatureCache(cache, lambda line: None),
    )
