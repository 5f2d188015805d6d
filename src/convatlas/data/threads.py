"""Decoding in threads: Pillow releases the interpreter while it decodes."""

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TypeVar

from convatlas.data.reading_pool import ReadingPool
from convatlas.errors import DataError
from convatlas.text import printable_few

MAX_THREADS = 8
READ_LIMIT_S = 600.0  # without any file read: then the work ends with the names of those in hand
SAY_AFTER_S = 60.0  # of waiting
LOOK_EVERY_S = 1.0
AHEAD = 256  # items that wait to be done or taken: a million at once would fill the memory
PIXELS_AT_ONCE = 64_000_000  # that all threads together decode; about 20 bytes each

Given = TypeVar("Given")
Made = TypeVar("Made")


@dataclass(frozen=True)
class _Settings:
    """How files are read, as `reading_threads` takes it."""

    count: int | None = None
    say: Callable[[str], None] = lambda text: None
    limit_s: float = READ_LIMIT_S


_DEFAULT = _Settings()
_SETTINGS: ContextVar[_Settings] = ContextVar("reading", default=_DEFAULT)


@contextmanager
def reading_threads(
    count: int | None,
    say: Callable[[str], None] = lambda text: None,
    limit_s: float = READ_LIMIT_S,
) -> Iterator[None]:
    """Let files be read, decoded and resized by that many threads inside the block.

    Args:
        count: None takes one for each processor core, at most 8.
        say: takes a sentence where no file was read for a minute.
        limit_s: seconds without any file read, after which the work ends with an error.
    """
    token = _SETTINGS.set(_Settings(count, say, limit_s))
    try:
        yield
    finally:
        _SETTINGS.reset(token)


def thread_count() -> int:
    """Return by how many threads files are read now."""
    return _SETTINGS.get().count or min(MAX_THREADS, os.cpu_count() or 1)


class PixelGate:
    """Lets threads decode a limited number of pixels at once; an image above that goes alone.

    Args:
        limit: pixels that may be held at the same time.
    """

    def __init__(self, limit: int):
        self.limit, self.held = limit, 0
        self._changed = threading.Condition()

    def take(self, pixels: int) -> None:
        """Wait until the pixels are free, and hold them."""
        with self._changed:
            self._changed.wait_for(lambda: not self.held or self.held + pixels <= self.limit)
            self.held += pixels

    def give(self, pixels: int) -> None:
        """Let go of pixels, so that other threads go on."""
        with self._changed:
            self.held -= pixels
            self._changed.notify_all()


class _Worker(threading.local):
    """What the current thread holds of the gate it works behind."""

    gate: PixelGate | None = None
    pixels = 0


_WORKER = _Worker()


def wait_for_pixels(pixels: int) -> None:
    """Wait, before an image is decoded, while other threads hold too many pixels.

    They are held until the thread is done with its item. Outside `in_threads` nothing waits.
    """
    if _WORKER.gate is None or _WORKER.pixels:  # a second image of an item never waits
        return
    _WORKER.gate.take(pixels)
    _WORKER.pixels = pixels


def in_threads(
    work: Callable[[Given], Made],
    items: Iterable[Given],
    *,
    at_once: int = PIXELS_AT_ONCE,
    name: Callable[[Given], str] = str,
) -> Generator[Made, None, None]:
    """Yield what `work` makes of each item, in order; closing it drops what has not begun.

    Use inside `contextlib.closing`, so that Ctrl-C need not wait for the rest.

    Args:
        at_once: pixels that are decoded at the same time, which bounds the memory.
        name: of an item, as messages call it.

    Raises:
        DataError: no item was done for so long as `reading_threads` allows.
    """
    gate = PixelGate(at_once)
    finished = _Finished()

    def gated(item: Given) -> Made:
        _WORKER.gate = gate
        try:
            return work(item)
        finally:
            gate.give(_WORKER.pixels)
            _WORKER.gate, _WORKER.pixels = None, 0
            finished.at = time.monotonic()

    pool = ReadingPool(gated, thread_count())

    def result(future: Future[Made]) -> Made:
        _wait(future, finished, lambda: [name(item) for item in [*pool.running.values()]])
        return future.result()

    waiting: deque[Future[Made]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(item))
            if len(waiting) >= AHEAD:
                yield result(waiting.popleft())
        while waiting:
            yield result(waiting.popleft())
    finally:
        pool.close()


class _Finished:
    """When an item was done last; the beginning counts."""

    def __init__(self) -> None:
        self.at = time.monotonic()


def _wait(future: Future, finished: _Finished, in_hand: Callable[[], list[str]]) -> None:
    """Wait until an item is done, as long as any is done within the limit."""
    settings, told, begun = _SETTINGS.get(), False, time.monotonic()
    look_s = min(LOOK_EVERY_S, settings.limit_s)
    while True:
        try:
            future.exception(look_s)
        except NotYet:
            pass
        else:
            return
        passed = time.monotonic() - max(begun, finished.at)  # the taker may have been away
        names = printable_few(in_hand())
        if passed >= settings.limit_s:
            raise DataError(
                f"{names}: no file was read for {settings.limit_s:,.0f} s; these were in hand "
                "(a share that no longer answers, a broken disk?)"
            )
        if passed >= SAY_AFTER_S and not told:
            told = True
            settings.say(
                f"no file was read for {passed:.0f} s, waiting for {names}; "
                f"given up after {settings.limit_s:,.0f} s"
            )
