"""Former room of ``avatar.app``, ``sessions``, ``library``, ``learn`` and ``measure``."""
