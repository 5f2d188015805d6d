"""Compile a kernel at its first call, keep the machine code on disk, run it on torch's threads."""

import hashlib
import importlib
import inspect
import logging
import os
import platform
import tempfile
import threading
import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from types import FunctionType
from typing import Any

from convatlas.kernels.runtime import threads as workers
from convatlas.kernels.runtime.arguments import PLACE, Kind, Layout, count_up, parts_of, reader
from convatlas.kernels.runtime.compile_limit import check_time, note_compiled

numba: Any = importlib.import_module("numba")  # it ships no types
log = logging.getLogger("convatlas")


def inner(function: FunctionType) -> Any:
    """Compile a function that kernels call, under a name that tells what it closes over.

    Machine code from disk brings its functions along by name. To the linker two of one name are
    one, so those that a function makes for different cases must not share theirs.
    """
    known = [cell.cell_contents for cell in function.__closure__ or ()]
    if known:
        names = repr([getattr(value, "__qualname__", value) for value in known])
        function.__qualname__ += "." + hashlib.sha256(names.encode()).hexdigest()[:16]
    # Only kernels call it: without a form that Python or C could call, it compiles sooner.
    bare = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
    return numba.njit(nogil=True, error_model="numpy", **bare)(function)


@lru_cache(maxsize=1)
def cache_folder() -> Path:
    """Return where machine code is kept: named after the kernels' sources, never stale."""
    digest = hashlib.sha256(numba.__version__.encode())
    room = Path(__file__).parents[1]
    for folder in ("compiled", "codegen", "layout", "runtime"):
        for source in sorted((room / folder).glob("*.py")):
            digest.update(source.read_bytes())
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


def _worker(call):
    """What every thread runs: parts of the work until none is left. `kernel` gives the names."""
    parts = parts_of(call)
    part = count_up(call)
    while part < parts:
        body(part, parts, *arguments(call), kind)  # type: ignore[name-defined]  # noqa: F821  # see Kernel
        count_up(call + PLACE)
        part = count_up(call)


class Kernel:
    """A function of part, parts, arguments, marker that is called without the first.

    It runs once for every part, on as many threads as torch has. It is compiled at the first call
    for each kind of element, which the type of the marker tells (`vector.py`).
    """

    def __init__(self, function: Callable[..., None], name: str, kinds: list[Kind]):
        self.body, self.name, self.layout = inner(function), name, Layout(kinds)
        self.compiled: dict[type, workers.Work] = {}

    def __call__(self, parts: int, *args: Any) -> None:
        work = self.work(args[-1])
        workers.run(work, self.layout.write(parts, args[:-1]), parts)

    def work(self, marker: Any) -> workers.Work:
        """Return its code for elements of the marker's kind."""
        return self.compiled.get(type(marker)) or self._compile(marker)

    def _compile(self, marker: Any) -> workers.Work:
        with _building:
            kind = type(marker)
            if kind not in self.compiled:
                # Numba finds machine code on disk by a function's name and its closure, and a
                # closure over other compiled functions is never the same again. So they are its
                # global names.
                known = {"body": self.body, "arguments": reader(self.layout.kinds)}
                known |= {"kind": marker, "count_up": count_up, "parts_of": parts_of}
                known |= {"PLACE": PLACE}
                worker = FunctionType(_worker.__code__, known, "_worker")
                worker.__module__ = __name__
                self.compiled[kind] = machine_code(worker, self.name, kind.__name__)
            return self.compiled[kind]


_building = threading.RLock()


# What a kind is called, and how long its kernels take: bfloat16 is widened and rounded in code.
_KINDS = {"uint16": ("bfloat16", "5 to 20 s, all kernels of a network a minute or more")}


def machine_code(function: FunctionType, name: str, kind: str) -> workers.Work:
    """Compile a function of the address of a call, or find on disk what was compiled before."""
    with _building:
        folder, before = cache_folder(), numba.config.CACHE_DIR
        mark = folder / f"{name}.{kind}.{platform.node()}"
        fresh = not mark.exists()
        if fresh:
            check_time(name)
            log.warning(
                "convatlas: compiling %s (%s) for this machine, once: %s; kept in %s",
                name,
                *_KINDS.get(kind, (kind, "1 to 10 s")),
                folder,
            )
        function.__qualname__ = f"{name}.{kind}"
        numba.config.CACHE_DIR = str(folder)
        start = time.perf_counter()
        try:
            build = numba.cfunc("void(intp)", cache=True, error_model="numpy")
            work = workers.Work(build(function))
        finally:
            numba.config.CACHE_DIR = before
        if fresh:
            note_compiled(time.perf_counter() - start)
        mark.touch()
        return work


def _annotated(annotation: Any) -> Kind:
    return annotation if hasattr(annotation, "_fields") else "intp"


def kernel(variant: str = "", /, **kinds: str) -> Callable[[Callable[..., None]], Kernel]:
    """Mark a function as a parallel kernel of worker, workers, arguments and dtype.

    An argument is a whole number, or a record where its annotation is one (`layout/records.py`).

    Args:
        variant: tells functions of the same name apart that were made for different cases.
        kinds: Numba names of arguments that are other numbers (`arguments.py`).
    """

    def mark(function: Callable[..., None]) -> Kernel:
        module = function.__module__.rpartition(".")[2]
        parameters = list(inspect.signature(function).parameters.values())[2:-1]
        found = [kinds.get(p.name) or _annotated(p.annotation) for p in parameters]
        full_name = ".".join(filter(None, (module, function.__name__, variant)))
        return Kernel(function, full_name, found)

    return mark
