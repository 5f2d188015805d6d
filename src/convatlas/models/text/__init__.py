"""Networks that answer a text, given as symbols, with one class of several.

Here: one family a file, named as its paper names it.
Not here: how texts become symbols (`data/text`), or networks that write texts (`models/translate`).
"""

from convatlas.models.shelf import import_all

__all__ = import_all(__name__, __path__)  # pyright: ignore[reportUnsupportedDunderAll]
