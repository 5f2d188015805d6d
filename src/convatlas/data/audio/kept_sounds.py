"""What the scan decoded, kept for training where memory allows."""

import threading

from torch import Tensor

from convatlas.data.free_memory import free_memory_bytes

SHARE = 0.25  # of the free memory, that decoded sounds may take until they are forgotten


class KeptSounds:
    """Decoded sounds by file, as long as there is room; safe in threads.

    Args:
        room: bytes that may be kept; a share of the free memory where not given.
    """

    def __init__(self, room: int | None = None):
        self.room = int(SHARE * free_memory_bytes()) if room is None else room
        self._sounds: dict[str, Tensor] = {}
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[type["KeptSounds"], tuple[int]]:
        """Another process, such as a worker of a DataLoader, starts with none."""
        return KeptSounds, (0,)

    def __len__(self) -> int:
        return len(self._sounds)

    def keep(self, file: str, sound: Tensor) -> None:
        """Keep a sound if there is room. Shape: float32 (samples,)"""
        with self._lock:
            if file not in self._sounds and sound.nbytes <= self.room:
                self.room -= sound.nbytes
                self._sounds[file] = sound

    def get(self, file: str) -> Tensor | None:
        """Return a sound, which must not be written to; None where it is not kept."""
        return self._sounds.get(file)

    def forget(self) -> None:
        """Give the memory back; nothing is kept any more."""
        with self._lock:
            self._sounds.clear()
            self.room = 0
