"""Public weights: which networks have them, where they lie, how they get into ours.

Here: the table of checkpoints, download and checks, translation of names, `create_model`.
Not here: the networks (`models`), and weights that a run trained itself (`train/weights.py`).
"""

from convatlas.pretrained.checkpoint import Checkpoint, checkpoints, checkpoints_of
from convatlas.pretrained.places import has_local_weights

__all__ = ["Checkpoint", "checkpoints", "checkpoints_of", "has_local_weights"]
