"""All that is known of one network: what it is, where it is from, its options, costs and claims."""

import sys
from dataclasses import asdict, dataclass
from typing import Any

from convatlas.atlas.claim_text import claim_line, weights_line
from convatlas.atlas.compare import Row, compare_all
from convatlas.atlas.counting import count_named
from convatlas.atlas.docstring import arguments, first_line, heading, source
from convatlas.claims.loader import find_claims
from convatlas.cost import Cost
from convatlas.models.registry import Entry, find_entry
from convatlas.pretrained.checkpoint import Checkpoint, backbones, checkpoints_of
from convatlas.tables import html_table
from convatlas.text import format_number, shape_text


@dataclass(frozen=True)
class Option:
    """One keyword of `create_model`, with the value that the name builds."""

    name: str
    default: Any
    about: str


@dataclass(frozen=True, repr=False)
class Card:
    """What `describe` answers; printing it gives the same as text."""

    name: str
    task: str
    summary: str
    paper: str
    differs: str
    options: tuple[Option, ...]
    cost: Cost
    claims: tuple[Row, ...]
    weights: tuple[Checkpoint, ...]

    @property
    def input(self) -> tuple[int, ...]:
        """The shape, without the batch, that the costs hold for."""
        return self.cost.input[0][1:]

    @property
    def params(self) -> int:
        """Counted."""
        return self.cost.params

    @property
    def macs(self) -> int:
        """Counted."""
        return self.cost.macs

    def to_dict(self) -> dict[str, Any]:
        """Return the keys of `show --json`."""
        return {
            "model": self.name,
            "task": self.task,
            "summary": self.summary,
            "paper": self.paper,
            "differs": self.differs,
            "options": [asdict(option) for option in self.options],
            **{**self.cost.to_dict(), "input": list(self.input)},
            "claims": [row.to_dict() for row in self.claims],
            "weights": [checkpoint.to_dict() for checkpoint in self.weights],
        }

    def __str__(self) -> str:
        return "\n".join(_lines(self))

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        first, *others = _lines(self)
        rows = [line.split(maxsplit=1) for line in others]
        return html_table([[*row, ""][:2] for row in rows], ("", ""), caption=first)


def describe(name: str, **options: Any) -> Card:
    """Gather task, paper, options, counted costs and published figures of a network.

    Args:
        name: as `list_models` gives it.
        options: over those of the name; costs are counted with them.

    Raises:
        UnknownNameError: no such name.
        UsageError: no such option.
    """
    entry = find_entry(name)
    module = sys.modules[entry.module].__doc__
    return Card(
        name=name,
        task=entry.task,
        summary=first_line(module) or first_line(entry.cls.__doc__),
        paper=source(module, name),
        differs=heading(module, "Differs"),
        options=_options(entry, options),
        cost=count_named(name, options),
        claims=compare_all(find_claims([name])),
        weights=tuple(checkpoints_of(backbones().get(name, name))),
    )


def _options(entry: Entry, given: dict[str, Any]) -> tuple[Option, ...]:
    about = arguments(entry.cls.__doc__)
    defaults = {**entry.defaults, **given}
    return tuple(Option(name, value, about.get(name, "")) for name, value in defaults.items())


def _lines(card: Card) -> list[str]:
    size = shape_text(card.input)
    lines = [
        f"{card.name} ({card.task}): {card.summary}",
        f"paper    {card.paper or '-'}",
        *([f"differs  {card.differs}"] if card.differs else []),
        f"counted  {format_number(card.params)} params, {format_number(card.macs)} macs at {size}, "
        f"{format_number(card.cost.activation_bytes, 'bytes')} activations, "
        f"{format_number(card.cost.peak_bytes, 'bytes')} peak",
        "options  " + ", ".join(f"{option.name}={option.default!r}" for option in card.options),
    ]
    lines += [f"weights  {weights_line(checkpoint)}" for checkpoint in card.weights]
    return lines + [f"claim    {claim_line(row)}" for row in card.claims]
