"""Options of published training runs, one file a paper, as functions that return a `Recipe`.

Here: what the paper states, with the result to expect, the hardware and the hours.
Not here: the meaning of an option; that is `train/recipe.py`.
"""
