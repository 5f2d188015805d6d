"""Which class each moment of a recording has: a classifier of clips slides over it.

Source: Hussain, Haque, "SwishNet", 2018, arXiv:1812.00149, section IV: a context of 0.5 to 2 s
    around each frame, then a median filter over 200 frames.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from convatlas.errors import UsageError

MEDIAN = 201  # frames; an even number has no middle
BATCH = 256  # windows that are classified at a time
BLOCK = 4096  # frames that are filtered at a time


@torch.no_grad()
def segment_frames(
    classify: Callable[[Tensor], Tensor],
    frames: Tensor,
    context: int,
    *,
    median: int = MEDIAN,
    batch: int = BATCH,
) -> Tensor:
    """Return the probabilities of each frame, classified with what is around it, then smoothed.

    At both ends the window is that of the first or last whole context: nothing is made up.

    Args:
        classify: (n, channels, context) -> (n, classes) logits, such as a network in evaluation
            mode.
        context: frames around each one, itself included.
        median: frames of the filter, an odd number; 1 leaves the probabilities as they are.
        batch: windows that are classified at a time.

    Shape: (channels, t) -> (classes, t)

    Raises:
        UsageError: an even median, or a recording shorter than the context.
    """
    if median < 1 or median % 2 == 0:
        raise UsageError(f"segment_frames: median must be an odd number, got {median}")
    if not 1 <= context <= frames.shape[1]:
        raise UsageError(
            f"segment_frames: a recording must have {context} frames or more, its context, got "
            f"{frames.shape[1]}"
        )
    windows = frames.unfold(1, context, 1).transpose(0, 1)  # one for each place of the context
    parts = [classify(part.contiguous()).softmax(1) for part in windows.split(batch)]
    before = context // 2
    behind = frames.shape[1] - len(windows) - before
    return median_filter(
        F.pad(torch.cat(parts).T[None], (before, behind), mode="replicate")[0], median
    )


def median_filter(x: Tensor, length: int) -> Tensor:
    """Return for each value the middle one of those around it, the ends repeated.

    Shape: (c, t) -> (c, t)
    """
    reach = length // 2
    padded = F.pad(x[None], (reach, reach), mode="replicate")[0]
    blocks = range(0, x.shape[1], BLOCK)  # unfolded, a frame takes `length` times the memory
    parts = [padded[:, at : at + BLOCK + 2 * reach].unfold(1, length, 1) for at in blocks]
    return torch.cat([part.median(dim=2).values for part in parts], dim=1)
