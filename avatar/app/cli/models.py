"""``avatar models``: published networks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from avatar.core.home import Home
from avatar.core.options import PUBLISHED, declared


def models_list() -> None:
    """List what can be had and what is installed, with licence, size and builds."""
    from avatar.app.models import list_models

    raise typer.Exit(list_models(Home.of_user().models))


ModelArgument = Annotated[str, typer.Argument(metavar="MODEL", help=f"{' or '.join(PUBLISHED)}.")]
VariantOption = Annotated[
    str | None,
    typer.Option(
        "--variant", metavar="people|animals",
        help=f"Which weights of {' or '.join(declared()['variant'].engines)} (default: people).",
    ),
]  # fmt: skip
BackendOption = Annotated[
    str,
    typer.Option(
        "--backend",
        metavar="NAME",
        help="auto, openvino, onnxruntime, tensorrt-rtx, tensorrt or torch.",
    ),
]
PrecisionOption = Annotated[
    str, typer.Option("--precision", metavar="NAME", help="auto, fp32, fp16 or int8.")
]
AheadOption = Annotated[
    bool,
    typer.Option(
        "--ahead", help="For a graphics card that is not in this machine (tensorrt-rtx only)."
    ),
]
LicenceOption = Annotated[
    bool,
    typer.Option("--accept-licence", help="I have read the model's licence and accept it."),
]


def models_pull(
    model: ModelArgument,
    variant: VariantOption = None,
    accept_licence: LicenceOption = False,
) -> None:
    """Fetch a model from its official home; an interrupted download goes on where it ended."""
    from avatar.app.models import pull

    root = Home.of_user().models
    raise typer.Exit(pull(model, variant, root=root, accept_licence=accept_licence))


def models_import(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE...", help="Checkpoints, or folders and archives of them."),
    ],
    variant: VariantOption = None,
    accept_licence: LicenceOption = False,
) -> None:
    """Install checkpoints that you have; what they are is known by their contents."""
    from avatar.app.models import import_files

    root = Home.of_user().models
    raise typer.Exit(import_files(files, variant, root=root, accept_licence=accept_licence))


def models_build(
    model: ModelArgument,
    variant: VariantOption = None,
    backend: BackendOption = "auto",
    precision: PrecisionOption = "auto",
    ahead: AheadOption = False,
) -> None:
    """Compile an installed model for this machine, so that its first use starts quickly."""
    from avatar.app.models import build

    home = Home.of_user()
    raise typer.Exit(
        build(model, variant, home=home, backend=backend, precision=precision, ahead=ahead)
    )


def models_verify() -> None:
    """Check every installed file again: its hash, and what is in it."""
    from avatar.app.models import verify

    raise typer.Exit(verify(Home.of_user().models))


def models_remove(
    model: ModelArgument,
    variant: VariantOption = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete an installed model and what was built of it."""
    from avatar.app.models import remove

    raise typer.Exit(remove(model, variant, root=Home.of_user().models, yes=yes))
