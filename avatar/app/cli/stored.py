"""Commands about what is kept: ``avatars``, ``profiles`` and ``autostart``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from avatar.app.cli.models import AheadOption, BackendOption, PrecisionOption
from avatar.app.cli.session_command import shared
from avatar.core.home import Home


def profiles_list() -> None:
    """List the profiles."""
    from avatar.library.profiles import ProfileStore, list_profiles

    raise typer.Exit(list_profiles(ProfileStore(Home.of_user().profiles)))


ProfileArgument = Annotated[str, typer.Argument(metavar="NAME", help="Name of a profile.")]


def profiles_compare(first: ProfileArgument, second: ProfileArgument) -> None:
    """Show two profiles side by side, the greatest differences first."""
    from avatar.library.profiles import ProfileStore, compare

    raise typer.Exit(compare(first, second, ProfileStore(Home.of_user().profiles)))


def profiles_remove(name: ProfileArgument) -> None:
    """Delete a profile."""
    from avatar.library.profiles import ProfileStore, remove

    raise typer.Exit(remove(name, ProfileStore(Home.of_user().profiles)))


def avatars_add(
    photos: Annotated[
        list[Path],
        typer.Argument(
            metavar="PHOTO...",
            help="Photograph of a person; or up to five of one person (a folder stands for those "
            "in it): the first gives place, body and background, and whichever is nearest to what "
            "you do is shown.",
        ),
    ],
    name: Annotated[
        str | None,
        typer.Option("--name", metavar="NAME", help="What to call it (default: as the file)."),
    ] = None,
    face: Annotated[
        int,
        typer.Option("--face", metavar="N", min=1, help="Which face of it: 1 is the largest."),
    ] = 1,
    force: Annotated[
        bool, typer.Option("--force", help="Replace an avatar of the same name.")
    ] = False,
    face_model: Annotated[Path | None, shared("face_model")] = None,
) -> None:
    """Store copies of a photograph, or of several of one person, with the face found in them."""
    from avatar.app.avatars import add

    home = Home.of_user()
    raise typer.Exit(
        add(*photos, name=name, face=face, force=force, face_model=face_model, home=home)
    )


def avatars_list() -> None:
    """List the stored avatars."""
    from avatar.app.avatars import list_avatars

    raise typer.Exit(list_avatars(Home.of_user()))


NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Name of a stored avatar.")]


def avatars_show(
    name: NameArgument,
    preview: Annotated[
        Path | None,
        typer.Option("--preview", metavar="FILE.png", help="Write its portrait framing, labelled."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing picture.")] = False,
) -> None:
    """Print what is known of a stored avatar."""
    from avatar.app.avatars import show

    raise typer.Exit(show(name, preview=preview, force=force, home=Home.of_user()))


def avatars_remove(name: NameArgument) -> None:
    """Delete a stored avatar: its copy of the photograph and what was found in it."""
    from avatar.app.avatars import remove

    raise typer.Exit(remove(name, Home.of_user()))


def avatars_build(
    name: NameArgument,
    backend: BackendOption = "auto",
    precision: PrecisionOption = "auto",
    ahead: AheadOption = False,
) -> None:
    """Compile an avatar's trained generator, so that its first use starts quickly."""
    from avatar.app.trained_build import build

    home = Home.of_user()
    raise typer.Exit(build(name, home, backend=backend, precision=precision, ahead=ahead))


def autostart_install(
    config: Annotated[
        Path,
        typer.Option("--config", metavar="FILE.toml", help="The options of `avatar run`."),
    ],
    by: Annotated[
        Literal["systemd", "desktop"] | None,
        typer.Option(
            "--by",
            help="systemd: a user unit, started again when it fails; desktop: a file in the "
            "autostart folder (default: systemd where your session has it).",
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace a file that you changed.")
    ] = False,
) -> None:
    """Write the unit or the autostart file, and switch it on."""
    from avatar.app.autostart import install

    raise typer.Exit(install(config, by, Home.of_user(), force=force))


def autostart_status() -> None:
    """Say what is installed and whether it runs."""
    from avatar.app.autostart import status

    raise typer.Exit(status(Home.of_user()))


def autostart_remove(
    force: Annotated[bool, typer.Option("--force", help="Delete a file that you changed.")] = False,
) -> None:
    """Stop it and delete what was written."""
    from avatar.app.autostart import remove

    raise typer.Exit(remove(Home.of_user(), force=force))
