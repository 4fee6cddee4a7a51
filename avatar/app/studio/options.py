"""The options that the page offers, and what it sends turned into ``Options``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any, get_args

from avatar.core.config_file import load_options
from avatar.core.errors import UsageError
from avatar.core.option import Group
from avatar.core.option_values import WEIGHT_BOUNDS, WEIGHTED_REGIONS
from avatar.core.options import Options, declared, schema, used_by
from avatar.sessions.engines import find_engine

_LABEL_TEXT_LENGTH = 40


def describe(
    config: Options, profiles: list[str], microphones: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Return each option of the page as ``schema`` does, in the page's order.

    Beside that: its present ``value``, the choices of this machine, and ``used``, whether the
    engine that is chosen uses it. ``named``: the choices are names of the user's; ``names``: what
    they are called. ``microphones``: their names by what the option says.
    """
    described = []
    for name, option in _on_the_page():
        plain, _, region = name.partition(".")
        value = config.weights.get(region, 1.0) if region else getattr(config, plain)
        option |= {"value": value, "used": used_by(plain, config.engine)}
        if name == "profile":
            option |= {"kind": "choice", "choices": [None, *profiles], "named": True}
        elif name == "mic":
            choices = [None, *microphones]
            option |= {"kind": "choice", "choices": choices, "named": True, "names": microphones}
        elif offered := declared()[plain].offered:
            option |= {"kind": "choice", "choices": list(dict.fromkeys((*offered, value)))}
        described.append(option)
    return described


def _on_the_page() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield what is declared of each of the page's options, a weight for each region."""
    shown = [(name, option) for name, option in declared().items() if option.page]
    for name, _ in sorted(shown, key=lambda one: get_args(Group).index(one[1].page)):
        if name != "weight":
            yield name, schema(name) | {"length": _LABEL_TEXT_LENGTH}
            continue
        low, high, step = WEIGHT_BOUNDS
        bounds = {"kind": "number", "min": low, "max": high, "step": step, "unit": ""}
        for region in WEIGHTED_REGIONS:
            one = f"weight.{region}"
            yield one, schema(name) | bounds | {"name": one, "default": 1.0}


def changed(config: Options, values: dict[str, Any]) -> Options:
    """Return ``config`` with what the page sent; raises ``UsageError`` for anything it may not."""
    shown = dict(_on_the_page())
    unknown = sorted(set(values) - set(shown))
    if unknown:
        raise UsageError(f"the page cannot change {', '.join(unknown)}")
    for name, value in values.items():
        # A page opens no files: another picture is named when the program starts.
        offered = declared()[name.partition(".")[0]].offered
        if offered and value not in (*offered, getattr(config, name)):
            raise UsageError(f"{name}: expected one of those shown, found {value!r}")
        if value is None and not shown[name]["optional"]:
            raise UsageError(f"{name}: expected a value, found none")
    weights = dict(config.weights)
    weights |= {
        name.partition(".")[2]: value
        for name, value in values.items()
        if name.startswith("weight.")
    }
    texts = tuple(f"{region}={value}" for region, value in weights.items() if value != 1)
    plain = {name: value for name, value in values.items() if not name.startswith("weight.")}
    options = load_options(None, asdict(config) | plain | {"weight": texts})
    find_engine(options.engine).check(options)
    return options
