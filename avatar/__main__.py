"""``python -m avatar``: the command line."""

from avatar.app.cli import main

main()
