"""What the scan decoded, kept for training: each file is decoded once where memory allows."""

import threading

import torch
from torch import Tensor

from convatlas.data.free_memory import free_memory_bytes

SHARE = 0.25  # of the free memory, that decoded images may take until they are forgotten


class KeptPixels:
    """Decoded images by file, as long as there is room; safe in threads.

    Args:
        room: bytes that may be kept; a share of the free memory where not given.
    """

    def __init__(self, room: int | None = None):
        self.room = int(SHARE * free_memory_bytes()) if room is None else room
        self._images: dict[str, Tensor] = {}
        self._shrinking: set[str] = set()
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[type["KeptPixels"], tuple[int]]:
        """Another process, such as a worker of a DataLoader, starts with none."""
        return KeptPixels, (0,)

    def __len__(self) -> int:
        return len(self._images)

    def has_room(self, size: int) -> bool:
        """Return whether that many bytes could be kept now."""
        return size <= self.room

    def keep(self, file: str, image: Tensor, *, shrinks: bool = False) -> None:
        """Keep an image if there is room. Shape: uint8 (channels, h, w)

        Args:
            shrinks: its file can be decoded at a fraction of its size.
        """
        with self._lock:
            if file not in self._images and self.has_room(image.numel()):
                self.room -= image.numel()
                self._images[file] = image
                if shrinks:
                    self._shrinking.add(file)

    def get(self, file: str, channels: int, enough: int | None = None) -> Tensor | None:
        """Return an image as the file reads with that many channels; None where it is not kept.

        Args:
            enough: as in `decode`. Where the file would be decoded smaller it has to be, for what
                is kept depends on the memory, and what is trained on must not.

        Shape: uint8 (channels, h, w), which must not be written to.
        """
        image = self._images.get(file)
        if image is None or len(image) > channels:  # the colours of a grey picture: read again
            return None
        half = -(-min(image.shape[1:]) // 2)
        if enough is not None and half >= enough and file in self._shrinking:
            return None
        return image if len(image) == channels else torch.cat([image] * channels)

    def forget(self) -> None:
        """Give the memory back; nothing is kept any more."""
        with self._lock:
            self._images.clear()
            self.room = 0
