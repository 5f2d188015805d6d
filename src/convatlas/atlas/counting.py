"""Build a named network on shapes alone and count it."""

import sys
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from torch import Tensor, nn

from convatlas.atlas.docstring import source
from convatlas.atlas.index import Indexed
from convatlas.cost import Cost, count
from convatlas.models.on_shapes import on_shapes
from convatlas.models.registry import Entry, find_entry

_NO_OPTIONS: Mapping[str, Any] = MappingProxyType({})


def _separable(channels: int) -> nn.Module:
    depthwise = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
    return nn.Sequential(depthwise, nn.Conv2d(channels, channels, 1, bias=False))


# Single layers that papers give figures of, though they are no networks.
LAYERS: Mapping[str, Callable[[], nn.Module]] = {
    "conv_3x3_512": lambda: nn.Conv2d(512, 512, 3, padding=1, bias=False),
    "separable_3x3_512": lambda: _separable(512),
    "separable_3x3_384": lambda: _separable(384),
}


def build_on_shapes(name: str, options: Mapping[str, Any] = _NO_OPTIONS) -> nn.Module:
    """Build the network with weights that take no memory, or one of `LAYERS`.

    Raises:
        UnknownNameError: no such name.
        UsageError: no such option.
    """
    with on_shapes():
        return LAYERS[name]() if name in LAYERS else find_entry(name).build(**options)


def count_named(
    name: str,
    options: Mapping[str, Any] = _NO_OPTIONS,
    input: tuple[int, ...] | None = None,
) -> Cost:
    """Count a network at batch 1, by default at its published input.

    Args:
        input: shape of the first input, without the batch; if it is that of the network's own
            example, that is used, with all its inputs.

    Raises:
        UnknownNameError: no such name.
        UsageError: no such option.
    """
    model = build_on_shapes(name, options)
    if input is None:
        return count(model, _example(model))
    if name not in LAYERS:
        with on_shapes():
            example = _example(model)
        if tuple(example[0].shape[1:]) == input:  # symbols are no random numbers
            return count(model, example)
    return count(model, (1, *input))


def _example(model: nn.Module) -> tuple[Tensor, ...]:
    return model.example()  # pyright: ignore[reportCallIssue]  every network has it


def index_entry(entry: Entry) -> Indexed:
    """Count a registered network now, as the index holds it."""
    cost = count_named(entry.name)
    module = sys.modules.get(entry.module)  # none for what a notebook or exec registers
    return Indexed(
        name=entry.name,
        task=entry.task,
        paper=source(module.__doc__ if module else None, entry.name),
        options=dict(entry.options),
        input=cost.input[0][1:],
        params=cost.params,
        macs=cost.macs,
        activation_bytes=cost.activation_bytes,
        peak_bytes=cost.peak_bytes,
    )
