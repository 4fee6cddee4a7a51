"""The project's own generator: the portrait engine's picture, corrected by a trained network."""
