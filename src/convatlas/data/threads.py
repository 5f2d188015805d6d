"""Decoding in threads: Pillow releases the interpreter while it decodes."""

import os
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Given = TypeVar("Given")
Made = TypeVar("Made")


def in_threads(
    work: Callable[[Given], Made], items: Iterable[Given]
) -> Generator[Made, None, None]:
    """What `work` makes of each item, in order; closing it drops what has not begun.

    Use inside `contextlib.closing`, so that Ctrl-C need not wait for the rest.
    """
    pool = ThreadPoolExecutor(min(8, os.cpu_count() or 1))
    try:
        yield from pool.map(work, items)
    finally:
        pool.shutdown(cancel_futures=True)
