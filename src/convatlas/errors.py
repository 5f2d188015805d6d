"""The errors a user can cause, each with the exit code the command line gives it."""

import difflib
from collections.abc import Iterable

# As torch's allocators, oneDNN, CUDA and ONNX Runtime put it.
_SHORT_OF_MEMORY = (
    "not enough memory",
    "can't allocate memory",
    "failed to allocate memory",
    "could not create a primitive",
    "could not create a memory",
    "out of memory",
    "bad_alloc",
)


class ConvatlasError(Exception):
    """Something a user can mend; the message says what, where and what to do."""

    exit_code = 1


class UsageError(ConvatlasError, ValueError):
    """An option or name that cannot be used as given."""

    exit_code = 2


class DataError(ConvatlasError, ValueError):
    """Data that cannot be used as it is; the message names the file or folder."""

    exit_code = 3


class BudgetError(ConvatlasError):
    """No network meets the budget; the message names the nearest ones."""

    exit_code = 4


class WeightsError(ConvatlasError):
    """Public weights that cannot be had, are not what they should be, or do not fit."""


class CountError(ConvatlasError):
    """A model that cannot be counted as it is; the message says what to count instead."""


class WriteError(ConvatlasError):
    """A file that cannot be written; the message names it and the reason."""


class Stopped(ConvatlasError):
    """A signal ended the work before there was anything to keep."""

    def __init__(self, message: str, signal_number: int):
        super().__init__(message)
        self.exit_code = 128 + signal_number  # as shells report it


class EndedByMain(ConvatlasError):
    """The main one of several processes ended with an error, which it tells itself."""

    def __init__(self, message: str, exit_code: int):
        super().__init__(message)
        self.exit_code = exit_code


class UnknownNameError(ConvatlasError, KeyError):
    """A name that is not registered; the message offers the nearest ones."""

    exit_code = 2

    def __str__(self) -> str:
        # KeyError shows its argument in quotes, as if the whole message were the key.
        return str(self.args[0])


def nearest(name: str, known: Iterable[str], count: int = 3) -> str:
    """Write the end of an error message: `; nearest: a, b`, or nothing where nothing is near."""
    matches = difflib.get_close_matches(name, list(known), n=count, cutoff=0.5)
    return f"; nearest: {', '.join(matches)}" if matches else ""


def short_of_memory(error: BaseException) -> bool:
    """Return whether an error of Python, torch or another library tells of too little memory."""
    if isinstance(error, MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(each in str(error) for each in _SHORT_OF_MEMORY)


class ExportError(ConvatlasError):
    """A network that cannot be exported, or a file that does not answer as the network does."""
