"""A signal as a request: the step in hand is finished, and what was reached is kept."""

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType, TracebackType
from typing import Any

from convatlas.errors import Stopped
from convatlas.progress import Bar, Progress

SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")  # Ctrl-C, a scheduler or container, a closed terminal


class StopRequest:
    """While open, the first signal sets `requested` and is acknowledged; a second interrupts.

    Attributes:
        number: of the signal that came; None before.
        again: what a second signal does, as it is said to the user.
    """

    def __init__(self) -> None:
        self.number: int | None = None
        self.again = "discard the run"
        self._before: dict[int, Any] = {}
        self._holding = False
        self._waiting: int | None = None

    @property
    def requested(self) -> bool:
        """Whether the work shall end after the step in hand."""
        return self.number is not None

    def check(self) -> None:
        """End here if that was asked for: there is nothing to keep yet.

        Raises:
            Stopped: a signal came.
        """
        if self.number is not None:
            raise Stopped("stopped before any network was trained; nothing was saved", self.number)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Hold back signals that would interrupt until the block is over."""
        self._holding = True
        try:
            yield
        finally:
            self._holding = False
        if self._waiting is not None:
            number, self._waiting = self._waiting, None
            self._note(number, None)

    def __enter__(self) -> "StopRequest":
        # Python lets only the main thread take signals; elsewhere Ctrl-C stays what it was.
        if threading.current_thread() is threading.main_thread():
            numbers = [getattr(signal, name) for name in SIGNALS if hasattr(signal, name)]
            for number in numbers:
                if signal.getsignal(number) is not signal.SIG_IGN:  # nohup: the user asked for that
                    self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.requested and self._holding:
            self._waiting = number
            return
        if self.requested:
            if number == signal.SIGINT:
                raise KeyboardInterrupt
            raise SystemExit(128 + number)
        self.number = number
        # Straight to the screen: a progress bar may be in the middle of a line.
        with contextlib.suppress(OSError):  # or the terminal is closed
            os.write(2, f"\nstopping after this step; Ctrl-C again to {self.again}\n".encode())


class Stoppable:
    """A `Progress` that ends the work at its next report once a stop was asked for.

    For work before training, of which nothing could be kept.
    """

    def __init__(self, progress: Progress, stop: StopRequest):
        self.progress, self.stop = progress, stop

    def bar(self, title: str, total: float | None = None, unit: str = "") -> Bar:
        """Return a bar whose updates may raise `Stopped`."""
        self.stop.check()
        return _StoppableBar(self.progress.bar(title, total, unit), self.stop)

    def say(self, text: str) -> None:
        """Say a line as the other progress says it."""
        self.progress.say(text)


class _StoppableBar:
    def __init__(self, bar: Bar, stop: StopRequest):
        self.bar, self.stop = bar, stop

    def update(self, done: float, total: float | None = None, note: str = "") -> None:
        self.stop.check()
        self.bar.update(done, total, note)

    def close(self) -> None:
        self.bar.close()


class StoppedHere(Exception):
    """A stop was asked for within a pass over batches."""


class UntilStopped:
    """Batches that end with `StoppedHere` once a stop was asked for."""

    def __init__(self, batches: Any, stop: StopRequest):
        self._batches, self._stop = batches, stop

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[Any]:
        for batch in self._batches:
            if self._stop.requested:
                raise StoppedHere
            yield batch

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batches, name)
