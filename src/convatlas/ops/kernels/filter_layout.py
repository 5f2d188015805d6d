"""What every depthwise kernel is handed: the sizes of its result, its plans and its weights."""

from functools import lru_cache

import numpy as np
import torch.nn.functional as F
from torch import Tensor

from convatlas.ops.kernels.channel_layout import padded
from convatlas.ops.kernels.plan import output_size, plan


def output_sides(x_shape, weight_shape, stride, padding, dilation) -> tuple[int, int]:
    """Height and width of the result."""
    sides = zip(x_shape[2:], weight_shape[2:], stride, padding, dilation, strict=True)
    height, width = (output_size(*side) for side in sides)
    return height, width


@lru_cache(maxsize=4096)
def plans_of(sizes, source, target, pitches, size, channels, stream, needed) -> np.ndarray:
    """The forward plan and, where the input gradient is needed, its plans below."""
    x_pitch, out_pitch, dx_pitch = ((size * p for p in pitch) for pitch in pitches)
    x_pitch, out_pitch, dx_pitch = tuple(x_pitch), tuple(out_pitch), tuple(dx_pitch)
    rows = plan(False, source, target, *sizes, channels, x_pitch, out_pitch, stream)
    if needed:
        rows += plan(True, source, target, *sizes, channels, out_pitch, dx_pitch, stream)
    return np.array(rows, dtype=np.int64)


def tap_major(weight: Tensor) -> tuple[Tensor, int]:
    """Float32 weights as (k * l, c), c filled up with zeros to whole vectors."""
    channels = weight.shape[0]
    whole = padded(channels)
    taps = weight.reshape(channels, -1).float()
    if whole == channels:
        return taps.t().contiguous(), whole
    return F.pad(taps, (0, 0, 0, whole - channels)).t().contiguous(), whole
