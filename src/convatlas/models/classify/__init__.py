"""Image classifiers: pixels in, one logit a class out.

Here: one family a file, named as its paper names it; a file that is here is on the shelf.
Not here: networks that answer with boxes, masks, sounds or words; they have shelves of their own.
"""

from convatlas.models.shelf import import_all

__all__ = import_all(__name__, __path__)  # pyright: ignore[reportUnsupportedDunderAll]
