"""How rows of channels lie in memory: in tensors, and in scratch memory."""

from collections.abc import Sequence

import torch
from torch import Tensor

LANES = 16


def empty_rows(shape: Sequence[int], dtype: torch.dtype = torch.float32) -> Tensor:
    """A channels_last map without values.

    With cold caches `torch.empty` takes twice as long, for it finds a format's steps itself.
    """
    _, channels, height, width = shape
    steps = (height * width * channels, 1, width * channels, channels)
    return torch.empty_strided(shape, steps, dtype=dtype)


def padded(channels: int) -> int:
    """Channels filled up to whole vectors."""
    return (channels + LANES - 1) // LANES * LANES


def pitch(channels: int) -> int:
    """Bytes from row to row: a line more than the row, so that no rows share a place in a cache."""
    return (padded(channels) + LANES) * 4
