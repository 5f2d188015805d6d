"""A thread that sees signals while Python's own handlers cannot run: in the midst of a long call.

Python runs its handlers between two of its own instructions, and a backward pass is a single one.
"""

import contextlib
import os
import select
import signal
import threading
import time
from collections.abc import Collection
from typing import Protocol

GRACE_S = 0.3  # in which the main thread takes a signal itself, where it can


class Watched(Protocol):
    """What is done about signals; called from the watching thread."""

    limit_s: float | None

    def missed(self, number: int, seen: int) -> None:
        """Take care of the signals that came, of which the main thread may have taken fewer.

        Args:
            number: of the last one.
        """
        ...

    def leave(self) -> None:
        """End the process: it did not end by itself in `limit_s` after the first signal."""
        ...


class SignalWatch:
    """Watches for signals until it is closed; opened and closed in the main thread."""

    def __init__(self, numbers: Collection[int], watched: Watched):
        self._numbers, self._watched = frozenset(numbers), watched
        self._read, self._write = os.pipe()
        os.set_blocking(self._write, False)
        self._before = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        threading.Thread(target=self._run, daemon=True).start()

    def close(self) -> None:
        """Let the wake-up be what it was; the thread ends."""
        signal.set_wakeup_fd(self._before)
        os.close(self._write)

    def _run(self) -> None:
        seen, first = 0, 0.0
        while True:
            limit_s = self._watched.limit_s
            left = None
            if seen:
                left = None if limit_s is None else max(0.0, first + limit_s - time.monotonic())
            ready, _, _ = select.select([self._read], [], [], left)
            if not ready:
                self._watched.leave()
                return
            numbers = os.read(self._read, 64)
            if not numbers:  # closed
                break
            came = [each for each in numbers if each in self._numbers]  # others: children's ends
            if not came:
                continue
            first = first if seen else time.monotonic()
            seen += len(came)
            time.sleep(GRACE_S)
            self._watched.missed(came[-1], seen)
        with contextlib.suppress(OSError):
            os.close(self._read)
