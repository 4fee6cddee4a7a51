"""Generators that were trained for a person: what is stored of them, and how it is opened."""
