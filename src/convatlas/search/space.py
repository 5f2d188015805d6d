"""What may vary: registered networks x width x the form of the input.

Nothing is built here; a candidate is a name, options and the form of its input, and is counted
later.
"""

import inspect
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from convatlas.models.example import example_inputs
from convatlas.models.registry import Entry, find_entry, model_names
from convatlas.pretrained.checkpoint import Checkpoint

WIDTHS = (1.5, 1.0, 0.75, 0.5, 0.35, 0.25)
# Options that say how large a network is and not what it is.
SCALE_OPTIONS = ("width", "image_size", "size", "in_channels", "num_classes")


@dataclass(frozen=True)
class Candidate:
    """A network that could be trained: a registered name, options over it, the form of its input.

    `options` hold what the data decides too (channels, classes), so that
    `create_model(name, **options)` builds it. `example` holds the arguments of the network's
    `example(batch, ...)` that say how large its input is, such as `{"size": 32}` for square images
    of 32 pixels a side. `checkpoint` is the public weights that it starts from, if any. `prepare`
    is how the task brings inputs into that form, where it has a choice.
    """

    name: str
    options: Mapping[str, Any] = field(hash=False)
    example: Mapping[str, Any] = field(hash=False)
    checkpoint: Checkpoint | None = None
    prepare: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def build(self) -> nn.Module:
        """Build the network with fresh weights."""
        return find_entry(self.name).build(**self.options)

    def inputs(self, model: nn.Module, batch: int = 1) -> tuple[Tensor, ...]:
        """Return random inputs for the network that `build` gave, on torch's default device."""
        return example_inputs(model, batch, self.example, self.options.get("in_channels"))


def distinct_architectures(task: str = "classify") -> list[Entry]:
    """Return one entry for each network that differs in more than its scale."""
    chosen: dict[tuple, Entry] = {}
    for name in model_names():
        entry = find_entry(name)
        if entry.task == task:
            key = (entry.cls, *sorted(_shape_options(entry).items(), key=str))
            chosen.setdefault(tuple(map(str, key)), entry)
    return list(chosen.values())


def input_share(candidate: Candidate, known: Sequence[int]) -> float | None:
    """Return how large a candidate's input is as a fraction of a known one, by elements.

    Args:
        known: shape of the known input without the batch, such as (3, 224, 224).

    Returns None where the candidate's example does not say it by the side of an image or volume.
    """
    size, depth = candidate.example.get("size"), candidate.example.get("depth")
    if size is None or len(known) != (3 if depth is None else 4):
        return None
    return size**2 * (depth or 1) / math.prod(known[1:])


def width_sweeps(
    entry: Entry,
    *,
    options: Mapping[str, Any],
    forms: Iterable[tuple[Mapping[str, Any], Mapping[str, Any]]],
    fixed_width: bool = False,
) -> list[list[Candidate]]:
    """Return, for each form of input, one network's candidates from widest to narrowest.

    Args:
        options: that the data decide, such as `in_channels`; those that the network does not take
            are left out.
        forms: the example of each form, largest first, and the options that go with it.
        fixed_width: keep the width of the entry (the user asked for this very network).
    """
    takes = set(inspect.signature(entry.cls).parameters)
    widths = WIDTHS if "width" in takes and not fixed_width else (None,)
    rows = []
    for example, further in forms:
        taken = {key: value for key, value in {**options, **further}.items() if key in takes}
        rows.append(
            [
                Candidate(entry.name, taken | ({"width": width} if width else {}), example)
                for width in widths
            ]
        )
    return rows


def _shape_options(entry: Entry) -> dict[str, Any]:
    return {k: v for k, v in entry.defaults.items() if k not in SCALE_OPTIONS}
