"""Images whose values are what is predicted: all of one size, each value one of some levels.

Here: how they are opened, stored and cut into levels.
Not here: how files are read (`data/images`), or the networks (`models/generate`).
"""
