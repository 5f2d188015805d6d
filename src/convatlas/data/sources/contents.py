"""Where the images of a source lie if they are no files of their own: inside of larger ones."""

from typing import Protocol

import numpy as np


class Contents(Protocol):
    """Images by the names that a listing gives them.

    Attributes:
        decoded: whether they lie as pixels, which take no time to read.
    """

    @property
    def decoded(self) -> bool: ...

    def get(self, file: str) -> bytes | np.ndarray:
        """Return an encoded image, or its pixels; safe in threads.

        Shape: of pixels, uint8 (h, w) or (h, w, 3)

        Raises:
            UnreadableContent: it cannot be read; the message is the reason, without the name.
        """
        ...

    def holds(self, file: str) -> bool:
        """Return whether there is an image of that name."""
        ...


class UnreadableContent(Exception):
    """An image inside of a larger file that cannot be read."""
