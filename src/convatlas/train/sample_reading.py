"""Reading of samples, with names in errors: of one that raises, or whose worker died or hangs.

Worker processes of a DataLoader note in shared memory what they read.
"""

import contextlib
import multiprocessing
import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset, get_worker_info

from convatlas.data.threads import READ_LIMIT_S, SAY_AFTER_S
from convatlas.errors import ConvatlasError, DataError
from convatlas.progress import Progress
from convatlas.train.batch_names import MAX_NAMED, names_of

LOOK_EVERY_S = 5.0
CLOSE_S = 2.0  # that a worker may take to end
DEAD = re.compile(r"DataLoader worker \(pid(?:\(s\))? ([\d, ]+)\)")
LATE = "DataLoader timed out"
FROM_WORKER = "in DataLoader worker process"


class ReadingTable:
    """What each worker process reads now: its id, since when, and the rows of its batch.

    Args:
        data: names the rows.
        workers: of the DataLoader; without any nothing is noted.
    """

    def __init__(self, data: Any, workers: int):
        self.data, self.workers = data, workers
        # Process, monotonic seconds, number of rows, rows. Shape: (workers, 3 + MAX_NAMED)
        self._table = torch.zeros(workers, 3 + MAX_NAMED, dtype=torch.float64).share_memory_()
        self._known = 0

    @contextlib.contextmanager
    def noted(self, rows: Sequence[int]) -> Iterator[None]:
        """Hold the rows in the table while the block reads them, if this is a worker process."""
        worker = get_worker_info()
        if worker is None:
            yield
            return
        if self._known != os.getpid():
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that trains
            self._known = os.getpid()
        own = self._table[worker.id]
        named = rows[:MAX_NAMED]
        own[3 : 3 + len(named)] = torch.tensor(named, dtype=own.dtype)
        own[:3] = torch.tensor([os.getpid(), time.monotonic(), len(rows)], dtype=own.dtype)
        yield
        own[2] = 0  # after an error as well the row is asked for no more, but it stays named

    def processes(self) -> set[int]:
        """Return the ids of the workers that have read anything."""
        return {int(row[0]) for row in self._table.tolist() if row[0]}

    def reading(self) -> set[int]:
        """Return the ids of the workers that are in the middle of a batch."""
        return {int(row[0]) for row in self._table.tolist() if row[2]}

    def names(self, processes: set[int] | None = None, longer_than_s: float = 0.0) -> str:
        """Return what workers read now; empty where they read nothing.

        Args:
            processes: only these.
            longer_than_s: only what was begun so long ago.
        """
        now, words = time.monotonic(), []
        for process, since, count, *rows in self._table.tolist():
            chosen = processes is None or int(process) in processes
            if count and chosen and now - since >= longer_than_s:
                words.append(names_of(self.data, [int(row) for row in rows[: int(count)]]))
                if count > MAX_NAMED:
                    words[-1] += f" and {int(count) - MAX_NAMED} more"
        return "; ".join(words)


class NamedSamples(Dataset[Any]):
    """A data set whose errors name the sample."""

    def __init__(self, data: Any, workers: int):
        self.data, self.table = data, ReadingTable(data, workers)

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, row: int) -> Any:
        return self.__getitems__([row])[0]

    def __getitems__(self, rows: Sequence[int]) -> list[Any]:
        """Return the examples of a batch, as a DataLoader asks for them.

        Raises:
            DataError: one cannot be read.
        """
        together: Callable[[list[int]], list[Any]] | None
        together = getattr(self.data, "__getitems__", None)
        if together is None:
            return [self._read(row) for row in rows]
        with self.table.noted(rows):
            try:
                return together(list(rows))
            except ConvatlasError:
                raise
            except Exception as error:
                raise DataError(f"{self._culprits(rows)}: {_reason(error)}") from error

    def _read(self, row: int) -> Any:
        with self.table.noted([row]):
            try:
                return self.data[row]
            except ConvatlasError:
                raise
            except Exception as error:
                raise DataError(f"{names_of(self.data, [row])}: {_reason(error)}") from error

    def _culprits(self, rows: Sequence[int]) -> str:
        """Return the names of the rows of a batch that fail alone too, or of all."""
        failing = []
        for row in rows:
            try:
                self.data[row]
            except Exception:
                failing.append(row)
        return names_of(self.data, failing or rows)


def named_samples(loader: DataLoader) -> DataLoader:
    """Return a loader of the same batches whose errors name the sample.

    A loader of a stream, or one that does not form batches itself, stays as it is.
    """
    if loader.batch_sampler is None or isinstance(loader.dataset, IterableDataset):
        return loader
    return like(loader, NamedSamples(loader.dataset, loader.num_workers), loader.batch_sampler)


