"""The run folder while it is being written: held by one process, and never half a run.

A run is built in a hidden folder inside its own and moved out when its network is trained. So a
run that comes to nothing changes nothing, an earlier run stays until the new one is there, and
what no run of ours wrote is never touched. What has a checkpoint can go on, and stays.
"""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from convatlas.errors import UsageError
from convatlas.pipeline.config import CHECKPOINTS, FILE_NAMES, FRONT, RunConfig
from convatlas.pipeline.fit_states import has_states
from convatlas.text import printable, printable_few, shell_word
from convatlas.train.checkpoints import complete_checkpoints

LOCK = ".convatlas.lock"
BUILDING = ".convatlas-building"
TENSORBOARD = "tensorboard"
NAMES = frozenset({*FILE_NAMES.values(), TENSORBOARD, FRONT, CHECKPOINTS})  # that a run may write
SMALL_PARTS = 30 << 20  # bytes of a run beside its weights: report, log, split


def free_folder(name: str) -> Path:
    """Return `runs/<name>`, or with the first number behind it that is free."""
    stem = "".join(c if c.isalnum() or c in "-_." else "-" for c in name).strip("-.") or "run"
    folder, number = Path("runs") / stem, 1
    while folder.exists():
        number += 1
        folder = Path("runs") / f"{stem}-{number}"
    return folder


def check_folder(folder: Path, *, force: bool, data: str | Path | None = None) -> None:
    """Refuse a place that a run cannot be written to, before any time is spent.

    Args:
        data: where the data lie; a run inside would be taken for data the next time.

    Raises:
        UsageError: it holds a run already, or files that no run of ours wrote, lies within the
            data, is no folder or cannot be written.
    """
    try:
        if folder.exists() and not folder.is_dir():
            raise UsageError(f"--out {printable(folder)}: is a file, not a folder")
        nearest = folder
        while not nearest.exists():
            nearest = nearest.parent
    except OSError as error:  # a name that is too long, say
        raise UsageError(f"--out {printable(folder)}: cannot be used: {error.strerror}") from error
    if data is not None and data != "digits" and os.path.exists(data):
        _refuse_data(folder, Path(data))
    ours = written_by_run(folder)
    if ours is not None and not force:
        raise UsageError(
            f"--out {printable(folder)}: already has a run; choose another folder, or replace it "
            "with --force"
        )
    if can_go_on(folder / BUILDING) and not force:
        raise UsageError(
            f"--out {printable(folder)}: has a run that was interrupted; `convatlas resume "
            f"{shell_word(folder)}` goes on with it, --force replaces it"
        )
    others = sorted(name for name in NAMES - (ours or set()) if os.path.lexists(folder / name))
    if others:
        raise UsageError(
            f"--out {printable(folder)}: contains {printable_few(others)}, which "
            "convatlas did not write; choose another folder"
        )
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise UsageError(
            f"--out {printable(folder)}: no permission to write to {printable(nearest)}"
        )


