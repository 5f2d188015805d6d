"""Overlapping frames of a signal, and the windows that fade their ends."""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
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
    # ONNX has no such view.
    frames = 1 + (x.shape[-1] - length) // hop
    if isinstance(frames, int):
        return _joined_hops(x, length, hop, frames)
    starts = torch.arange(frames, device=x.device) * hop  # keeps the length of the signal free
    return x[:, starts[:, None] + torch.arange(length, device=x.device)]


def _joined_hops(x: Tensor, length: int, hop: int, frames: int) -> Tensor:
    """Cut frames with slices of whole hops, so that the program holds no table of places."""
    parts = -(-length // hop)  # hops that a frame touches
    whole = (frames + parts - 1) * hop
    padded = F.pad(x, (0, max(0, whole - x.shape[-1])))[:, :whole]
    rows = padded.unflatten(1, (frames + parts - 1, hop))
    pieces = [rows[:, start : start + frames] for start in range(parts)]
    return torch.cat(pieces, dim=-1)[..., :length]


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
