"""The verb `data`: what data hold and what is wrong with them, without training anything."""

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from convatlas.cli.options import task_options
from convatlas.cli.output import print_json, say, table
from convatlas.text import printable

if TYPE_CHECKING:
    from convatlas.data.dataset import Dataset
    from convatlas.data.statistics import Statistics

MAX_LISTED_CLASSES = 40
SPLITS = ("train", "val", "test")


class Action(StrEnum):
    """What is done with the data."""

    CHECK = "check"
    STATS = "stats"
    PREVIEW = "preview"


def data_command(
    action: Action = typer.Argument(
        help="check: report what is in the data and what is wrong. stats: figures of the examples, "
        "such as sizes, values and the balance of classes. preview: draw samples.",
        metavar="check|stats|preview",
    ),
    source: str = typer.Argument(help="Data as for `fit`.", metavar="DATA"),
    out: Path = typer.Option(
        Path("preview.png"), help="The picture that `preview` writes.", metavar="FILE.png"
    ),
    count: int = typer.Option(16, help="Samples in the picture."),
    split: str = typer.Option("train", help="The split that `preview` and `stats` are of."),
    task: str | None = typer.Option(
        None, help="What the data are for; found from the data if not given.", metavar="TASK"
    ),
    augmented: int | None = typer.Option(
        None,
        help="`preview` draws images as a network of that input size gets them in training.",
        metavar="PIXELS",
    ),
    seed: int = typer.Option(0, help="Random seed for the split and the samples."),
    max_broken: float = typer.Option(0.05, help="Maximum fraction of unreadable files to skip."),
    settings: list[str] = typer.Option(
        [], "--set", help="An option of the task; may be repeated.", metavar="NAME=VALUE"
    ),
    force: bool = typer.Option(False, "--force", help="Replace the picture that is there."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object on standard output."),
) -> None:
    """Check data as `fit` does, measure them, or draw samples of them with their answers."""
    from convatlas.cli.progress import progress_on_stderr
    from convatlas.pipeline.data_preview import (
        check_picture_path,
        open_source,
        preview_samples,
        save_picture,
    )
    from convatlas.pipeline.data_statistics import data_statistics

    drawn = action == Action.PREVIEW
    if drawn:
        check_picture_path(out, force=force)
    found, data = open_source(
        source,
        task,
        seed=seed,
        max_broken=max_broken,
        options=task_options(settings),
        progress=progress_on_stderr(),
    )
    tables: Sequence[Statistics] | None = None
    if action == Action.STATS:
        tables = data_statistics(found, data, split, progress_on_stderr())
    if drawn:
        sheet = preview_samples(found, data, split, count, seed, augmented=augmented)
        save_picture(sheet, out, force=force)
    picture = out if drawn else None
    if as_json:
        print_json(_answer(found.name, data, picture, tables))
        return
    sizes = ", ".join(f"{len(part):,} {name}" for name, part in data.splits.items())
    say(f"{printable(data.name)} ({found.name}): {data.summary()}; {sizes}")
    if tables is None:
        _print_classes(data)
        _print_sizes(data)
    else:
        _print_statistics(tables)
    _print_findings(data)
    if picture is not None:
        say(f"picture: {printable(picture)}")


def _answer(
    task: str, data: "Dataset", picture: Path | None, tables: Sequence["Statistics"] | None
) -> dict[str, Any]:
    answer = {
        "data": data.source,
        "task": task,
        "facts": data.facts(),
        "splits": {name: len(part) for name, part in data.splits.items()},
        "scan": data.scan.to_dict(),
        "warnings": data.scan.warnings(),
        "files": {} if picture is None else {"preview": str(picture)},
    }
    if tables is not None:
        answer["statistics"] = [each.to_dict() for each in tables]
    return answer


def _print_statistics(tables: Sequence["Statistics"]) -> None:
    for each in tables:
        say("")
        say(f"{each.title}{f' ({each.note})' if each.note else ''}")
        shown = each.rows[:MAX_LISTED_CLASSES]
        table([tuple(map(_number, row)) for row in shown], each.heads, right=each.heads[1:])
        if len(each.rows) > len(shown):
            say(f"and {len(each.rows) - len(shown):,} more")


def _number(value: Any) -> str:
    if isinstance(value, str):
        return printable(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def _print_sizes(data: "Dataset") -> None:
    for side, (low, middle, high) in data.scan.sizes.items():
        say(f"{side}: {low:,} to {high:,}, median {middle:,}")


def _print_findings(data: "Dataset") -> None:
    for line in data.scan.notes:
        say(line)
    warnings = data.scan.warnings()
    for line in warnings:
        say(f"warning: {line}")
    if not warnings:
        say("nothing wrong was found")


def _print_classes(data: "Dataset") -> None:
    counts = data.scan.per_class
    splits = [name for name in SPLITS if name in counts]
    labels = list(dict.fromkeys(label for by_class in counts.values() for label in by_class))
    if not labels:
        return
    rows = [
        (label, *(f"{counts[name].get(label, 0):,}" for name in splits))
        for label in labels[:MAX_LISTED_CLASSES]
    ]
    table(rows, ("class", *splits), right=splits)
    if len(labels) > MAX_LISTED_CLASSES:
        say(f"and {len(labels) - MAX_LISTED_CLASSES:,} classes more")
