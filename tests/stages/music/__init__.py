"""Music: reading it, its beats, the tunes that come along."""
