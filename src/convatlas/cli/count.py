"""The verb `count`: parameters, multiply-adds and bytes of one network, nothing computed."""

from typing import TYPE_CHECKING, Any

import typer

from convatlas.cli.network import Named, build_named, options_text
from convatlas.cli.options import OPTIONS_HELP, shape_option
from convatlas.cli.output import print_json, say, table
from convatlas.text import format_number, shape_text

if TYPE_CHECKING:
    from convatlas.cost import Cost


def count_command(
    name: str = typer.Argument(help="A network's name, as in `convatlas list`.", metavar="NAME"),
    options: list[str] | None = typer.Argument(
        None, help=OPTIONS_HELP, metavar="[option=value]..."
    ),
    input: Any = shape_option(),
    layers: bool = typer.Option(False, "--layers", help="Print one line for each layer."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object, layers included."),
) -> None:
    """Count a network's parameters, multiply-adds and memory from shapes alone."""
    from convatlas.cost import count

    named = build_named(name, options or (), input, shapes_only=True)
    cost = named.try_input(count)
    if as_json:
        print_json(_as_json(named, cost))
    else:
        _print(named, cost, layers)


def _as_json(named: Named, cost: "Cost") -> dict[str, Any]:
    from convatlas.cost.report import RULE

    head = {"model": named.name, "options": named.options, "input": named.input}
    return {**head, **cost.to_dict(), "input": named.input, "rule": RULE}


def _print(named: Named, cost: "Cost", layers: bool) -> None:
    from convatlas.cost.report import MEMORY_RULE, RULE

    chosen = f"  {options_text(named.options)}" if named.options else ""
    say(f"{named.name}  input {shape_text(named.input)}{chosen}")
    table(_summary(cost), ("cost", "counted", "exactly"), right=("counted", "exactly"))
    if layers:
        say()
        _print_layers(cost)
    say()
    if cost.uncounted:
        ran = ", ".join(f"{op} ({n}x)" for op, n in sorted(cost.uncounted.items()))
        say(f"Not counted, because the rule does not cover them: {ran}")
    for warning in cost.warnings:
        say(f"Note: {warning}.")
    say(f"Rule: {RULE}.")
    say(f"Memory: {MEMORY_RULE}.")


def _summary(cost: "Cost") -> list[tuple[str, str, str]]:
    return [
        ("params", format_number(cost.params), f"{cost.params:,}"),
        ("macs", format_number(cost.macs), f"{cost.macs:,}"),
        (
            "activations",
            format_number(cost.activation_bytes, "bytes"),
            f"{cost.activation_bytes:,}",
        ),
        ("peak memory", format_number(cost.peak_bytes, "bytes"), f"{cost.peak_bytes:,}"),
        ("with workspace", format_number(cost.memory_bytes, "bytes"), f"{cost.memory_bytes:,}"),
        ("weights", format_number(cost.weight_bytes, "bytes"), f"{cost.weight_bytes:,}"),
    ]


def _print_layers(cost: "Cost") -> None:
    rows = [
        (
            layer.name,
            layer.kind,
            None if layer.output is None else shape_text(layer.output[1:]),
            f"{layer.params:,}",
            f"{layer.macs:,}",
            f"{layer.activation_bytes:,}",
        )
        for layer in cost.layers
    ]
    numbers = ("output", "params", "macs", "activation bytes")
    table(rows, ("layer", "kind", *numbers), right=numbers)
