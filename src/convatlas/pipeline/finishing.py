"""From trained weights to a finished run: test, export with its proof, report."""

import time
from contextlib import suppress
from pathlib import Path

from convatlas.cost import Cost
from convatlas.cost.latency import limited_threads
from convatlas.data.dataset import Dataset
from convatlas.deadline import Deadline
from convatlas.deploy.predictor import Predictor
from convatlas.errors import UsageError, WriteError
from convatlas.pipeline.config import DONE, FILE_NAMES, STEPS, ResultNotes
from convatlas.pipeline.exporting import export_proved
from convatlas.pipeline.report.gather import report_run
from convatlas.pipeline.run import SAMPLE, Run
from convatlas.pipeline.steps import Steps
from convatlas.progress import Progress, Silent
from convatlas.tasks.answers import Evaluation
from convatlas.text import printable
from convatlas.train.stop import StopRequest

MIN_PROOF = 32  # inputs, however slow the network


def finish(
    run: Run,
    data: Dataset,
    predictor: Predictor,
    cost: Cost,
    progress: Progress,
    stop: StopRequest | None = None,
    deadline: Deadline | None = None,
) -> None:
    """Test, export and report; each step that fails is said, noted and can be taken again.

    Args:
        deadline: of the job, which decides how many inputs the export is compared on.
    """
    steps = Steps(run, progress, stop)
    start = time.perf_counter()
    test = steps.take("test", lambda: _test(run, data, predictor, progress))
    pace = (time.perf_counter() - start) / max(1, len(data.splits["test"]))
    count = SAMPLE
    if deadline is not None and test is not None:  # the proof asks network and file
        count = max(MIN_PROOF, min(count, int(deadline.for_proof() / (2 * pace))))
    steps.take("export", lambda: _export(run, data, predictor, count, progress))
    _report(steps, data, test, cost)
    _close(run)


def rebuild(
    run: Run, *, source: str | Path | None = None, progress: Progress | None = None
) -> Evaluation | None:
    """Take the steps of a run again from what it kept: test, export if that is missing, report.

    Args:
        source: where the data of the run lies now, if it moved.

    Raises:
        DataError: the run cannot be used, or its data are gone.
    """
    progress = progress or Silent()
    steps, predictor = Steps(run, progress), run.predictor()
    if run.config.steps.get("export", DONE) != DONE or "onnx" not in run.files:
        steps.take("export", lambda: run.export(source=source))
    data = run.data(source)
    cost = run.cost()
    test = steps.take("test", lambda: _test(run, data, predictor, progress))
    _report(steps, data, test, cost)
    _close(run)
    return test


def _test(run: Run, data: Dataset, predictor: Predictor, progress: Progress) -> Evaluation:
    with limited_threads(run.config.threads):
        test = run.task.evaluate(predictor, data.splits["test"], run.facts, progress)
    test = run.task.judged_by(test, run.config.metric)
    run.config.figures = dict(test.figures)
    run.config.test = ResultNotes.model_validate(test.record())
    for doubt in run.doubts:
        progress.say(f"warning: {doubt}")
    return test


def _export(run: Run, data: Dataset, predictor: Predictor, count: int, progress: Progress) -> None:
    bar = progress.bar("exporting to ONNX")
    try:
        sample = run.task.sample(data.splits["test"], count)
        path = run.path / FILE_NAMES["onnx"]
        run.note_export(path, export_proved(predictor, run.config, path, sample))
    finally:
        bar.close()
    if run.config.proof is not None:
        progress.say(f"export: {run.config.proof.figures()}")


def _report(steps: Steps, data: Dataset, test: Evaluation | None, cost: Cost) -> None:
    if test is None:
        if steps.stop is None or not steps.stop.requested:
            steps.miss("report", "it needs the test")
        return
    run = steps.run

    def write() -> None:
        place = run.path / FILE_NAMES["report"]
        written = run.config.written
        if place.exists() and written is not None and place.name not in written:
            raise UsageError(f"{printable(place)}: convatlas did not write this file; move it away")
        run.note_written("report")
        report_run(run.path, run.config, data, test, cost, steps.progress, run.doubts)

    steps.take("report", write)


def _close(run: Run) -> None:
    """`finished` says yes only when everything is there."""
    config = run.config
    whole = all(config.steps.get(name) == DONE for name in STEPS)
    if config.finished != "interrupted":
        config.finished = "yes" if whole else "no"
    with suppress(WriteError):  # said by the steps already
        config.save(run.path)
