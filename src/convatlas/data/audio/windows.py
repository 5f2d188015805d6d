"""Windows of one length over a sound of any length: what a network hears at a time."""

import torch
from torch import Tensor


def cut_windows(x: Tensor, length: int) -> Tensor:
    """Cut a sound into windows, back to back; the last one ends where the sound does.

    A sound shorter than the window stands in its middle, between zeros. Written with places to
    take from, so that it exports with a free length.

    Shape: (n, t) -> (n, ceil(t / length), length)
    """
    samples = x.shape[1]
    total = torch.full((1,), samples, dtype=torch.int64, device=x.device)
    number = torch.arange((samples + length - 1) // length, device=x.device)
    last = (total - length).clamp(min=0)
    before = torch.div((length - total).clamp(min=0), 2, rounding_mode="floor")
    starts = torch.minimum(number * length, last) - before
    # Counted as far as the sound and cut, or the exported file would hold all the numbers.
    steps = torch.arange(samples + length, device=x.device)[:length]
    places = starts[:, None] + steps
    inside = (places >= 0) & (places < total)
    return x[:, torch.minimum(places.clamp(min=0), total - 1)] * inside


def count_windows(samples: int, length: int) -> int:
    """Return how many windows `cut_windows` gives."""
    return -(-samples // length)


def overlapping_windows(x: Tensor, length: int, most: int) -> Tensor:
    """Cut windows that overlap by half at least, evenly spaced over the sound, for training.

    Args:
        most: windows of one sound; a long one is not heard throughout.

    Shape: (t,) -> (w, length)
    """
    if len(x) <= length:
        return cut_windows(x[None], length)[0]
    count = min(most, 1 + -(-2 * (len(x) - length) // length))
    starts = torch.linspace(0, len(x) - length, count).long()
    return torch.stack([x[start : start + length] for start in starts.tolist()])
