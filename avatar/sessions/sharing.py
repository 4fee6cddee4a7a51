"""``avatar.make_clip`` and ``avatar.make_still``: what people share, made by other programs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from avatar.core.config_file import checked
from avatar.core.errors import UsageError
from avatar.core.frames import LabelledFrame
from avatar.core.home import Home
from avatar.core.options import takes_options
from avatar.core.terminal import say
from avatar.sessions.clip_request import ClipRequest
from avatar.sessions.still_request import StillRequest

Photo = str | Path


@takes_options(table=ClipRequest)
def make_clip(
    photos: Photo | Sequence[Photo],
    out: str | Path,
    *,
    home: Home | None = None,
    progress: Callable[[int, int], None] | None = None,
    **options: Any,
) -> Path:
    """Write a clip in which the faces of photographs move to a song; return where it lies.

    ``photos``: a path, the name of a stored avatar, ``"builtin"``, or up to nine of them for a
    grid. ``out``: a film (``.mp4``) or a loop for chats (``.gif``, ``.webp``). The options are
    those of ``avatar clip`` by their names there, with ``_`` for ``-``; ``start`` and ``end`` are
    seconds of the song, ``--from`` and ``--to``. ``home``: whose avatars, templates and caches;
    None: those of the user who runs the program. ``progress``: called after each picture with how
    many are done and how many there will be; without it a terminal shows a bar.

    Every picture is labelled, and the file says of itself that it is generated. The same request
    gives the same film.

    Raises ``UsageError`` for what cannot be, naming the nearest option; ``PhotoError`` for a
    photograph without a usable face, naming it; ``SinkError`` where the file cannot be written;
    ``KeyboardInterrupt`` at Ctrl-C, which leaves a film that plays up to there.

    Examples::

        avatar.make_clip("builtin", "hey.mp4", end=2)

        avatar.make_clip(
            ["builtin", "builtin"], "two.mp4",
            template="nod", music="stroll", phase="canon", shape="1:1", end=2,
        )
    """
    from avatar.sessions.clip import write_clip

    several = (photos,) if isinstance(photos, (str, Path)) else tuple(photos)
    request = _request(ClipRequest, options, photos=several, out=out)
    made = write_clip(request, home or Home.of_user(), say, progress=progress)
    if not made.is_whole:
        raise KeyboardInterrupt
    return made.path


@takes_options(table=StillRequest)
def make_still(
    photo: Photo,
    out: str | Path | None = None,
    *,
    home: Home | None = None,
    **options: Any,
) -> LabelledFrame:
    """Return a photograph with another expression, labelled; write it where ``out`` is given.

    ``photo``: a path, the name of a stored avatar, or ``"builtin"``. ``out``: a name that ends in
    ``.png``, ``.jpg`` or ``.webp``. The options are the sliders of ``avatar still`` by their names
    there, with ``_`` for ``-``. ``home``: as of ``make_clip``.

    The picture's ``image`` is uint8 (H, W, 3) RGB of the photograph's own size; ``frames=5`` gives
    five of them side by side, from the photograph to the expression.

    Raises ``UsageError`` for what cannot be, naming the nearest option; ``PhotoError`` for a
    photograph without a usable face; ``SinkError`` where the file cannot be written.

    Examples::

        frame = avatar.make_still("builtin", smile=0.6, turn=12, look=-0.5)
        height, width, _ = frame.image.shape

        avatar.make_still("builtin", "wink.png", smile_left=0.7, wink_left=1)
    """
    from avatar.sessions.still import checked_out, draw_still, save_still

    given = options if out is None else options | {"out": out}
    request = _request(StillRequest, given, photo=photo)
    path = None if out is None else checked_out(request, "out")
    frame = draw_still(request, home or Home.of_user(), say)
    if path is not None:
        save_still(frame, path)
    return frame


def _request(table: Any, options: dict[str, Any], **given: Any) -> Any:
    """Return a request of options by their names. Raises ``UsageError``."""
    for name in given:
        if name in options:
            raise UsageError(f"{name} is given twice")
    values = given | options
    return table(**{name: checked(name, value, table) for name, value in values.items()})
