"""A signal as a request: the step in hand is finished, and what was reached is kept."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType, TracebackType
from typing import Any

from convatlas.errors import Stopped
from convatlas.launched import process_number
from convatlas.progress import Bar, Progress
from convatlas.train.signal_watch import SignalWatch

SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")  # Ctrl-C, a scheduler or container, a closed terminal
LEAVE_S = 4.0  # after a signal a job that may end anywhere ends, however long its step takes
HELD_S = 2.0  # that files may take to change places, after that
SHOW_CURSOR = b"\x1b[?25h"  # which a bar has hidden


class StopRequest:
    """While open, the first signal sets `requested` and is acknowledged; a second interrupts.

    A thread does both where the main thread is in the midst of a long call.

    Attributes:
        limit_s: seconds after the first signal in which the process ends even in the midst of a
            step; None waits for the step.
        late: is called before that, from a thread; returns whether it has saved the last step.
        kept: what is there afterwards, as it is said to the user.
        number: of the signal that came; None before.
        again: what a second signal does, as it is said to the user.
    """

    def __init__(self) -> None:
        self.number: int | None = None
        self.again = "discard the run"
        self.limit_s: float | None = None
        self.late: Callable[[], bool] = lambda: False
        self.kept = "nothing was saved"
        self._taken, self._taken_by_watch = 0, 0
        self._lock = threading.RLock()
        self._watch: SignalWatch | None = None
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
            if self._before and os.name == "posix":
                self._watch = SignalWatch(self._before, self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._watch is not None:
            self._watch.close()
        for number, before in self._before.items():
            signal.signal(number, before)

    def missed(self, number: int, seen: int) -> None:
        """Take the signals that the main thread could not take yet; from the watching thread.

        Args:
            seen: signals that came so far.
        """
        with self._lock:
            while self._taken + self._taken_by_watch < seen:
                if self.requested:
                    self._exit()
                self._taken_by_watch += 1
                self._acknowledge(number)

    def leave(self) -> None:
        """End the process in the midst of a step; from the watching thread."""
        how = "the last step is saved" if self.late() else self.kept
        if not process_number():  # of several processes the main one saves and says so
            with contextlib.suppress(OSError):
                os.write(2, f"\nleft in the middle of the work; {how}\n".encode())
        self._exit()

    def _exit(self) -> None:
        assert self.number is not None
        end = time.monotonic() + HELD_S
        while self._holding and time.monotonic() < end:
            time.sleep(0.01)
        with contextlib.suppress(OSError):
            if os.isatty(2):
                os.write(2, SHOW_CURSOR)
        os._exit(128 + self.number)

    def _note(self, number: int, frame: FrameType | None) -> None:
        with self._lock:
            if self._taken_by_watch:
                self._taken_by_watch, self._taken = self._taken_by_watch - 1, self._taken + 1
                return
            self._taken += 1
        if self.requested and self._holding:
            self._waiting = number
            return
        if self.requested:
            if number == signal.SIGINT:
                raise KeyboardInterrupt
            raise SystemExit(128 + number)
        self._acknowledge(number)

    def _acknowledge(self, number: int) -> None:
        self.number = number
        if process_number():  # of several processes the main one says so
            return
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
