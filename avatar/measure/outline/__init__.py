"""How well a person is cut out and what is behind filled in, against truth.

``python -m avatar.measure.outline``: heads of people who do not exist, with strands of hair, before
twelve busy backgrounds, all of known coverage; for whichever code is imported.
"""
