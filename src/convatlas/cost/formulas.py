"""Multiply-adds of each operator that counts, from the shapes it is called with.

A formula gets the operator's arguments and its result. It is keyed by the operator's name, so
that an operator of our own in `kernels` is known here without importing it.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

Formula = Callable[[Sequence[Any], Any], int]


def _convolution(args: Sequence[Any], out: Tensor) -> int:
    """Count transposed convolutions by their input size: each value meets every weight once."""
    x, weight, transposed = args[0], args[1], args[6]
    places = (x if transposed else out).shape
    # The weight is (in, out / groups, k…) when transposed, else (out, in / groups, k…): either
    # way its size without the first channel axis is what one value meets.
    return places[0] * places[1] * math.prod(places[2:]) * math.prod(weight.shape[1:])


def _cudnn_convolution(args: Sequence[Any], out: Tensor) -> int:
    return out.numel() * math.prod(args[1].shape[1:])


def _product(first: int) -> Formula:
    """Count (…, l, m) @ (…, m, n): each result sums m products; operands start at `first`."""

    def formula(args: Sequence[Any], out: Tensor) -> int:
        return out.numel() * args[first].shape[-1]

    return formula


def _dot(args: Sequence[Any], out: Tensor) -> int:
    return args[0].numel()


def _bilinear(args: Sequence[Any], out: Tensor) -> int:
    """Count left times weight, (out, left, right), then times right."""
    left, weight = args[0], args[1]
    rows = left.numel() // left.shape[-1]
    return rows * weight.numel() + rows * weight.shape[0] * weight.shape[2]


def _attention(args: Sequence[Any], out: Any) -> int:
    """Count scores q k^T, then scores times v."""
    query, key, value = args[0], args[1], args[2]
    batch = math.prod(query.shape[:-2])
    length = key.shape[-2]
    return batch * query.shape[-2] * length * (query.shape[-1] + value.shape[-1])


def _recurrent(args: Sequence[Any], out: Any) -> int:
    """Count a layer and direction of an LSTM or GRU: input and hidden products at every step."""
    x, weight_in, weight_hidden = args[0], args[1], args[2]
    return x.numel() // x.shape[-1] * (weight_in.numel() + weight_hidden.numel())


def _depthwise(args: Sequence[Any], out: Tensor) -> int:
    return out.numel() * math.prod(args[1].shape[2:])


def _sparse_product(args: Sequence[Any], out: Tensor) -> int:
    """Count each entry once for each vector along the last axis of x."""
    return args[2].numel() * (out.numel() // out.shape[-1])


# Operators that hold more than their tensors while they run.
CONVOLUTIONS = frozenset({"aten::convolution", "aten::_convolution", "aten::mkldnn_convolution"})
FORMULAS: dict[str, Formula] = {
    "aten::convolution": _convolution,
    "aten::_convolution": _convolution,
    "aten::cudnn_convolution": _cudnn_convolution,
    "aten::mkldnn_convolution": _cudnn_convolution,
    "aten::mm": _product(0),
    "aten::bmm": _product(0),
    "aten::mv": _product(0),
    "aten::linear": _product(0),
    "aten::addmm": _product(1),
    "aten::baddbmm": _product(1),
    "aten::addmv": _product(1),
    "aten::addbmm": lambda args, out: args[1].numel() * args[2].shape[-1],
    "aten::_addmm_activation": _product(1),
    "aten::_sparse_mm": _product(0),
    "aten::dot": _dot,
    "aten::vdot": _dot,
    "aten::_trilinear": _bilinear,
    "aten::_scaled_dot_product_flash_attention": _attention,
    "aten::_scaled_dot_product_flash_attention_for_cpu": _attention,
    "aten::_scaled_dot_product_efficient_attention": _attention,
    "aten::_scaled_dot_product_cudnn_attention": _attention,
    "aten::_scaled_dot_product_fused_attention_overrideable": _attention,
    "aten::_scaled_dot_product_attention_math": _attention,
    "aten::mkldnn_rnn_layer": _recurrent,
    "torchvision::deform_conv2d": _cudnn_convolution,
    "convatlas::depthwise_conv2d": _depthwise,
    "convatlas::sparse_product": _sparse_product,
}

# A complex multiplication is four real ones.
COMPLEX_FACTOR = 4
