"""Batch norm's running statistics, measured anew for the weights that are about to be used.

Running statistics trail the weights by some tens of steps. In a short run that is most of it: a
trained network can look like one that has not, because it is normalised by what its layers
gave long ago.

Source: Wu, Johnson, "Rethinking 'Batch' in BatchNorm", 2021, arXiv:2105.07576, section 3 ("precise
batch norm").
"""

import math
import time
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

BATCHES = 16
MIN_BATCHES = 2  # statistics come from at least this many batches


@torch.no_grad()
def update_bn(
    model: nn.Module,
    batches: Iterable[Any],
    forward: Callable[[Any], Any],
    *,
    most_s: float = math.inf,
) -> None:
    """Set running means and variances to their plain average over some batches.

    Everything but batch norm is in evaluation mode meanwhile, and stays so.

    Args:
        batches: the first 16 are used.
        forward: runs the model on one batch.
        most_s: seconds after which no further batch is taken; two are in any case.
    """
    model.eval()
    norms = [m for m in model.modules() if isinstance(m, _BatchNorm) and m.track_running_stats]
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # torch's word for a plain average over all batches
        norm.train()
    start = time.perf_counter()
    for done, batch in enumerate(islice(batches, BATCHES)):
        if done >= MIN_BATCHES and time.perf_counter() - start > most_s:
            break
        forward(batch)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
        norm.eval()
