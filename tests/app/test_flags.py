"""What every command takes: nothing is gained or lost by accident.

``python -m tests.app.test_flags`` writes the snapshot again, after a change that was meant.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import typer
from typer.main import get_command

from avatar.app.cli import app

SNAPSHOT = Path(__file__).parent / "snapshots" / "flags.json"


def _parameter(parameter: Any) -> dict[str, Any]:
    return {
        "flags": [*parameter.opts, *parameter.secondary_opts],
        "required": parameter.required,
        "several": bool(parameter.multiple or parameter.nargs != 1),
    }


def _commands(command: Any, path: str = "avatar") -> dict[str, list[dict[str, Any]]]:
    """Return what ``command`` and all below it take, by their whole names."""
    own = [_parameter(parameter) for parameter in command.params]
    found = {path: sorted(own, key=lambda parameter: str(parameter["flags"]))}
    for name, below in getattr(command, "commands", {}).items():
        found |= _commands(below, f"{path} {name}")
    return found


def flags(application: typer.Typer = app) -> dict[str, list[dict[str, Any]]]:
    """Return the parameters of every command of ``application``."""
    return json.loads(json.dumps(_commands(get_command(application)), default=str))


def test_every_command_takes_what_the_snapshot_says() -> None:
    assert flags() == json.loads(SNAPSHOT.read_text("utf-8"))


if __name__ == "__main__":
    SNAPSHOT.write_text(json.dumps(flags(), indent=1, sort_keys=True) + "\n", "utf-8")
