"""The product's own source, for tests that hold one home for one thing."""

from __future__ import annotations

from tests import ROOT


def product() -> list[tuple[str, str]]:
    """Every module of the product: its name and its text."""
    return [
        (".".join(path.relative_to(ROOT).with_suffix("").parts), path.read_text("utf-8"))
        for package in ("avatar", "engines", "calibrate")
        for path in sorted((ROOT / package).rglob("*.py"))
    ]
