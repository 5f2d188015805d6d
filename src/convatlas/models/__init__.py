"""Architectures, one family a file, on one shelf a task; `registry` maps names to classes.

Here: networks as their papers give them, each with `example()` and `tiny()`.
Not here: their costs (`cost`), published figures (`claims`) or training (`train`).
"""

from convatlas.models import classify
from convatlas.models.registry import create_model, find_entry, model_names, register

__all__ = ["classify", "create_model", "find_entry", "model_names", "register"]
