"""Draw images value by value: each from the probabilities that the values before it leave.

A value is the level at which the summed probabilities exceed a number drawn uniformly, so that the
same numbers give the same image, whichever way the probabilities are computed.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from convatlas.models.generate.pixel_network import PixelSteps, level_probabilities, scaled


@torch.no_grad()
def draw_values(
    steps: PixelSteps,
    values: Tensor,
    known: Tensor,
    levels: int,
    uniform: Tensor,
    *,
    dtype: torch.dtype = torch.float32,
    row_done: Callable[[int], None] = lambda row: None,
) -> Tensor:
    """Draw the values that are not known, in reading order.

    Args:
        steps: of a network in evaluation mode, for this batch.
        values: those that are known; the others are not looked at.
        known: places whose values are given; all colours of a place are, or none.
        uniform: a number from 0 to 1 for each value, known or not.
        dtype: of the network.
        row_done: told how many rows are drawn.

    Shape: values int64 and uniform float64 (n, colours, h, w), known bool (n, h, w) ->
        int64 (n, colours, h, w)
    """
    drawn = values.clone()
    _, colours, height, width = values.shape
    image = scaled(values * known[:, None], levels).to(dtype)
    given = known.all(0).tolist()
    for row in range(height):
        for column in range(width):
            if given[row][column]:
                steps.logits(image, row, column)  # so that later places may read of this one
                continue
            for colour in range(colours):
                logits = steps.logits(image, row, column)[:, :, colour].double()
                sums = level_probabilities(logits).cumsum(1)[:, :-1]
                level = (uniform[:, colour, row, column, None] >= sums).sum(1)
                level = level.where(~known[:, row, column], values[:, colour, row, column])
                drawn[:, colour, row, column] = level
                image[:, colour, row, column] = scaled(level, levels).to(dtype)
        row_done(row + 1)
    return drawn
