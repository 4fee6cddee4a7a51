"""Music that a clip moves to: read from a file, its beats found; two tunes of the program's own.

::

    file ─► read_music ─► Music ─► onsets ─► tempo ─► find_beats ─► Beats
                            └── sound, 48 kHz stereo ─► a film
"""
