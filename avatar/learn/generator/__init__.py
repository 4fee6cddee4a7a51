"""``avatar train``: a generator of one person, learnt from a clip of them."""
