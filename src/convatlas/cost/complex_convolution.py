"""Complex convolutions, which torch makes of three real ones and a Python operator never sees."""

import math
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from convatlas.cost.watch import Watch

PLAIN = {torch.conv1d, torch.conv2d, torch.conv3d}
TRANSPOSED = {torch.conv_transpose1d, torch.conv_transpose2d, torch.conv_transpose3d}


class ComplexConvolutions(TorchFunctionMode):
    """Books a complex convolution as what it is, by the rule for every complex product."""

    def __init__(self, watch: Watch):
        super().__init__()
        self.watch = watch

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func not in PLAIN and func not in TRANSPOSED:
            return func(*args, **kwargs)
        x, weight = (*args, *(kwargs[k] for k in ("input", "weight") if k in kwargs))[:2]
        if not x.is_complex() or not self.watch.counting:
            return func(*args, **kwargs)
        with self.watch.not_counting():
            out = func(*args, **kwargs)
        places = x if func in TRANSPOSED else out
        self.watch.book(places.numel() * math.prod(weight.shape[1:]), out)
        return out
