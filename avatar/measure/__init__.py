"""How fast, how good, is it healthy: bench, quality, motion, doctor and their reports."""
