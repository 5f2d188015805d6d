"""Networks that answer with signals: the voices of a mixture, or the one voice asked for.

Here: one family a file, named as its paper names it, and the parts that they share.
Not here: their losses (`train/tasks`), or networks that answer with classes (`models/audio`).
"""

from convatlas.models.shelf import import_all

__all__ = import_all(__name__, __path__)  # pyright: ignore[reportUnsupportedDunderAll]
