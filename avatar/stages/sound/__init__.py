"""Sound: the microphone, delayed to match the picture, and what the voice says of the mouth.

::

    microphone ─► resample ─► DelayLine ─► speaker (a virtual cable)
                     └──────► voice: activity, closures, formants ─► Articulation

All of it runs beside the picture, in PortAudio's callbacks and one thread; a device that is lost
never stops the picture.
"""
