"""``python -m avatar.cli``, as autostart files of earlier versions call it."""

from avatar.app.cli import main

main()
