"""Commands that make what is shared: ``clip``, ``still``, ``record`` and ``templates``."""

# No `from __future__ import annotations`: these are read at each start; texts would be compiled.

from pathlib import Path
from typing import Annotated

import typer

from avatar.app.cli.session_command import table_command
from avatar.core.errors import UsageError
from avatar.core.home import Home
from avatar.core.terminal import harmless, say
from avatar.sessions.clip_request import ClipRequest
from avatar.sessions.record_request import RecordRequest
from avatar.sessions.still_request import StillRequest


@table_command(ClipRequest)
def clip(
    request: ClipRequest,
    photos: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="PHOTO...",
            help="One photograph, or up to nine for a grid.",
        ),
    ] = None,
) -> int:
    """Make a clip to share: faces of photographs move to the beats of a song."""
    from avatar.sessions.clip import make_clip

    return make_clip(request, Home.of_user(), say)


@table_command(StillRequest)
def still(
    request: StillRequest,
    photo: Annotated[
        Path | None, typer.Argument(metavar="PHOTO", help="Photograph, or a stored avatar's name.")
    ] = None,
) -> int:
    """Give a photograph another expression: a picture, with sliders."""
    from avatar.sessions.still import make_still

    return make_still(request, Home.of_user(), say)


@table_command(RecordRequest)
def record(request: RecordRequest) -> int:
    """Record how you move, without a picture, to move any avatar with: avatar animate --driving."""
    from avatar.sessions.recording import record as command

    return command(request, Home.of_user(), say)


NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Name of a template.")]


def templates_list() -> None:
    """List what faces can do in a clip."""
    from avatar.sessions.choreographies import ChoreographyStore

    store = ChoreographyStore(Home.of_user())
    for name in store.names():
        try:
            typer.echo(f"{name:10} {store.load(name).about}")
        except UsageError as error:  # the others can be used
            say(f"avatar: {error}")


def templates_show(name: NameArgument) -> None:
    """Print a template's file, to learn from or to change."""
    from avatar.sessions.choreographies import ChoreographyStore

    typer.echo(harmless(ChoreographyStore(Home.of_user()).text(name)), nl=False)


def templates_preview(
    name: NameArgument,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="FOLDER", help="Put copies there, called NAME.png, NAME.mp4."
        ),
    ] = None,
) -> None:
    """Show a template: a sheet of pictures and a short film."""
    import shutil

    from avatar.sessions.template_preview import make_preview

    made = make_preview(name, Home.of_user())
    for path in (made.sheet, made.film):
        if out is not None:
            out.mkdir(parents=True, exist_ok=True)
            path = Path(shutil.copy(path, out / f"{Path(name).stem}{path.suffix}"))
        typer.echo(path)


def templates_add(
    file: Annotated[Path, typer.Argument(metavar="FILE.toml", help="A template of your own.")],
    name: Annotated[
        str | None,
        typer.Option("--name", metavar="NAME", help="What to call it (default: as the file)."),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace a template of the same name.")
    ] = False,
) -> None:
    """Keep a template of your own."""
    from avatar.sessions.choreographies import ChoreographyStore

    added = ChoreographyStore(Home.of_user()).add(file, name, replace=force)
    say(f"added: avatar clip PHOTO --template {added}")


def templates_remove(name: NameArgument) -> None:
    """Delete a template of your own."""
    from avatar.sessions.choreographies import ChoreographyStore

    say(f"removed {ChoreographyStore(Home.of_user()).remove(name)}")
