"""The files that a measurement writes: refused before the work where they cannot be written."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from avatar.core.errors import UsageError
from avatar.core.outputs import check_output
from avatar.measure.page import check_plot

_PAGES = (".html", ".htm")


def check_reports(
    *,
    json: Path | None = None,
    plot: Path | None = None,
    html: Path | None = None,
    force: bool = False,
    read: Iterable[Path | str | None] = (),
) -> None:
    """Raise ``UsageError`` for a report that cannot be written, or that would destroy something.

    ``read``: what the measurement reads, which ``force`` does not allow to replace either.
    """
    taken = [Path(one) for one in read if one is not None]
    for path, option in ((json, "--json"), (plot, "--plot"), (html, "--html")):
        if path is None:
            continue
        if option == "--plot":
            check_plot(path)
        if option == "--html" and path.suffix.lower() not in _PAGES:
            raise UsageError(f"--html: expected a path ending in .html, found {path}")
        check_output(path, option, force=force, others=taken)
        taken.append(path)
