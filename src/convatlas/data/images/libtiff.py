"""Keeps libtiff from writing on the screen: what it finds in a damaged file is reported by us.

Pillow does not hand libtiff's remarks over, and libtiff writes them to standard error itself,
without the name of the file. Its handlers are switched off in the library that Pillow has loaded.
"""

import ctypes
from functools import lru_cache
from pathlib import Path

import PIL

LOADED = Path("/proc/self/maps")  # on Linux: the files that this process has loaded
SETTERS = ("TIFFSetErrorHandler", "TIFFSetWarningHandler")

Handlers = list[int | None]


@lru_cache(maxsize=1)
def library() -> ctypes.CDLL | None:
    """Return Pillow's libtiff; None where it is not found, and its remarks stay visible."""
    try:
        lines = LOADED.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
        found = [line.split(maxsplit=5)[5] for line in lines if "libtiff" in line]
    except (OSError, IndexError):  # not Linux
        found = [str(path) for path in Path(PIL.__path__[0], ".dylibs").glob("libtiff*")]
    try:
        return ctypes.CDLL(found[0]) if found else None
    except OSError:
        return None


def set_handlers(handlers: Handlers) -> Handlers:
    """Set what libtiff calls on an error and on a warning; returns what it called before."""
    tiff = library()
    before: Handlers = []
    for name, handler in zip(SETTERS, handlers, strict=False):
        setter = getattr(tiff, name, None)
        if setter is not None:
            setter.restype, setter.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
            before.append(setter(handler))
    return before


SILENT: Handlers = [None, None]
