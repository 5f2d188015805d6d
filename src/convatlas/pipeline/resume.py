"""`resume`: a run that was interrupted goes on, and ends as if it had not been."""

import json
import tempfile
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

from convatlas.data.dataset import Dataset
from convatlas.errors import DataError, UsageError
from convatlas.launched import alone_only
from convatlas.pipeline.config import DONE, FILE_NAMES, RunConfig
from convatlas.pipeline.finishing import rebuild
from convatlas.pipeline.fit_job import FIT, read_fit_job
from convatlas.pipeline.folder import BUILDING, Claim, can_go_on, claimed
from convatlas.pipeline.job_file import job_file, stored_job
from convatlas.pipeline.run import Run, open_run
from convatlas.pipeline.run_fit import run_fit
from convatlas.pipeline.train_job import TrainJob, read_job
from convatlas.pipeline.train_one import run_job
from convatlas.progress import Progress, Silent
from convatlas.text import printable
from convatlas.train.processes import processes

PLACE = ("source", "name", "scan")  # of stored data: where they lie, and what was said of them


def resume(
    run: str | Path,
    *,
    data: str | Path | None = None,
    device: str | None = None,
    progress: Progress | None = None,
    started: float | None = None,
) -> Run:
    """Go on with a run that was interrupted or killed, from its newest checkpoint.

    It ends with the weights and figures of a run that was never interrupted, bit for bit on the
    same machine with the same number of threads and processes. A `fit` with a time limit cannot:
    it has the rest of its time, and networks that were trained already are not trained anew. A run
    whose training is over gets the steps that are missing: test, export, report.

    Args:
        run: the folder.
        data: where the data lie now, if they moved; they must be the same.
        device: to train on now; None takes that of before.
        started: `time.perf_counter()` when the job began.

    Raises:
        DataError: the folder holds no run, its data changed, or its checkpoint is of another
            version.
        UsageError: there is nothing to go on with.
    """
    folder, progress = Path(run), progress or Silent()
    team = processes()
    found, of_train = team.from_main(team.main_does(lambda: _found(folder))) or (None, None)
    if of_train is None:
        alone_only("going on with anything but `train`")
    if found is None:
        return _finished(folder, data, progress)
    changed: dict[str, Any] = {}
    if data is not None:
        changed["data"] = str(data)
    if device is not None:
        changed["device"] = device

    def hold() -> AbstractContextManager[Claim]:
        return claimed(folder, force=True, go_on=True)

    if of_train is not None:
        return run_job(replace(of_train, **changed), hold, progress, started, _check_same)
    of_fit = replace(read_fit_job(found), **changed)
    if not can_go_on(found):
        progress.say("it was interrupted before any of its trials was noted, and begins anew")
    return run_fit(of_fit, hold, progress, started, _check_same)


def _found(folder: Path) -> tuple[Path, TrainJob | None] | None:
    """Return where a run says what was asked for, and that, if it was `train`; None if nowhere."""
    found = next((each for each in (folder / BUILDING, folder) if job_file(each).is_file()), None)
    if found is None:
        return None
    return found, None if stored_job(found)[0] == FIT else read_job(found)


def _finished(folder: Path, data: str | Path | None, progress: Progress) -> Run:
    """Take the steps that a trained run lacks."""
    if not (folder / FILE_NAMES["config"]).is_file():
        raise DataError(f"{printable(folder)}: no run here that could go on")
    config = RunConfig.load(folder)
    if config.finished == "interrupted":
        raise UsageError(
            f"{printable(folder)}: kept nothing that its training could go on from; start it again"
        )
    opened = open_run(folder)
    if all(how == DONE for how in config.steps.values()):
        raise UsageError(f"{printable(folder)}: is finished; there is nothing to go on with")
    rebuild(opened, source=data, progress=progress)
    return opened


def _check_same(opened: Dataset, claim: Claim) -> None:
    """Refuse data, or a split of them, that are not those that the run began with.

    Raises:
        DataError: says what differs.
    """
    name = FILE_NAMES["split"]
    stored = next(
        (each / name for each in (claim.building, claim.folder) if (each / name).is_file()), None
    )
    if stored is None:
        return
    with tempfile.TemporaryDirectory() as place:
        opened.save(Path(place) / name)
        now, before = _split(Path(place) / name), _split(stored)
    if now != before:
        keys = [key for key in before if before[key] != now.get(key)]
        raise DataError(
            f"{printable(opened.source)}: not what the run began with "
            f"({', '.join(keys) or 'more'} differ); put the data back as they were, or train anew"
        )


def _split(path: Path) -> dict[str, Any]:
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{printable(path)}: cannot be read ({error})") from None
    return {key: value for key, value in stored.items() if key not in PLACE}
