"""Batch norm's running statistics, measured anew for the weights that are about to be used.

Running statistics trail the weights by some tens of steps. In a short run that is most of it: a
trained network can look like one that has not, because it is normalised by what its layers
gave long ago.

Source: Wu, Johnson, "Rethinking 'Batch' in BatchNorm", 2021, arXiv:2105.07576, section 3 ("precise
batch norm").
"""

import math
import time
from collections.abc import Callable, Collection, Iterable
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn
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
    frozen: Collection[str] = (),
) -> None:
    """Set running means and variances to their plain average over some batches.

    Everything but batch norm is in evaluation mode meanwhile, and stays so.

    Args:
        batches: the first 16 are used.
        forward: runs the model on one batch; where it returns what is no finite number, the batch
            does not count.
        most_s: seconds after which no further batch is taken; two are in any case.
        frozen: paths of modules that keep their statistics.
    """
    model.eval()
    norms = [
        module
        for path, module in model.named_modules()
        if isinstance(module, _BatchNorm) and module.track_running_stats and path not in frozen
    ]
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # torch's word for a plain average over all batches
        norm.train()
    start = time.perf_counter()
    try:
        for done, batch in enumerate(islice(batches, BATCHES)):
            if done >= MIN_BATCHES and time.perf_counter() - start > most_s:
                break
            before = [buffer.clone() for norm in norms for buffer in norm.buffers()]
            given = forward(batch)
            if isinstance(given, Tensor) and not torch.isfinite(given).all():
                for buffer, value in zip(
                    (b for n in norms for b in n.buffers()), before, strict=True
                ):
                    buffer.copy_(value)  # one odd batch would make all of them odd
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
            norm.eval()
