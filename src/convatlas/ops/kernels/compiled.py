"""Compile a kernel at its first call, keep the machine code on disk, run it on torch's threads."""

import hashlib
import importlib
import logging
import os
import platform
import tempfile
import threading
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

numba: Any = importlib.import_module("numba")  # it ships no types
log = logging.getLogger("convatlas")
inner: Any = numba.njit(nogil=True, error_model="numpy")


@lru_cache(maxsize=1)
def cache_folder() -> Path:
    """Where machine code is kept: named after the kernels' sources, so that none is ever stale."""
    digest = hashlib.sha256(numba.__version__.encode())
    for source in sorted(Path(__file__).parent.glob("*.py")):
        text = source.read_bytes()
        if b"@inner" in text or b"@kernel" in text or b"llvmlite" in text or source.stem == "plan":
            digest.update(text)
    given = os.environ.get("NUMBA_CACHE_DIR")
    base = Path(given) if given else _user_cache()
    folder = base / "kernels" / digest.hexdigest()[:16]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError:
        return Path(tempfile.mkdtemp(prefix="convatlas-kernels-"))


def _user_cache() -> Path:
    if os.name == "nt":
        return Path(os.environ.get("LOCALAPPDATA", Path.home())) / "convatlas"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "convatlas"


class Kernel:
    """A parallel function compiled at its first call for each kind of element.

    The last argument is the marker of the kind (`vector.py`). Calls that may come from several
    Python threads at once take turns only where Numba's thread pool needs it ("workqueue").
    """

    def __init__(self, function: Callable[..., None], arguments: str):
        self.function, self.arguments = function, arguments
        self.compiled: dict[type, Any] = {}

    def __call__(self, *args: Any) -> None:
        kind = type(args[-1])
        if kind not in self.compiled:
            _compile(self, kind)
        numba.set_num_threads(min(torch.get_num_threads(), numba.config.NUMBA_NUM_THREADS))
        if _needs_turns():
            with _turn:
                self.compiled[kind](*args)
        else:
            self.compiled[kind](*args)


_turn, _building = threading.Lock(), threading.RLock()


@lru_cache(maxsize=1)
def _needs_turns() -> bool:
    return numba.threading_layer() == "workqueue"


def _compile(kernel: Kernel, kind: type) -> None:
    with _building:
        if kind in kernel.compiled:
            return
        signature = f"void({kernel.arguments},{kind.__name__})"
        folder, before = cache_folder(), numba.config.CACHE_DIR
        threads = torch.get_num_threads()
        numba.config.CACHE_DIR = str(folder)
        try:
            build = numba.njit(parallel=True, nogil=True, error_model="numpy", cache=True)
            compiled = build(kernel.function)
        finally:
            numba.config.CACHE_DIR = before
        name = f"{kernel.function.__module__.rpartition('.')[2]}.{kernel.function.__name__}"
        mark = folder / f"{name}.{kind.__name__}.{platform.node()}"
        if not mark.exists():
            log.warning(
                "convatlas: compiling %s (%s) for this machine, once: some 5 to 20 s; kept in %s",
                name,
                kind.__name__,
                folder,
            )
        compiled.compile(signature)
        compiled.disable_compile()
        mark.touch()
        # Numba starts its pool here and tells OpenMP its own count; torch asks OpenMP for it.
        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)
        kernel.compiled[kind] = compiled


def kernel(arguments: str) -> Callable[[Callable[..., None]], Kernel]:
    """Mark a function as a parallel kernel: the Numba types of all arguments but the last."""
    return lambda function: Kernel(function, arguments)
