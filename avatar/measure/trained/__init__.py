"""Trained generators measured: against the portrait engine, and in time."""
