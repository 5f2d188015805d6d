"""Public weights: which networks have them, where they lie, how they get into ours.

Here: the table of checkpoints, download and checks, translation of names, `create_model`.
Not here: the networks (`models`), and weights that a run trained itself (`train/weights.py`).
"""
