"""Random changes to the features of training sounds, all in the form that the network takes."""

import torch
from torch import Tensor

LEVELS = ("none", "masks", "mixup")
SHIFT = 0.25  # of the window, both ways, that a sound is moved in time
GAIN = 0.35  # of a standard deviation: about 6 dB, louder or quieter
MASK = 0.15  # of an axis, at the most, that is blotted out
MIXED = 0.4  # alpha of the beta distribution of mixing


def change(batch: Tensor, *, gain: bool) -> Tensor:
    """Move sounds in time, make them louder or quieter, blot out a band and a while of each.

    Args:
        batch: features with mean 0 and deviation 1.
        gain: whether adding a number to features means loudness.

    Shape: (n, c, h, w) or (n, c, t) -> the same

    Source: Park et al., "SpecAugment", Interspeech 2019, arXiv:1904.08779 (masks).
    """
    moved = shift(batch)
    if gain:
        sides = (len(batch), *[1] * (batch.ndim - 1))
        moved = moved + GAIN * (2 * torch.rand(sides, device=batch.device) - 1)
    for axis in range(2, batch.ndim):
        moved = moved * _mask(moved, axis)
    return moved


def shift(batch: Tensor) -> Tensor:
    """Move each sound in time by its own random step; what leaves at one end enters at the other.

    Shape: (n, c, ..., t) -> the same
    """
    steps = batch.shape[-1]
    most = int(SHIFT * steps)
    by = torch.randint(-most, most + 1, (len(batch), 1), device=batch.device)
    places = (torch.arange(steps, device=batch.device) + by) % steps
    places = places.view(len(batch), *[1] * (batch.ndim - 2), steps)
    return batch.gather(-1, places.expand_as(batch))


def mix(batch: Tensor) -> tuple[Tensor, Tensor, float]:
    """Mix each sound with another one of the batch.

    Returns the mixture, the places of the others, and the share of the first, at least a half.

    Source: Zhang et al., "mixup", ICLR 2018, arXiv:1710.09412.
    """
    share = float(torch.distributions.Beta(MIXED, MIXED).sample())
    share = max(share, 1 - share)
    others = torch.randperm(len(batch), device=batch.device)
    return share * batch + (1 - share) * batch[others], others, share


def _mask(batch: Tensor, axis: int) -> Tensor:
    """0 in a random part of an axis of each item, 1 elsewhere."""
    length, count = batch.shape[axis], len(batch)
    widths = torch.rand(count, 1, device=batch.device) * MASK * length
    starts = torch.rand(count, 1, device=batch.device) * (length - widths)
    places = torch.arange(length, device=batch.device)
    kept = (places < starts) | (places >= starts + widths)
    sides = [count if n == 0 else length if n == axis else 1 for n in range(batch.ndim)]
    return kept.to(batch.dtype).view(sides)