def like(loader: DataLoader, data: Dataset, batches: Any) -> DataLoader:
    """Return a loader of other data with the settings of this one, and a limit to waiting."""
    return DataLoader(
        data,
        batch_sampler=batches,
        num_workers=loader.num_workers,
        collate_fn=loader.collate_fn,
        pin_memory=loader.pin_memory,
        timeout=loader.timeout or (READ_LIMIT_S if loader.num_workers else 0),
        worker_init_fn=loader.worker_init_fn,
        multiprocessing_context=loader.multiprocessing_context,
        prefetch_factor=loader.prefetch_factor,
        persistent_workers=loader.persistent_workers,
    )


def tables_of(*loaders: DataLoader) -> list[ReadingTable]:
    """Return what notes the reading of loaders; a stream has nothing."""
    tables = [getattr(loader.dataset, "table", None) for loader in loaders]
    return [table for table in tables if isinstance(table, ReadingTable)]


@contextlib.contextmanager
def reading_named(tables: Sequence[ReadingTable], progress: Progress) -> Iterator[None]:
    """Name the samples in the error of a dead or hanging worker; leave no worker after an error.

    Raises:
        ConvatlasError: a worker process was killed.
        DataError: no batch came within the limit, or a sample could not be read.
    """
    over = threading.Event()
    if any(table.workers for table in tables):
        threading.Thread(target=_say_what_hangs, args=(tables, progress, over), daemon=True).start()
    try:
        yield
    except BaseException as error:
        named = _named(error, tables)
        _end_workers({process for table in tables for process in table.processes()})
        if named is None:
            raise
        raise named from error
    finally:
        over.set()


def _named(error: BaseException, tables: Sequence[ReadingTable]) -> ConvatlasError | None:
    text = str(error)
    if isinstance(error, ConvatlasError) and FROM_WORKER in text:  # with its traceback, as text
        kind = type(error)
        return kind(text.rpartition(f"{kind.__module__}.{kind.__qualname__}: ")[2].strip())
    found = DEAD.search(text)
    dead = {int(word) for word in re.findall(r"\d+", found[1])} if found else set[int]()
    if isinstance(error, OSError | EOFError):  # what it had sent cannot be taken any more
        dead = _dead_workers(tables)
    if dead:
        read = "; ".join(filter(None, (table.names(dead) for table in tables)))
        while_reading = f" while it read {read}" if read else ""
        return ConvatlasError(
            f"a loader worker, process {', '.join(map(str, dead))}, was killed or crashed"
            f"{while_reading}; where memory ran out, fewer workers or smaller batches help"
        )
    if LATE in text and isinstance(error, RuntimeError):
        read = "; ".join(filter(None, (table.names() for table in tables)))
        seconds = re.findall(r"after (\d+)", text)
        waited = f"{int(seconds[0]):,} s" if seconds else "the time limit"
        return DataError(f"{read or 'the data'}: no batch came within {waited}; still being read")
    return None


def _dead_workers(tables: Sequence[ReadingTable]) -> set[int]:
    """Return the workers that ended while they read, one of which is about to if none has."""
    reading = {process for table in tables for process in table.reading()}
    end, dead = time.monotonic() + CLOSE_S, set[int]()
    while reading and not dead and time.monotonic() < end:
        with contextlib.suppress(RuntimeError):  # as torch's handler of SIGCHLD raises
            dead = reading - {child.pid for child in multiprocessing.active_children()}
            time.sleep(0.02)
    return dead


def _say_what_hangs(
    tables: Sequence[ReadingTable], progress: Progress, over: threading.Event
) -> None:
    told = ""
    while not over.wait(LOOK_EVERY_S):
        slow = "; ".join(filter(None, (table.names(None, SAY_AFTER_S) for table in tables)))
        if slow and slow != told:
            told = slow
            progress.say(f"workers have been reading {slow} for over {SAY_AFTER_S:.0f} s")


def _end_workers(processes: set[int]) -> None:
    """End those of the processes that are still children of this one."""
    left = [child for child in multiprocessing.active_children() if child.pid in processes]
    for end in ("terminate", "kill"):
        for child in left:
            # torch raises from its handler of SIGCHLD, wherever the program is.
            with contextlib.suppress(RuntimeError):
                getattr(child, end)()
            with contextlib.suppress(RuntimeError):
                child.join(CLOSE_S)
        left = [child for child in left if child.is_alive()]


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
