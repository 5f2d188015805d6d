"""Reading a pickle of plain numbers and texts without executing anything that it asks for.

A pickle may name any function to be called. Here every name but the three that numpy's arrays
need is refused, and those three stand for classes of this file, which only keep what they get.
"""

import math
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from convatlas.data.names import printable
from convatlas.errors import DataError

NUMBERS = ("u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8", "b1")
ORDERS = ("<", ">", "|", "=")


class RefusedPickle(Exception):
    """The pickle asks for more than plain data; the message says for what."""


class _DType:
    """The kind of numbers of an array, as its pickle describes it."""

    def __init__(self, name: Any = "", *_: Any):
        self.name = name.decode("latin-1") if isinstance(name, bytes) else name
        self.order = "|"

    def __setstate__(self, state: Any) -> None:
        if not isinstance(state, tuple) or len(state) < 2:
            raise RefusedPickle("an odd kind of numbers")
        order = state[1]
        self.order = order.decode("latin-1") if isinstance(order, bytes) else order

    def real(self) -> np.dtype:
        if self.name not in NUMBERS or self.order not in ORDERS:
            raise RefusedPickle(f"an array of {self.name!r}")
        return np.dtype(self.order + self.name)


class _Array:
    """An array, as its pickle describes it."""

    value: np.ndarray | None = None

    def __setstate__(self, state: Any) -> None:
        if not isinstance(state, tuple) or len(state) != 5:
            raise RefusedPickle("an odd array")
        _, shape, kind, by_columns, content = state
        if isinstance(content, str):
            content = content.encode("latin-1")
        whole = isinstance(shape, tuple) and all(type(side) is int and side >= 0 for side in shape)
        if not (whole and isinstance(kind, _DType) and isinstance(content, bytes)):
            raise RefusedPickle("an array of objects")
        dtype = kind.real()
        if len(content) != math.prod(shape) * dtype.itemsize:
            raise RefusedPickle("an array whose length is not that of its shape")
        flat = np.frombuffer(content, dtype)
        self.value = flat.reshape(shape, order="F" if by_columns else "C")


def _new_array(*_: Any) -> _Array:
    return _Array()


def _encoded(text: Any, coding: Any = "latin1") -> bytes:
    """How pickles of Python 3 in an old protocol store bytes."""
    if not isinstance(text, str) or coding not in ("latin1", "latin-1"):
        raise RefusedPickle("an odd text")
    return text.encode("latin-1")


ALLOWED = {
    ("numpy.core.multiarray", "_reconstruct"): _new_array,
    ("numpy._core.multiarray", "_reconstruct"): _new_array,
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _DType,
    ("_codecs", "encode"): _encoded,
}


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ALLOWED:
            raise RefusedPickle(f"{module}.{name}")
        return ALLOWED[module, name]

    def persistent_load(self, pid: Any) -> Any:
        raise RefusedPickle("an object that lies elsewhere")


def read_plain_pickle(path: Path) -> Any:
    """Return numbers, texts, lists, dicts and arrays of numbers; texts of Python 2 are bytes.

    Raises:
        DataError: the file asks for anything else, is truncated, or is no pickle.
    """
    try:
        with path.open("rb") as file:
            return plain(_Reader(file, encoding="bytes").load())
    except RefusedPickle as error:
        raise DataError(
            f"{printable(path)}: not opened: it asks for {printable(error)}, and only numbers, "
            "texts and arrays are read from a pickle; it may have been made to run a program"
        ) from None
    except (EOFError, pickle.UnpicklingError) as error:
        cut = isinstance(error, EOFError) or "truncated" in str(error)
        raise DataError(
            f"{printable(path)}: {'truncated' if cut else 'damaged'} as a pickle ({error})"
        ) from None
    except OSError as error:
        raise DataError(f"{printable(path)}: cannot read: {error.strerror or error}") from None
    except Exception as error:  # damaged bytes make the reader raise almost anything
        raise DataError(
            f"{printable(path)}: damaged as a pickle ({printable(error) or type(error).__name__})"
        ) from None


def plain(value: Any) -> Any:
    """Return what was read with arrays in place of their descriptions.

    Raises:
        RefusedPickle: something in it is no plain data.
    """
    if isinstance(value, _Array):
        if value.value is None:
            raise RefusedPickle("an array without content")
        return value.value
    if isinstance(value, dict):
        return {plain(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if value is None or isinstance(value, bool | int | float | str | bytes):
        return value
    raise RefusedPickle(f"an object {type(value).__name__}")
