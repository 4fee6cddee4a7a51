"""Commands that run live: ``run`` and ``studio``."""

# No `from __future__ import annotations`: these are read at each start; texts would be compiled.

from typing import Annotated

import typer

from avatar.app.cli.session_command import session_command
from avatar.core.home import Home
from avatar.core.options import Options


@session_command
def run(options: Options) -> int:
    """Drive a photo with your face, live, into a call."""
    from avatar.app.run import run as command

    return command(options, Home.of_user())


@session_command
def studio(
    options: Options,
    given: frozenset[str],
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="Port of the page; 0: any free port.")
    ] = 8765,
    browser: Annotated[
        bool, typer.Option("--browser", help="Open the page in your browser.")
    ] = False,
    start: Annotated[
        bool, typer.Option("--start", help="Start at once, without the page's button.")
    ] = False,
) -> int:
    """Everything on one page in your browser, served by this machine: avatars, camera, outputs."""
    from avatar.app.studio import studio as command

    return command(options, Home.of_user(), given=given, port=port, browser=browser, start=start)
