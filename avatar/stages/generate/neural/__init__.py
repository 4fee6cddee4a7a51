"""The neural engines: published motion-transfer networks, driven by the driver's own picture."""
