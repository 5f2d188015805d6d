"""Networks that answer with boxes: where an image shows something, of which class, how surely.

Here: one family a file, named as its paper names it, and the parts that they share.
Not here: what reads annotations (`data/boxes`), or average precision (`explain/boxes`).
"""

from convatlas.models.shelf import import_all

__all__ = import_all(__name__, __path__)  # pyright: ignore[reportUnsupportedDunderAll]
