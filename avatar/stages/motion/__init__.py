"""From what was tracked to how the avatar moves: shape, smoothing, retargeting, idling."""
