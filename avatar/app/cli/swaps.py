"""Commands for faces in films: ``swap`` and ``faces``."""

# No `from __future__ import annotations`: these are read at each start; texts would be compiled.

from avatar.app.cli.session_command import table_command
from avatar.core.home import Home
from avatar.core.terminal import say
from avatar.sessions.swap_request import SwapRequest


@table_command(SwapRequest)
def swap(request: SwapRequest) -> int:
    """Put a photograph's face on a person of a film: every frame, with its sound, labelled."""
    from avatar.sessions.swap import make_swap

    return make_swap(request, Home.of_user(), say)