def written_by_run(folder: Path) -> set[str] | None:
    """Return the names that a run of ours wrote into a folder; None where there is none."""
    try:
        stored = json.loads((folder / FILE_NAMES["config"]).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(stored, dict) or not {"leaderboard", "recipe", "model"} <= stored.keys():
        return None
    names = stored.get("written")
    if not isinstance(names, list):  # written before runs noted it
        return set(NAMES - {FRONT, CHECKPOINTS})
    return {name for name in names if isinstance(name, str)} & NAMES | {FILE_NAMES["config"]}


def can_go_on(folder: Path) -> bool:
    """Return whether a folder that runs are built in, or a run, has what it can go on from."""
    return bool(complete_checkpoints(folder / CHECKPOINTS)) or has_states(folder)


class Claim:
    """A run folder that this process holds.

    Args:
        folder: where the run will be.
        building: where it is built.
    """

    def __init__(self, folder: Path):
        self.folder, self.building = folder, folder / BUILDING

    def check_space(self, weights_bytes: int) -> None:
        """Refuse to train what could not be stored.

        Args:
            weights_bytes: of the largest network that may win; it is written twice, as weights
                and as ONNX file, and once more while a file is replaced.

        Raises:
            UsageError: too little is free.
        """
        needed, free = 3 * weights_bytes + SMALL_PARTS, shutil.disk_usage(self.folder).free
        if free < needed:
            raise UsageError(
                f"--out {printable(self.folder)}: {free >> 20:,} MiB are free there, and the "
                f"run may need {needed >> 20:,} MiB"
            )

    @property
    def checkpoints(self) -> Path:
        """Where checkpoints of the run are written."""
        return self.building / CHECKPOINTS

    def has_space(self, weights_bytes: float) -> bool:
        """Return whether so much is free beside what the run itself may need."""
        return shutil.disk_usage(self.folder).free > weights_bytes + SMALL_PARTS

    def drop_checkpoints(self) -> None:
        """Let go of the checkpoints: the run is over."""
        shutil.rmtree(self.checkpoints, ignore_errors=True)

    def move_to(self, folder: Path) -> None:
        """Build and publish the run somewhere else: its own place cannot take it."""
        self.folder, self.building = folder, folder / BUILDING
        self.building.mkdir(parents=True)

    def publish(self, config: RunConfig) -> None:
        """Move what was built to its place, over an earlier run of ours; `run.json` goes last.

        Raises:
            WriteError: `run.json` cannot be written.
            OSError: a file cannot be moved.
        """
        names = sorted(path.name for path in self.building.iterdir())
        config.written = sorted({*names, FILE_NAMES["config"]})
        earlier = written_by_run(self.folder) or set()
        config.save(self.building)
        last = FILE_NAMES["config"]
        for name in [*names, last]:
            target = self.folder / name
            if target.is_dir():  # cannot be replaced in one step: `tensorboard/`, no part of a run
                shutil.rmtree(target)
            os.replace(self.building / name, target)
        for name in sorted(earlier - {*names, last}):
            _remove(self.folder / name)


@contextmanager
def claimed(
    folder: Path, *, force: bool, data: str | Path | None = None, go_on: bool = False
) -> Iterator[Claim]:
    """Hold the folder for this process; leave nothing behind if the run comes to nothing.

    Once the run is published, an error after that does not take it away. A run with a checkpoint
    stays as well, and can go on.

    Args:
        go_on: with the run that is there.

    Raises:
        UsageError: as `check_folder`, in use by another job, or the folder cannot be made.
    """
    if not go_on:
        check_folder(folder, force=force, data=data)
    made, lock_file = _nobodys(folder), folder / LOCK
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(lock_file)  # the system drops it with the process, however that ends
        lock.acquire(blocking=False)
    except Timeout:
        raise UsageError(
            f"--out {printable(folder)}: in use by another job, which holds "
            f"{printable(lock_file)}; choose another folder"
        ) from None
    except OSError as error:
        raise UsageError(
            f"--out {printable(folder)}: cannot be written: {error.strerror}"
        ) from error
    claim = Claim(folder)
    try:
        if go_on:
            _take_checkpoints(claim)
        else:
            check_folder(folder, force=force, data=data)  # another job may have ended in between
            shutil.rmtree(claim.building, ignore_errors=True)  # of a process that was killed
            claim.building.mkdir()
        yield claim
    finally:
        for built in {claim.building, folder / BUILDING}:
            if not can_go_on(built):
                shutil.rmtree(built, ignore_errors=True)
        lock_file.unlink(missing_ok=True)
        lock.release()
        if made:
            with suppress(OSError):
                folder.rmdir()  # if nothing else came into it


@contextmanager
def claimed_free(name: str) -> Iterator[Claim]:
    """Hold `runs/<name>`, or with the first number behind it that is not taken."""
    while True:
        folder = free_folder(name)
        try:
            folder.mkdir(parents=True)  # decides between two that start in one instant
            break
        except FileExistsError:
            continue
        except OSError as error:
            raise UsageError(f"{printable(folder)}: cannot be created: {error.strerror}") from error
    try:
        with claimed(folder, force=False) as claim:
            yield claim
    finally:
        with suppress(OSError):
            folder.rmdir()  # if nothing came into it


def _take_checkpoints(claim: Claim) -> None:
    """Move the checkpoints of a run that was interrupted to where it is built on."""
    claim.building.mkdir(exist_ok=True)
    published = claim.folder / CHECKPOINTS
    if published.is_dir() and not can_go_on(claim.building):
        claim.drop_checkpoints()
        os.replace(published, claim.checkpoints)


def _nobodys(folder: Path) -> bool:
    """Whether it is not there, or holds only what a process of ours that was killed left."""
    if not folder.exists():
        return True
    left = {path.name for path in folder.iterdir()}
    return bool(left) and left <= {LOCK, BUILDING}


def _refuse_data(folder: Path, data: Path) -> None:
    """A run among the data would be taken for data; data in a run would be in its way."""
    run, place = folder.resolve(), data.resolve()
    if place.is_dir() and run.is_relative_to(place):
        raise UsageError(
            f"--out {printable(folder)}: is inside the data folder {printable(data)}; choose a "
            "folder outside"
        )
    own = {run / name for name in NAMES}
    if place in own or own & set(place.parents):
        raise UsageError(
            f"--out {printable(folder)}: the data {printable(data)} is where a run would be written"
        )


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
