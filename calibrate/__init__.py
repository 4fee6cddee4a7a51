"""A person's own range of expression: guided capture, and the pure fit of samples to a profile.

The package holds its place in the layout; calibration enters with a later release.
"""
