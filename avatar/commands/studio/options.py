"""The options that the page offers, and what it sends turned into a ``Options``."""

from __future__ import annotations

import dataclasses
from typing import Any, get_args, get_type_hints

from avatar.config import WEIGHTED_REGIONS, load_config, parse_weights
from avatar.core.options import Options
from avatar.errors import UsageError
from avatar.generate.background import WORDS

# By group, in the order of the page. Everything else is chosen when the program starts.
GROUPS: dict[str, tuple[str, ...]] = {
    "picture": ("frame", "background", "mouth", "shading"),
    "movement": (
        "motion", "mirror", "strength", "weight.pose", "weight.mouth", "weight.eyes",
        "weight.brows", "exaggerate", "max_turn", "lock_head", "smoothing", "reference", "profile",
    ),
    "label": ("label_text", "label_corner"),
}  # fmt: skip
_RANGES = {
    "shading": (0.0, 1.0, 0.05),
    "strength": (0.0, 2.0, 0.05),
    "exaggerate": (1.0, 3.0, 0.1),
    "max_turn": (0.0, 45.0, 1.0),
    **{f"weight.{region}": (0.0, 2.0, 0.05) for region in WEIGHTED_REGIONS},
}
_LABEL_TEXT_LENGTH = 40
# A page opens no files: another picture is named when the program starts.
GREEN = "#00b140"
_BACKGROUNDS = (*WORDS, GREEN)


def describe(config: Options, profiles: list[str]) -> list[dict[str, Any]]:
    """Return each option with its group, kind, bounds or choices, and present value.

    ``named``: the choices are names of the user's, not words of the program.
    """
    hints = get_type_hints(Options)
    options = []
    for group, names in GROUPS.items():
        for name in names:
            option = {"name": name, "group": group, "value": _value(config, name)}
            options.append(option | _kind(config, name, hints, profiles))
    return options


def _kind(config: Options, name: str, hints: dict[str, Any], profiles: list[str]) -> dict[str, Any]:
    if name in _RANGES:
        low, high, step = _RANGES[name]
        return {
            "kind": "number", "min": low, "max": high, "step": step, "optional": name == "max_turn",
        }  # fmt: skip
    if name == "profile":
        return {"kind": "choice", "choices": [None, *profiles], "named": True}
    if name == "background":
        return {
            "kind": "choice",
            "choices": list(dict.fromkeys((*_BACKGROUNDS, config.background))),
        }
    if name == "label_text":
        return {"kind": "text", "length": _LABEL_TEXT_LENGTH}
    if hints[name] is bool:
        return {"kind": "flag"}
    return {"kind": "choice", "choices": list(get_args(hints[name]))}


def _value(config: Options, name: str) -> Any:
    part, _, region = name.partition(".")
    return config.weights.get(region, 1.0) if part == "weight" else getattr(config, name)


def changed(config: Options, values: dict[str, Any]) -> Options:
    """Return ``config`` with what the page sent; raises ``UsageError`` for anything it may not."""
    known = {name for names in GROUPS.values() for name in names}
    unknown = sorted(set(values) - known)
    if unknown:
        raise UsageError(f"the page cannot change {', '.join(unknown)}")
    background = values.get("background", config.background)
    if background not in (*_BACKGROUNDS, config.background):
        raise UsageError(f"expected one of the backgrounds shown, found {background!r}")
    plain = {name: value for name, value in values.items() if not name.startswith("weight.")}
    weights = dict(config.weights)
    weights |= {
        name.partition(".")[2]: value for name, value in values.items() if name.startswith("weight")
    }
    texts = tuple(f"{region}={value}" for region, value in weights.items() if value != 1)
    parse_weights(texts)
    everything = {field.name: getattr(config, field.name) for field in dataclasses.fields(Options)}
    # No profile and no limit are what the defaults say.
    for name, value in plain.items():
        if value is None and name not in ("profile", "max_turn"):
            raise UsageError(f"{name}: expected a value, found none")
    return load_config(None, everything | plain | {"weight": texts})
