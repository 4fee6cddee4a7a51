"""``python -m avatar.cli``, as autostart files of earlier versions call it."""

import warnings

from avatar.app.cli import main

warnings.warn(
    "`python -m avatar.cli` is `python -m avatar` now; the former name goes with the next version. "
    "`avatar autostart install` writes the new one",
    DeprecationWarning,
    stacklevel=1,
)
main()
