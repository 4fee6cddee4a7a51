"""Damaged files of every kind that the program reads."""
