"""Running the suite as where a distribution is not installed: ``AVATAR_WITHOUT=mediapipe``.

    AVATAR_WITHOUT=mediapipe scripts/test

The folder stands first in ``PYTHONPATH``, so that the programs that tests start lack it, too.
"""
