"""`convatlas show`: all that is known of one network."""

from typing import TYPE_CHECKING

import typer

from convatlas.atlas.claim_text import weights_line
from convatlas.cli.claim_rows import say_claims
from convatlas.cli.options import OPTIONS_HELP, parse_options
from convatlas.cli.output import print_json, say, table
from convatlas.text import format_number, shape_text

if TYPE_CHECKING:
    from convatlas.atlas.card import Card

LAYER_COLUMNS = ("layer", "kind", "output", "params", "macs", "activations")
OPTION_COLUMNS = ("option", "value", "about")


def show_command(
    name: str = typer.Argument(help="A network's name, as in `convatlas list`."),
    options: list[str] | None = typer.Argument(
        None, help=OPTIONS_HELP, metavar="[OPTION=VALUE]..."
    ),
    json: bool = typer.Option(False, "--json", help="Print one JSON object instead of text."),
) -> None:
    """Show one network: paper, options, cost of each layer, published and counted figures."""
    from convatlas.atlas.card import describe
    from convatlas.models import find_entry

    card = describe(name, **parse_options(find_entry(name), options or ()))
    if json:
        print_json(card.to_dict())
        return
    _say_head(card)
    _say_layers(card)
    _say_claims(card)


def _say_head(card: "Card") -> None:
    say(f"{card.name} ({card.task}): {card.summary}")
    say(f"paper: {card.paper or '-'}")
    if card.differs:
        say(f"differs from the paper: {card.differs}")
    size = shape_text(card.input)
    say(f"counted at {size}: {format_number(card.params)} params, {format_number(card.macs)} macs")
    say(
        f"memory: {format_number(card.cost.activation_bytes, 'bytes')} activations, "
        f"{format_number(card.cost.peak_bytes, 'bytes')} at the peak"
    )
    if card.cost.uncounted:
        say(f"not counted: {', '.join(card.cost.uncounted)}")
    known = [weights_line(checkpoint) for checkpoint in card.weights]
    say(f"public weights: {'; '.join(known) or 'none known'}")
    say()
    table([(o.name, o.default, o.about) for o in card.options], OPTION_COLUMNS)


def _say_layers(card: "Card") -> None:
    say()
    rows = [
        (
            layer.name,
            layer.kind,
            shape_text(layer.output[1:]) if layer.output else "-",
            format_number(layer.params),
            format_number(layer.macs),
            format_number(layer.activation_bytes, "bytes"),
        )
        for layer in card.cost.layers
    ]
    table(rows, LAYER_COLUMNS, right=("params", "macs", "activations"))


def _say_claims(card: "Card") -> None:
    say()
    if card.claims:
        say_claims(card.claims)
    else:
        say("no published figures are on record for this network")
