"""Threads that read files, which a file that never answers cannot keep from ending.

Those of `concurrent.futures` are waited for when Python ends; these are left behind then.
"""

import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

CLOSE_S = 5.0  # that what has begun may take when the pool is closed


class ReadingPool:
    """Works on items in threads, in the order in which they are given.

    Args:
        work: is called with each item.
        count: threads.

    Attributes:
        running: the items that are worked on now, by thread.
    """

    def __init__(self, work: Callable[[Any], Any], count: int):
        self._work = work
        self._waiting: queue.SimpleQueue[tuple[Any, Future[Any]] | None] = queue.SimpleQueue()
        self._closed = False
        self.running: dict[int, Any] = {}
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(count)]
        for thread in self._threads:
            thread.start()

    def submit(self, item: Any) -> Future[Any]:
        """Return what will hold the result of an item."""
        future: Future[Any] = Future()
        self._waiting.put((item, future))
        return future

    def close(self, wait_s: float = CLOSE_S) -> None:
        """Give up what has not begun, and wait so long for what has."""
        self._closed = True
        for _ in self._threads:
            self._waiting.put(None)
        end = time.monotonic() + wait_s
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))

    def _run(self) -> None:
        own = threading.get_ident()
        while (given := self._waiting.get()) is not None:
            item, future = given
            if self._closed:
                continue
            self.running[own] = item
            try:
                future.set_result(self._work(item))
            except BaseException as error:
                future.set_exception(error)
            finally:
                del self.running[own]
