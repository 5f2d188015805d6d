"""From trained weights to a finished run: test, export with its proof, report."""

import time
from contextlib import suppress
from pathlib import Path

from convatlas.cost import Cost, count
from convatlas.cost.latency import limited_threads
from convatlas.data import ImageData, load_split
from convatlas.deadline import Deadline
from convatlas.deploy.classifier import ImageClassifier
from convatlas.errors import UsageError, WriteError
from convatlas.explain.evaluation import Evaluation
from convatlas.explain.score import score_of
from convatlas.pipeline.config import DONE, FILE_NAMES, STEPS
from convatlas.pipeline.evaluate_split import PROOF_IMAGES, answer, sample_images
from convatlas.pipeline.exporting import export_proved
from convatlas.pipeline.report.gather import report_run
from convatlas.pipeline.run import Run
from convatlas.pipeline.steps import Steps
from convatlas.progress import Progress, Silent
from convatlas.text import printable
from convatlas.train.stop import StopRequest

LEAST_PROOF = 32  # images, however slow the network


def finish(
    run: Run,
    images: ImageData,
    classifier: ImageClassifier,
    cost: Cost,
    progress: Progress,
    stop: StopRequest | None = None,
    deadline: Deadline | None = None,
) -> None:
    """Test, export and report; each step that fails is said, noted and can be taken again.

    Args:
        deadline: of the job, which decides how many images the export is proved on.
    """
    steps = Steps(run, progress, stop)
    start = time.perf_counter()
    test = steps.take("test", lambda: _test(run, images, classifier, progress))
    pace = (time.perf_counter() - start) / max(1, len(images.splits["test"]))
    count = PROOF_IMAGES
    if deadline is not None and test is not None:  # the proof asks network and file
        count = max(LEAST_PROOF, min(count, int(deadline.for_proof() / (2 * pace))))
    steps.take("export", lambda: _export(run, images, classifier, count, progress))
    _report(steps, images, test, cost)
    _close(run)


def rebuild(
    run: Run, *, source: str | Path | None = None, progress: Progress | None = None
) -> Evaluation | None:
    """Take the steps of a run again from what it kept: test, export if that is missing, report.

    Args:
        source: where the data of the run lies now, if it moved.

    Raises:
        DataError: the run cannot be used, or its images are gone.
    """
    progress = progress or Silent()
    steps, classifier = Steps(run, progress), run.classifier()
    if run.config.steps.get("export", DONE) != DONE or "onnx" not in run.files:
        steps.take("export", lambda: run.export(source=source))
    images = load_split(run.path / FILE_NAMES["split"], source)
    cost = count(classifier.network, (1, *run.config.input))
    test = steps.take("test", lambda: _test(run, images, classifier, progress))
    _report(steps, images, test, cost)
    _close(run)
    return test


def _test(
    run: Run, images: ImageData, classifier: ImageClassifier, progress: Progress
) -> Evaluation:
    with limited_threads(run.config.threads):
        test = answer(classifier, images.splits["test"], progress=progress, title="testing")
    run.config.accuracy = test.accuracy
    run.config.test = score_of(test, run.config.classes)
    for doubt in run.doubts:
        progress.say(f"warning: {doubt}")
    return test


def _export(
    run: Run, images: ImageData, classifier: ImageClassifier, count: int, progress: Progress
) -> None:
    bar = progress.bar("exporting to ONNX")
    try:
        sample = sample_images(images.splits["test"], count)
        path = run.path / FILE_NAMES["onnx"]
        run.note_export(path, export_proved(classifier, run.config, path, sample))
    finally:
        bar.close()
    if run.config.proof is not None:
        progress.say(f"export: {run.config.proof.figures()}")


def _report(steps: Steps, images: ImageData, test: Evaluation | None, cost: Cost) -> None:
    if test is None:
        if steps.stop is None or not steps.stop.requested:
            steps.miss("report", "it needs the test")
        return
    run = steps.run

    def write() -> None:
        place = run.path / FILE_NAMES["report"]
        written = run.config.written
        if place.exists() and written is not None and place.name not in written:
            raise UsageError(f"{printable(place)}: no run wrote this file; move it away")
        run.note_written("report")
        report_run(run.path, run.config, images, test, cost, steps.progress, run.doubts)

    steps.take("report", write)


def _close(run: Run) -> None:
    """`finished` says yes only when everything is there."""
    config = run.config
    whole = all(config.steps.get(name) == DONE for name in STEPS)
    if config.finished != "interrupted":
        config.finished = "yes" if whole else "no"
    with suppress(WriteError):  # said by the steps already
        config.save(run.path)
