"""The command line: parse and dispatch, no logic. Nothing heavy is imported before its use.

The tree of commands stands below, in the order of ``avatar --help``; what each takes, in the files
beside this one.
"""

from __future__ import annotations

from typing import Annotated

import typer

from avatar import __version__
from avatar.app.cli.clips import (
    clip,
    record,
    still,
    templates_add,
    templates_list,
    templates_preview,
    templates_remove,
    templates_show,
)
from avatar.app.cli.films import animate, train
from avatar.app.cli.live import run, studio
from avatar.app.cli.machine import bench, calibrate, devices, doctor
from avatar.app.cli.models import (
    models_build,
    models_import,
    models_list,
    models_pull,
    models_remove,
    models_verify,
)
from avatar.app.cli.stored import (
    autostart_install,
    autostart_remove,
    autostart_status,
    avatars_add,
    avatars_build,
    avatars_list,
    avatars_remove,
    avatars_show,
    profiles_compare,
    profiles_list,
    profiles_remove,
)
from avatar.app.cli.swaps import faces_list, faces_protect, faces_unprotect, swap
from avatar.core.errors import AvatarError
from avatar.core.machine import raise_at_interrupts
from avatar.core.terminal import any_letters, flushed, open_streams, say

INTERRUPTED = 130
"""Exit status of a program that Ctrl-C ended."""

app = typer.Typer(
    name="avatar",
    help="A photograph speaks, smiles and looks around in your place. Pictures never leave this "
    "machine, and every generated frame says that it is generated.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


avatars_app = typer.Typer(
    help="Keep photographs under a name: `avatar run --avatar NAME` then starts at once.",
    no_args_is_help=True,
)
app.add_typer(avatars_app, name="avatars")
profiles_app = typer.Typer(
    help="What `avatar calibrate` learned about people: numbers, no pictures.", no_args_is_help=True
)
app.add_typer(profiles_app, name="profiles")
autostart_app = typer.Typer(
    help="Start `avatar run --config FILE` with your desktop session (Linux).",
    no_args_is_help=True,
)
app.add_typer(autostart_app, name="autostart")
templates_app = typer.Typer(
    help="What faces do in a clip, on the beats of its song.", no_args_is_help=True
)
app.add_typer(templates_app, name="templates")
faces_app = typer.Typer(
    help="Faces that nobody at this computer may put into a film.", no_args_is_help=True
)
app.add_typer(faces_app, name="faces")
models_app = typer.Typer(
    help="Published networks for --engine: fetch, import and prepare them for this machine.",
    no_args_is_help=True,
)
app.add_typer(models_app, name="models")


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"avatar {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Nothing to do before a command."""


app.command()(run)
app.command()(animate)
app.command()(bench)
app.command()(calibrate)
app.command()(studio)
app.command()(train)
app.command()(clip)
app.command()(still)
app.command()(record)
app.command()(swap)
templates_app.command("list")(templates_list)
templates_app.command("show")(templates_show)
templates_app.command("preview")(templates_preview)
templates_app.command("add")(templates_add)
templates_app.command("remove")(templates_remove)
profiles_app.command("list")(profiles_list)
profiles_app.command("compare")(profiles_compare)
profiles_app.command("remove")(profiles_remove)
app.command()(devices)
app.command()(doctor)
avatars_app.command("add")(avatars_add)
avatars_app.command("list")(avatars_list)
avatars_app.command("show")(avatars_show)
avatars_app.command("build")(avatars_build)
avatars_app.command("remove")(avatars_remove)
autostart_app.command("install")(autostart_install)
autostart_app.command("status")(autostart_status)
autostart_app.command("remove")(autostart_remove)
faces_app.command("protect")(faces_protect)
faces_app.command("list")(faces_list)
faces_app.command("unprotect")(faces_unprotect)
models_app.command("list")(models_list)
models_app.command("pull")(models_pull)
models_app.command("import")(models_import)
models_app.command("build")(models_build)
models_app.command("verify")(models_verify)
models_app.command("remove")(models_remove)


def main() -> None:
    """Run the command line; what the user can mend becomes one line and an exit status."""
    raise_at_interrupts()
    open_streams()
    any_letters()
    raise SystemExit(flushed(_status()))


def _status() -> int:
    try:
        app()
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except AvatarError as error:
        say(f"avatar: {error}")
        return error.exit_status
    except KeyboardInterrupt:  # before anything was begun that ends by itself
        return INTERRUPTED
    except OSError as error:
        if error.errno is None:
            raise
        what = error.filename or "standard output or another file"
        say(
            f"avatar: {what}: {error.strerror}. Check the path, its permissions and the room on "
            "the disk."
        )
        return 1
    return 0
