"""Stages put together, without a terminal: what a run is made of."""
