"""The atlas: every registered network with its paper, its counted cost and its published figures.

Here: listing, describing, and published figures held against counted ones.
Not here: the networks (`models`), the counting (`cost`) or the figures themselves (`claims`).
"""
