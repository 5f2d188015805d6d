"""Networks that answer with the next readings of sensors, joined by a graph or not.

Here: one family a file, named as its paper names it, and the parts that they share.
Not here: graph convolutions themselves (`ops`), or how graphs are read and made (`data/graphs`).
"""

from convatlas.models.shelf import import_all

__all__ = import_all(__name__, __path__)  # pyright: ignore[reportUnsupportedDunderAll]
