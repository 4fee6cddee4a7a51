"""What is known of one option; ``core.options`` declares them all."""

# No `from __future__ import annotations`: read at each start; texts would be compiled.

from dataclasses import dataclass
from typing import Literal

Group = Literal["camera", "picture", "movement", "label"]
Change = Literal["picture", "movement", "driving", "label", "mirror", "person", "restart"]
"""What is made again when an option changes while running; ``restart``: it cannot change."""


RUN, ANIMATE, BENCH, STUDIO, DRIVER = "run", "animate", "bench", "studio", "Driver"
DRAWING = (RUN, ANIMATE, BENCH, DRIVER)


@dataclass(frozen=True)
class Option:
    """What is known of an option beside its name, type and default.

    ``help``: what it does, for the command line and the documented table; what ``bounds`` and
    ``engines`` say is added to it. ``on``: the commands, and ``Driver``, that have it. ``panel``: a
    key of ``PANELS``, empty for the general one. ``flag``: its name on the command line where that
    is not the field's; one that begins with a slash says the opposite. ``choices``: the values,
    where the type does not say; ``sessions.engines`` checks those of ``engine``. ``offered``: the
    few of many that the studio's page offers. ``bounds``: (least, most, step), checked wherever the
    option is given; ``unit`` for messages. ``page``: the studio's group, empty where the page does
    not show it. ``change``: see ``Change``. ``engines``: which engines use it; empty: all of them.
    ``main``: README shows it.
    """

    help: str
    on: tuple[str, ...] = DRAWING
    panel: str = ""
    metavar: str | None = None
    flag: str = ""
    choices: tuple[str, ...] = ()
    offered: tuple[str, ...] = ()
    bounds: tuple[float, float, float] | None = None
    unit: str = ""
    page: Group | Literal[""] = ""
    change: Change = "restart"
    engines: tuple[str, ...] = ()
    main: bool = False

    @property
    def sentence(self) -> str:
        """Return ``help`` with the bounds."""
        if self.bounds is None:
            return self.help
        return f"{self.help.removesuffix('.')}, {self.span('–')}."

    @property
    def text(self) -> str:
        """Return ``help`` with bounds and engines."""
        if not self.engines:
            return self.sentence
        *most, last = self.engines
        return f"{self.sentence} Only for {', '.join(most)}{' and ' if most else ''}{last}."

    def span(self, between: str) -> str:
        """Return the bounds in words, such as ``0 to 90 degrees``; only where there are some."""
        assert self.bounds is not None
        low, high, _ = self.bounds
        if low < 0:
            between = " to "
        return f"{low:g}{between}{high:g} {self.unit}".rstrip().replace("-", "−")

    @property
    def negative(self) -> bool:
        """Return whether its flag says the opposite, as ``--no-label`` does."""
        return self.flag.startswith(" /")
