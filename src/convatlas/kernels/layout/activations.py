"""The activations that kernels know, by the names of their operators.

What clips to a range (nothing, ReLU, ReLU6) is one case with two bounds; the others have a code
each, which `compiled/activation.py` computes.
"""

import torch.nn.functional as F
from torch import nn

CLIP, SILU, HARD_SWISH = range(3)
_INF = float("inf")

# Name: code and bounds.
ACTIVATIONS: dict[str, tuple[int, float, float]] = {
    "identity": (CLIP, -_INF, _INF),
    "relu": (CLIP, 0.0, _INF),
    "relu6": (CLIP, 0.0, 6.0),
    "silu": (SILU, 0.0, 0.0),
    "hardswish": (HARD_SWISH, 0.0, 0.0),
}
# The same by torch: stands in for a kernel, and is differentiated where a gradient is.
TORCH_FORMS = {
    "identity": lambda x: x,
    "relu": F.relu,
    "relu6": F.relu6,
    "silu": F.silu,
    "hardswish": F.hardswish,
}
# The layers that a batch norm takes along.
LAYERS: dict[type[nn.Module], str] = {
    nn.Identity: "identity",
    nn.ReLU: "relu",
    nn.ReLU6: "relu6",
    nn.SiLU: "silu",
    nn.Hardswish: "hardswish",
}
