"""Sound classifiers: frames of coefficients or a spectrogram in, one logit a class out.

Here: one family a file, named as its paper names it; a file that is here is on the shelf.
Not here: the way from a waveform to frames or pictures (`ops`), and networks that answer with
signals (`models/speech`).
"""

from convatlas.models.shelf import import_all

__all__ = import_all(__name__, __path__)  # pyright: ignore[reportUnsupportedDunderAll]
