"""Overlapping frames of a signal, and the windows that fade their ends."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from convatlas.errors import UsageError


def cut_frames(x: Tensor, length: int, hop: int) -> Tensor:
    """Cut frames of `length` samples, one every `hop`; what fills no frame at the end is left.

    Shape: (n, t) -> (n, 1 + (t - length) // hop, length)

    Raises:
        UsageError: a length or hop below 1.
    """
    if length < 1 or hop < 1:
        raise UsageError(f"cut_frames: length and hop must be above 0, got {length} and {hop}")
    if not torch.compiler.is_exporting():
        return x.unfold(-1, length, hop)
    # ONNX has no such view; places to take from keep the length of the signal free.
    starts = torch.arange(1 + (x.shape[-1] - length) // hop, device=x.device) * hop
    return x[:, starts[:, None] + torch.arange(length, device=x.device)]


def hann(length: int) -> Tensor:
    """Return the periodic Hann window. Shape: float32 (length,)"""
    return torch.hann_window(length)


def hamming(length: int) -> Tensor:
    """Return the periodic Hamming window. Shape: float32 (length,)"""
    return torch.hamming_window(length)


def blackman_harris(length: int) -> Tensor:
    """Return the periodic Blackman-Harris window of four terms. Shape: float32 (length,)

    Source: Harris, "On the Use of Windows for Harmonic Analysis with the Discrete Fourier
        Transform", Proceedings of the IEEE 66, 1978, table 1 (minimum, 4 terms).
    """
    turn = torch.arange(length, dtype=torch.float64) * (2 * math.pi / length)
    weights = (0.35875, -0.48829, 0.14128, -0.01168)
    parts = [weight * torch.cos(order * turn) for order, weight in enumerate(weights)]
    return torch.stack(parts).sum(0).float()


WINDOWS: dict[str, Callable[[int], Tensor]] = {
    "hann": hann,
    "hamming": hamming,
    "blackman_harris": blackman_harris,
}
