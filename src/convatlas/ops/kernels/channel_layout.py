"""How rows of channels lie in memory: in tensors, and in scratch memory."""

import torch
from torch import Tensor

LANES = 16


def empty_rows(
    images: int, channels: int, height: int, width: int, dtype: torch.dtype = torch.float32
) -> Tensor:
    """A channels_last map without values.

    With cold caches `torch.empty` takes twice as long, for it finds a format's steps itself.
    """
    steps = (height * width * channels, 1, width * channels, channels)
    return torch.empty_strided((images, channels, height, width), steps, dtype=dtype)


def padded(channels: int) -> int:
    """Channels filled up to whole vectors."""
    return (channels + LANES - 1) // LANES * LANES


def pitch(channels: int) -> int:
    """Bytes from row to row: a line more than the row, so that no rows share a place in a cache."""
    return (padded(channels) + LANES) * 4
