"""What is set in Pillow for all threads while images are read, and set back afterwards."""

import threading

from PIL import Image

from convatlas.data.images.image_limits import MAX_PIXELS_OPTION
from convatlas.data.images.libtiff import SILENT, Handlers, set_handlers


class PillowState:
    """Pillow's own limit of pixels is raised, for ours is checked; libtiff is silent.

    Both hold for the whole process, so the first reader sets them and the last one sets them back.
    """

    def __init__(self):
        self._lock, self._users = threading.Lock(), 0
        self._limit, self._handlers = Image.MAX_IMAGE_PIXELS, SILENT

    def __enter__(self) -> None:
        with self._lock:
            if self._users == 0:
                self._limit = Image.MAX_IMAGE_PIXELS
                Image.MAX_IMAGE_PIXELS = MAX_PIXELS_OPTION // 2  # Pillow refuses twice as many
                self._handlers: Handlers = set_handlers(SILENT)
            self._users += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._users -= 1
            if self._users == 0:
                Image.MAX_IMAGE_PIXELS = self._limit
                set_handlers(self._handlers)


PILLOW_STATE = PillowState()
