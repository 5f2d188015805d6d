"""The verb `evaluate`: how right a trained network is on labelled images."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from convatlas.cli.output import print_json, say, table
from convatlas.cli.run_options import max_pixels_option, moved_data
from convatlas.text import printable

if TYPE_CHECKING:
    from convatlas.explain.evaluation import Evaluation
    from convatlas.pipeline.run import Run


def evaluate_command(
    run: Path = typer.Argument(help="A run folder.", metavar="RUN"),
    data: str | None = typer.Argument(
        None,
        help="Labelled images as for `fit`; the run's own test split if not given.",
        metavar="[DATA]",
    ),
    moved: Path | None = moved_data(),
    max_broken: float = typer.Option(0.05, help="Share of unreadable files that is skipped."),
    max_pixels: float | None = max_pixels_option(),
    with_seen: bool = typer.Option(
        False,
        "--with-seen",
        help="Also count images that the run was trained on; they are left out otherwise.",
    ),
    as_json: bool = typer.Option(False, "--json", help="One JSON object on standard output."),
) -> None:
    """Test a trained network on labelled data."""
    from convatlas.cli.progress import progress_on_stderr
    from convatlas.pipeline.run import open_run

    opened = open_run(run, max_pixels=max_pixels)
    evaluation = opened.evaluate(
        data,
        source=moved,
        with_seen=with_seen,
        max_broken=max_broken,
        progress=progress_on_stderr(),
    )
    answer = _answer(opened, data, evaluation)
    if as_json:
        print_json(answer)
    else:
        _print(answer)
        for doubt in answer["warnings"][len(evaluation.warnings) :]:
            say(f"warning: {doubt}")


def _answer(run: "Run", data: str | None, evaluation: "Evaluation") -> dict[str, Any]:
    from convatlas.explain.confusion import class_figures, confusion_matrix, most_confused
    from convatlas.explain.mistakes import worst_mistakes
    from convatlas.explain.score import score_of

    classes = run.config.classes
    labels, predicted = evaluation.labels, evaluation.predicted
    matrix = confusion_matrix(labels, predicted, len(classes))
    figures = class_figures(labels, predicted, len(classes))
    score = score_of(evaluation, classes)
    return {
        "run": str(run.path),
        "model": run.config.model,
        "data": data or "the run's test split",
        "images": len(labels),
        "warnings": [*evaluation.warnings, *score.doubts()],
        "seen": evaluation.seen,
        "accuracy": evaluation.accuracy,
        "interval": list(score.interval),
        "accuracy_interval": list(score.interval),
        "score": score.model_dump(),
        "classes": {name: figure for name, figure in zip(classes, figures, strict=True)},
        "confusion": matrix.tolist(),
        "confused": [
            {"true": classes[pair.true], "predicted": classes[pair.predicted], "count": pair.count}
            for pair in most_confused(matrix)
        ],
        "mistakes": [
            {
                "file": mistake.file,
                "true": classes[mistake.true],
                "predicted": classes[mistake.predicted],
                "probability": mistake.probability,
            }
            for mistake in worst_mistakes(evaluation)
        ],
    }


def _print(answer: dict[str, Any]) -> None:
    from convatlas.explain.score import Score

    numbers = ("precision", "recall", "F1", "images")
    rows = [
        (printable(name), _share(f.precision), _share(f.recall), _share(f.f1), f.images)
        for name, f in answer["classes"].items()
    ]
    table(rows, ("class", *numbers), right=numbers)
    say()
    say(f"accuracy {Score(**answer['score']).words()}")
    if answer["confused"]:
        pairs = (
            f"{printable(p['true'])} as {printable(p['predicted'])} {p['count']}x"
            for p in answer["confused"][:5]
        )
        say(f"most confused: {', '.join(pairs)}")


def _share(value: float | None) -> str | None:
    return None if value is None else f"{value:.1%}"
