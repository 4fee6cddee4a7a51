"""Clips of made-up people, drawn from CC0 heads: a clean source to train a base on."""
