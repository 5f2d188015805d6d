"""Decoding in threads: Pillow releases the interpreter while it decodes."""

import os
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

MAX_THREADS = 8
AHEAD = 256  # items that wait to be done or taken: a million at once would fill the memory
PIXELS_AT_ONCE = 64_000_000  # that all threads together decode; about 20 bytes each
_THREADS: ContextVar[int | None] = ContextVar("threads", default=None)

Given = TypeVar("Given")
Made = TypeVar("Made")


@contextmanager
def reading_threads(count: int | None) -> Iterator[None]:
    """Let files be read, decoded and resized by that many threads inside the block.

    Args:
        count: None takes one for each processor core, at most 8.
    """
    token = _THREADS.set(count)
    try:
        yield
    finally:
        _THREADS.reset(token)


def thread_count() -> int:
    """Return by how many threads files are read now."""
    return _THREADS.get() or min(MAX_THREADS, os.cpu_count() or 1)


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
    work: Callable[[Given], Made], items: Iterable[Given], *, at_once: int = PIXELS_AT_ONCE
) -> Generator[Made, None, None]:
    """Yield what `work` makes of each item, in order; closing it drops what has not begun.

    Use inside `contextlib.closing`, so that Ctrl-C need not wait for the rest.

    Args:
        at_once: pixels that are decoded at the same time, which bounds the memory.
    """
    gate = PixelGate(at_once)

    def gated(item: Given) -> Made:
        _WORKER.gate = gate
        try:
            return work(item)
        finally:
            gate.give(_WORKER.pixels)
            _WORKER.gate, _WORKER.pixels = None, 0

    pool = ThreadPoolExecutor(thread_count())
    waiting: deque[Future[Made]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(gated, item))
            if len(waiting) >= AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
