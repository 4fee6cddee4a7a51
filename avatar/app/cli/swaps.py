"""Commands for faces in films: ``swap`` and ``faces``."""

# No `from __future__ import annotations`: these are read at each start; texts would be compiled.

from pathlib import Path
from typing import Annotated

import typer

from avatar.app.cli.session_command import table_command
from avatar.core.home import Home
from avatar.core.terminal import say
from avatar.sessions.swap_request import SwapRequest


@table_command(SwapRequest)
def swap(request: SwapRequest) -> int:
    """Put a photograph's face on a person of a film: every frame, with its sound, labelled."""
    from avatar.sessions.swap import make_swap

    return make_swap(request, Home.of_user(), say)


NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Name of a protected face.")]


def faces_protect(
    photo: Annotated[Path, typer.Argument(metavar="PHOTO", help="Photograph of the face.")],
    name: Annotated[
        str | None,
        typer.Option("--name", metavar="NAME", help="What to call it (default: as the file)."),
    ] = None,
) -> None:
    """Keep a face from being put into films at this computer."""
    from avatar.sessions.protection import protect

    say(
        f"protected: {protect(photo, name, Home.of_user(), say)}; no picture was kept, only numbers"
    )


def faces_list() -> None:
    """List the protected faces."""
    from avatar.library.protected_faces import ProtectedFaces

    for name in ProtectedFaces(Home.of_user()).names():
        typer.echo(name)


def faces_unprotect(name: NameArgument) -> None:
    """Let a face be used again."""
    from avatar.library.protected_faces import ProtectedFaces

    say(f"removed {ProtectedFaces(Home.of_user()).remove(name)}")
