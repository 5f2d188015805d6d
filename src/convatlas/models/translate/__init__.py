"""Networks that answer a sequence of symbols with another one, or with its own next symbol.

Here: one family a file, named as its paper names it, and the parts that they share.
Not here: how texts become symbols (`data/text`), or how a translation is searched for (`deploy`).

A translator has `encode`, `start` and `step` beside `forward`: a step costs the same however much
has been written, because each convolution keeps the few inputs that it still has to see.
"""

from convatlas.models.shelf import import_all

__all__ = import_all(__name__, __path__)  # pyright: ignore[reportUnsupportedDunderAll]
