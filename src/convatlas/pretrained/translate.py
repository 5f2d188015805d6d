"""From a publisher's tensors to those of our network: other names, classes and channels."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn

from convatlas.errors import WeightsError
from convatlas.models.on_shapes import on_shapes
from convatlas.models.registry import Entry
from convatlas.pretrained.checkpoint import Checkpoint
from convatlas.text import shape_text

COUNTER = "num_batches_tracked"  # of batch norm; older files lack it, and evaluation ignores it
SHOWN = 4  # names in a message


@dataclass(frozen=True)
class Fitted:
    """Tensors under our names; `fresh` are the names that keep what the network drew."""

    tensors: dict[str, Tensor]
    fresh: frozenset[str]


def fit_tensors(
    published: Mapping[str, Tensor], model: nn.Module, entry: Entry, checkpoint: Checkpoint
) -> Fitted:
    """Translate the names; leave out another classifier; adapt the first layer to the channels.

    Args:
        model: built with the checkpoint's options, perhaps with other classes and channels.
        entry: that the model was built from.

    Raises:
        WeightsError: the tensors do not fit; the message names them.
    """
    wanted = model.state_dict()
    named = _rename(published, key_paths(model, checkpoint), checkpoint)
    options = {**entry.options, **checkpoint.options}
    absent = {name for name in wanted if _within(name, checkpoint.absent)}
    fresh = absent - named.keys()
    adapted = dict(named)
    built = _shapes(entry, options)
    for name in shaped_by(entry, options, "num_classes", built):
        if name in wanted and name in named and named[name].shape[0] != wanted[name].shape[0]:
            fresh.add(name)
            del adapted[name]
    for name in shaped_by(entry, options, "in_channels", built):
        if name in wanted and name in adapted:
            adapted[name] = adapt_channels(adapted[name], wanted[name].shape)
    _check(adapted, wanted, fresh, checkpoint)
    tensors = {name: value.reshape(wanted[name].shape) for name, value in adapted.items()}
    return Fitted(tensors, frozenset(fresh))


def key_paths(model: nn.Module, checkpoint: Checkpoint) -> list[tuple[str, str]]:
    """List (path in the file, path in ours) of each layer with weights, or of single tensors."""
    paper, _, peer = checkpoint.keys.partition(":")
    translation = import_module(f"convatlas.pretrained.keys.{paper}")
    return getattr(translation, f"{peer}_paths")(model)


def shaped_by(
    entry: Entry, options: Mapping[str, Any], option: str, built: Mapping[str, torch.Size]
) -> list[str]:
    """List the tensors whose shape an option decides, found by building with one more.

    So the classifier is what depends on `num_classes`, auxiliary ones included, and the first
    layer what depends on `in_channels`; nothing is guessed from names.

    Args:
        built: the shapes that the options give.
    """
    if option not in entry.defaults:
        return []
    second = _shapes(entry, {**options, option: entry.defaults[option] + 1})
    return [name for name, shape in built.items() if second.get(name) != shape]


def _shapes(entry: Entry, options: Mapping[str, Any]) -> dict[str, torch.Size]:
    with on_shapes():
        return {name: t.shape for name, t in entry.build(**options).state_dict().items()}


def adapt_channels(weight: Tensor, shape: torch.Size) -> Tensor:
    """Adapt a first convolution to another number of channels.

    One channel: the filters are summed over the colours, which for a grey image is what the
    colours would have given. Others: the colours' filters are repeated in turn and scaled by the
    share of channels, so that the sums keep their size.

    Shape: (d, c, k, k) -> shape, which differs in the second place at most
    """
    into, channels = weight.shape[1], shape[1]
    if into == channels:
        return weight
    if channels == 1:
        return weight.sum(1, keepdim=True)
    turns = -(-channels // into)
    return weight.repeat(1, turns, 1, 1)[:, :channels] * (into / channels)


def _rename(
    published: Mapping[str, Tensor], paths: Iterable[tuple[str, str]], checkpoint: Checkpoint
) -> dict[str, Tensor]:
    ours = dict(paths)
    named, unknown = {}, []
    for key, value in published.items():
        module, _, tensor = key.rpartition(".")
        if key in ours:
            named[ours[key]] = value
        elif module in ours:
            named[f"{ours[module]}.{tensor}"] = value
        elif not _within(key, checkpoint.unused):
            unknown.append(key)
    if unknown:
        raise WeightsError(f"{_head(checkpoint)} it also holds {_some(unknown)}")
    return named


def _check(
    tensors: Mapping[str, Tensor],
    wanted: Mapping[str, Tensor],
    fresh: set[str],
    checkpoint: Checkpoint,
) -> None:
    needed = (name for name in wanted if name not in fresh and not name.endswith(COUNTER))
    missing = [name for name in needed if name not in tensors]
    if missing:
        raise WeightsError(f"{_head(checkpoint)} it lacks {_some(missing)}")
    surplus = [name for name in tensors if name not in wanted]
    if surplus:
        raise WeightsError(f"{_head(checkpoint)} it also holds {_some(surplus)}")
    misfits = [
        f"{name} must be {_size(wanted[name])}, got {_size(value)}"
        for name, value in tensors.items()
        if not _same_layer(value.shape, wanted[name].shape)
    ]
    if misfits:
        raise WeightsError(f"{_head(checkpoint)} {_some(misfits)}")


def _same_layer(one: torch.Size, other: torch.Size) -> bool:
    """Say whether two shapes are of one layer: a linear one may be written as a convolution."""
    return one == other or (
        {len(one), len(other)} == {2, 4} and one[0] == other[0] and one.numel() == other.numel()
    )


def _within(name: str, parts: Iterable[str]) -> bool:
    return any(name == part or name.startswith(f"{part}.") for part in parts)


def _head(checkpoint: Checkpoint) -> str:
    return (
        f"{checkpoint.model}: the weights ({checkpoint.source}) do not fit the network as it is "
        "built here:"
    )


def _size(tensor: Tensor) -> str:
    return shape_text(tensor.shape) or "one number"


def _some(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
