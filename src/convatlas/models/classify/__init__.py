"""Image classifiers: pixels in, one logit a class out.

Here: one family a file, named as its paper names it.
Not here: networks that answer with boxes, masks, sounds or words; they have shelves of their own.
"""

from convatlas.models.classify import mobilenet_v2

__all__ = ["mobilenet_v2"]
