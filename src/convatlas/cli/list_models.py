"""`convatlas list`: the atlas as a table."""

from typing import Any

import typer

from convatlas.atlas.listing import Accuracy, Listed, rows
from convatlas.cli.numbers import count_option
from convatlas.cli.output import print_json, say, table
from convatlas.text import format_number

COLUMNS = ("name", "task", "params", "macs", "published accuracy", "weights", "paper")
MARK = "*"


def list_models_command(
    task: str | None = typer.Option(None, help="Only networks for this task, e.g. classify."),
    max_params: Any = count_option("--max-params", help="Maximum number of parameters, e.g. 5M."),
    max_macs: Any = count_option("--max-macs", help="Maximum number of multiply-adds, e.g. 300M."),
    filter: str | None = typer.Option(
        None, help="Only names that match this pattern, e.g. 'mobile*'."
    ),
    pretrained: bool = typer.Option(
        False, "--pretrained", help="Only networks that have public weights."
    ),
    json: bool = typer.Option(False, "--json", help="Print one JSON object instead of a table."),
) -> None:
    """List the networks with task, counted cost, published accuracy and paper."""
    found = rows(
        task, max_params=max_params, max_macs=max_macs, filter=filter, pretrained=pretrained
    )
    if json:
        print_json({"models": [row.to_dict() for row in found]})
    elif found:
        table([_cells(row) for row in found], COLUMNS, right=("params", "macs"))
        if any(row.published and row.published.setting for row in found):
            say(f"{MARK} not measured with one plain pass; `convatlas claims NAME` says how")
    else:
        say("no network is within these limits")


def _cells(row: Listed) -> tuple[str, ...]:
    accuracy = _accuracy(row.published) if row.published else "-"
    weights = "public" if row.pretrained else "-"
    costs = (format_number(row.params), format_number(row.macs))
    return (row.name, row.task, *costs, accuracy, weights, row.paper or "-")


def _accuracy(published: Accuracy) -> str:
    percent = format_number(round(100 * published.value, 4), "%")
    return f"{percent} {published.dataset}{' ' + MARK if published.setting else ''}"
