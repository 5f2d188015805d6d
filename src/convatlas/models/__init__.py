"""Architectures, one family a file, on one shelf a task; `registry` maps names to classes.

Here: networks as their papers give them, each with `example()` and `tiny()`.
Not here: their costs (`cost`), published figures (`claims`) or training (`train`).
"""

from convatlas.models.registry import create_model, find_entry, model_names, register
from convatlas.models.shelf import import_all

import_all(__name__, __path__)

__all__ = ["create_model", "find_entry", "model_names", "register"]
