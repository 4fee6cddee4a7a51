"""``python -m avatar.cli``."""

from avatar.cli import main

if __name__ == "__main__":
    main()
