"""Networks that answer with a class for each pixel of an image or volume.

Here: one family a file, named as its paper names it; `segmenter.py` says what each of them owes.
Not here: the losses that several share (`ops`), tiles and masks (`deploy`), or networks that find
objects (`models/detect`).
"""

from convatlas.models.shelf import import_all

__all__ = import_all(__name__, __path__)  # pyright: ignore[reportUnsupportedDunderAll]
