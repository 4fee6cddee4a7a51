"""The steps of a frame, from a camera to what is shown; none imports another."""
