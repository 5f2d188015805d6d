"""Public weights: the names of their layers, translated into ours.

Here: what other libraries call the layers of a network (`keys`).
Not here: the networks themselves; they are in `models`.
"""
