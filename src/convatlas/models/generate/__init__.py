"""Networks whose answers are new images: a probability for each value, given those before it.

Here: one family a file, named as its paper names it; `pixel_network.py` says what each owes.
Not here: the masks themselves (`ops/masked.py`), or how a trained network's images are drawn and
shown (`deploy`, `explain`).
"""

from convatlas.models.shelf import import_all

__all__ = import_all(__name__, __path__)  # pyright: ignore[reportUnsupportedDunderAll]
