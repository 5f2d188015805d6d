"""What a model is called with: shapes or example tensors, by position or by name, nested."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain
from numbers import Integral
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence
from torch.utils._pytree import tree_map, tree_map_only

from convatlas.cost.memory import tensors_in
from convatlas.errors import UsageError

META = torch.device("meta")


@dataclass(frozen=True)
class Shape:
    """The sizes of an input, batch included, and the type of its numbers."""

    sizes: tuple[int, ...]
    dtype: torch.dtype


@dataclass(frozen=True)
class Inputs:
    """The arguments of one call; a `Shape` stands for a tensor that is made when needed."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]

    def on(self, device: torch.device) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Copy the arguments with every tensor on one device; on `meta` without numbers."""
        given = moved((self.args, self.kwargs), device)
        return given if device == META else tree_map_only(Tensor, Tensor.clone, given)


def read_inputs(inputs: Any, kwargs: Mapping[str, Any] | None, dtype: torch.dtype) -> Inputs:
    """Tell shapes from tensors and positions from names.

    A tensor is one input; a tuple of whole numbers is one shape; any other tuple or list holds the
    inputs by position, a mapping by name. Shapes may stand where tensors may, nested too, as long
    as there is no tensor: beside tensors a tuple of numbers is an argument like any other.

    Args:
        kwargs: inputs by name, beside those by position.
        dtype: of what is given as a shape.

    Raises:
        UsageError: a shape that is not made of positive whole numbers; nothing that can be input.
    """
    args, named = _by_place(inputs)
    named |= kwargs or {}
    if next(tensors_in((args, list(named.values()))), None) is None:
        args, named = _read_shapes((args, named), dtype)
    return Inputs(args, named)


def dtype_of(model: nn.Module) -> torch.dtype:
    """Return the type of the first weight that is no whole number, else torch's default."""
    for tensor in chain(model.parameters(), model.buffers()):
        if (tensor.is_floating_point() and tensor.itemsize > 1) or tensor.is_complex():
            return tensor.dtype
    return torch.get_default_dtype()


def moved(nested: Any, device: torch.device) -> Any:
    """Return the same structure with every tensor on a device; the originals stay untouched."""
    return tree_map(
        lambda leaf: _moved(leaf, device), nested, is_leaf=lambda x: isinstance(x, PackedSequence)
    )


def _by_place(inputs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    if isinstance(inputs, Mapping):
        return (), dict(inputs)
    if isinstance(inputs, list | tuple) and not isinstance(inputs, PackedSequence):
        if _is_shape(inputs) or not inputs:
            return (_checked(tuple(inputs)),), {}
        return tuple(inputs), {}
    if isinstance(inputs, str | bytes | Integral | float | None):
        raise UsageError(
            "count: inputs are a tensor, a shape as (1, 3, 224, 224), or a tuple or dict of them, "
            f"got {inputs!r}"
        )
    return (inputs,), {}


def _is_shape(value: Any) -> bool:
    return (
        isinstance(value, list | tuple)
        and len(value) > 0
        and all(isinstance(size, Integral) and not isinstance(size, bool) for size in value)
    )


def _checked(sizes: tuple[Any, ...]) -> tuple[int, ...]:
    if not sizes or min(sizes) < 1:
        raise UsageError(f"count: an input shape is positive whole numbers, got {sizes}")
    return tuple(map(int, sizes))


def _read_shapes(nested: Any, dtype: torch.dtype) -> Any:
    if _is_shape(nested):
        return Shape(_checked(tuple(nested)), dtype)
    if isinstance(nested, dict):
        return {key: _read_shapes(value, dtype) for key, value in nested.items()}
    if type(nested) in (list, tuple):
        return type(nested)(_read_shapes(value, dtype) for value in nested)
    return nested


def _moved(leaf: Any, device: torch.device) -> Any:
    if isinstance(leaf, PackedSequence):  # its batch sizes steer the loop and stay real
        parts = (leaf.data, leaf.sorted_indices, leaf.unsorted_indices)
        data, order, back = (_moved(each, device) for each in parts)
        return PackedSequence(data, leaf.batch_sizes, order, back)
    if isinstance(leaf, Shape):
        if device == META:
            return torch.empty(leaf.sizes, dtype=leaf.dtype, device=META)
        return _numbers(leaf.sizes, leaf.dtype)
    if not isinstance(leaf, Tensor) or leaf.device == device:
        return leaf
    return _numbers(tuple(leaf.shape), leaf.dtype) if leaf.is_meta else leaf.to(device)


def _numbers(sizes: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """Draw the same numbers at every count, without a draw from the global generator."""
    if dtype.is_floating_point or dtype.is_complex:
        return torch.rand(sizes, dtype=dtype, generator=torch.Generator().manual_seed(0))
    return torch.zeros(sizes, dtype=dtype)
