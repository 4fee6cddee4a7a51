"""Who is drawn: shapes, colours, hair and light of people who do not exist."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np

from avatar.learn.renders.assets import Floats, add_target, data_folder, load_mesh

_RACES = ("african", "asian", "caucasian")
# Folders of shapes to choose from, and how many of each a person gets at most.
_LOCAL = {"nose": 4, "mouth": 3, "chin": 2, "cheek": 2, "head": 3, "forehead": 1, "eyes": 3,
          "ears": 2, "eyebrows": 1, "neck": 1}  # fmt: skip
# Not shapes that neutral faces have.
_LEFT_OUT = (
    "head-trans", "mouth-trans", "head-age", "nose-trans", "ear-shape", "mouth-angles",
    "eye-push", "neck-trans", "ear-trans", "head-scale-depth", "scale-vert", "pointed",
)  # fmt: skip
# Skin from light to dark, and hair and irises: sRGB.
_SKINS = np.array([(238, 205, 186), (224, 182, 155), (203, 156, 122), (168, 120, 86),
                   (128, 86, 60), (88, 58, 42)]) / 255  # fmt: skip
_HAIRS = np.array([(28, 22, 20), (45, 32, 25), (78, 52, 35), (120, 84, 52), (176, 138, 92),
                   (118, 60, 34), (150, 148, 145)]) / 255  # fmt: skip
_IRISES = np.array([(62, 38, 24), (92, 60, 34), (108, 96, 52), (84, 108, 82), (94, 124, 150),
                    (120, 136, 146)]) / 255  # fmt: skip


@dataclass(frozen=True, eq=False)
class Appearance:
    """Colours are linear light, float64 (3,); directions are unit vectors towards the light.

    ``hair_length``: in the mesh's units, 0 for none. ``hairline``: how far it has gone back.
    """

    skin: Floats
    lips: Floats
    hair: Floats
    iris: Floats
    shirt: Floats
    hair_length: float
    hairline: float
    brow: float
    beard: float
    freckles: float
    age: float
    makeup: float
    teeth: float
    key: Floats
    key_colour: Floats
    sky: Floats
    ground: Floats
    rim: Floats
    pattern: float


@dataclass(frozen=True, eq=False)
class RenderedPerson:
    """``vertices``: (N, 3), the whole mesh in a neutral pose. ``look``: its colours and light."""

    vertices: Floats
    look: Appearance


def random_person(random: np.random.Generator) -> RenderedPerson:
    """Make a person up."""
    male, age = float(random.random() < 0.5), float(random.beta(1.2, 1.6))
    race = random.dirichlet((0.45, 0.45, 0.45))
    return RenderedPerson(_shape(random, race, male, age), _look(random, race, male, age))


def linear(srgb: Floats) -> Floats:
    """Return linear light of sRGB in 0…1 (IEC 61966-2-1, by its usual power of 2.2)."""
    return np.asarray(np.clip(srgb, 0, 1) ** 2.2)


def _shape(random: np.random.Generator, race: Floats, male: float, age: float) -> Floats:
    vertices = load_mesh().vertices.copy()
    sex = float(np.clip(male + random.normal(0, 0.12) * (1 - 2 * male), 0, 1))
    sexes = {"male": sex, "female": 1 - sex}
    ages = {"young": 1 - age, "old": age}
    muscles = _three("muscle", random.uniform(0.2, 0.8))
    weights = _three("weight", random.uniform(0.2, 0.8))
    for (sex_name, a), (age_name, b) in product(sexes.items(), ages.items()):
        for origin, c in zip(_RACES, race, strict=True):
            add_target(vertices, f"macrodetails/{origin}-{sex_name}-{age_name}", a * b * c)
        for (muscle, m), (weight, w) in product(muscles.items(), weights.items()):
            name = f"macrodetails/universal-{sex_name}-{age_name}-{muscle}-{weight}"
            if a * b * m * w > 0:
                add_target(vertices, name, a * b * m * w)
    for change, strength in _local_changes(random):
        add_target(vertices, change, strength)
    return vertices


def _three(what: str, value: float) -> dict[str, float]:
    """Return the shares of ``minWHAT``, ``averageWHAT`` and ``maxWHAT`` at ``value`` in 0…1."""
    low, high = max(0.0, 1 - 2 * value), max(0.0, 2 * value - 1)
    return {f"min{what}": low, f"average{what}": 1 - low - high, f"max{what}": high}


def _local_changes(random: np.random.Generator) -> list[tuple[str, float]]:
    changes = []
    for folder, most in _LOCAL.items():
        names = sorted(
            path.name.removesuffix(".target.gz")
            for path in (data_folder() / "mpfb2" / "targets" / folder).glob("*.target.gz")
        )
        names = [n for n in names if n[:2] != "r-" and not any(x in n for x in _LEFT_OUT)]
        for name in random.choice(names, int(random.integers(0, most + 1)), replace=False):
            weight = float(random.uniform(0.15, 0.65))
            changes.append((f"{folder}/{name}", weight))
            if name.startswith("l-"):
                changes.append((f"{folder}/r-{name[2:]}", weight))
    return changes


def _pick(random: np.random.Generator, palette: Floats, at: float) -> Floats:
    """Return a colour between those of the palette beside ``at`` (0…1), varied a little."""
    place = np.clip(at, 0, 1) * (len(palette) - 1)
    low = min(int(place), len(palette) - 2)
    colour = palette[low] + (place - low) * (palette[low + 1] - palette[low])
    return np.asarray(np.clip(colour * random.uniform(0.94, 1.06, 3), 0, 1))


def _look(random: np.random.Generator, race: Floats, male: float, age: float) -> Appearance:
    darkness = float(race @ (0.85, 0.35, 0.12)) + random.normal(0, 0.08)
    skin = linear(_pick(random, _SKINS, darkness))
    redder = np.array((1.02, 0.62, 0.60)) * random.uniform(0.8, 1.05)
    hair = _HAIRS[int(random.integers(0, 3 if darkness > 0.45 else len(_HAIRS)))]
    hair = hair + (np.array((0.6, 0.6, 0.59)) - hair) * max(0.0, age - 0.55) * 1.6
    eyes = _pick(random, _IRISES, random.uniform(0, 0.25 if darkness > 0.45 else 1))
    side = random.uniform(-1.1, 1.1)
    height = random.uniform(0.05, 0.9)
    warmth = random.uniform(-0.12, 0.12)
    white = np.array((1 + warmth, 1, 1 - warmth))
    light = random.uniform(1.1, 1.6) * (1 + 0.5 * min(1.0, max(0.0, darkness)))
    return Appearance(
        skin=skin, lips=skin * redder, hair=linear(hair), iris=linear(eyes),
        shirt=linear(random.uniform(0.05, 0.9, 3)),
        hair_length=0.0 if male and random.random() < 0.2 else float(random.uniform(0.05, 0.26)),
        hairline=float(random.uniform(0, 0.22 * male + 0.05)),
        brow=float(random.uniform(0.45, 1.0)),
        beard=float(male * random.choice((0, 0.15, 0.35, 0.8))),
        freckles=float(random.choice((0, 0, 0.3, 0.8))), age=age,
        makeup=float((1 - male) * random.choice((0, 0, 0.5, 1))),
        teeth=float(random.uniform(0.62, 0.85)),
        key=_unit(np.array((side, height, 1.0))), key_colour=white * light,
        sky=random.uniform(0.35, 0.8) * (2 - white), ground=random.uniform(0.1, 0.3) * white,
        rim=_unit(np.array((-np.sign(side), 0.3, random.uniform(-1, 0.2)))),
        pattern=float(random.uniform(0, 100)),
    )  # fmt: skip


def _unit(vector: Floats) -> Floats:
    return np.asarray(vector / np.linalg.norm(vector))
