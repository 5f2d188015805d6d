"""From a trained network to a file that answers the same: export, proof, later quantising.

Here: steps that take a model and return a model or a file; none knows which network it got.
Not here: running the file for a user (`pipeline` and `cli`).
"""
