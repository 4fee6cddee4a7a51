"""``python -m avatar``: the command line."""

from avatar.core.machine import end_at_interrupts


def main() -> None:
    """Load the command line and run it: Ctrl-C meanwhile ends it without a word."""
    end_at_interrupts()
    from avatar.app.cli import main as loaded

    loaded()


if __name__ == "__main__":
    main()
