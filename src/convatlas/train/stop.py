"""Ctrl-C as a request: the step in hand is finished, and what was reached is kept."""

import signal
import threading
from types import FrameType, TracebackType


class StopRequest:
    """While open, the first Ctrl-C sets `requested`; the second one interrupts as usual."""

    def __init__(self) -> None:
        self.requested = False
        self._before = None

    def __enter__(self) -> "StopRequest":
        # Python lets only the main thread take signals; elsewhere Ctrl-C stays what it was.
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
