"""The range test of the learning rate: the loss while the rate climbs from far too small.

From Smith, Cyclical Learning Rates for Training Neural Networks (2017), section 3.3, with a rate
that climbs by a factor a step instead of a summand.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from torch import nn

from convatlas.errors import ConvatlasError
from convatlas.progress import Progress, Silent
from convatlas.train.device import on_training_device
from convatlas.train.optimizer import build_optimizer
from convatlas.train.recipe import Recipe
from convatlas.train.stop import StopRequest
from convatlas.train.task import TrainTask

NEAR = 4  # steps before and after one, with which its loss is averaged
SETTLED = 10  # steps, before which nothing is said of the loss
BELOW = 3.0  # the rate to train with lies this factor below that at which the loss rises


@dataclass(frozen=True)
class RateRange:
    """What a range test saw.

    Attributes:
        rates: that were tried, rising.
        losses: of a batch at each rate.
        diverged: whether the loss rose past use before the last rate.
    """

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    diverged: bool

    @property
    def smooth(self) -> tuple[float, ...]:
        """Mean of the losses around each rate, as many before it as after it."""
        found = []
        for k in range(len(self.losses)):
            near = min(NEAR, k, len(self.losses) - 1 - k)
            found.append(fmean(self.losses[k - near : k + near + 1]))
        return tuple(found)

    @property
    def rises(self) -> float:
        """First rate at which the smoothed loss has risen again; the last, where it never does.

        It counts from where half of the whole fall is done, and as risen by a quarter of it: at
        rates far too large a loss may fall once more, when the network answers all alike.
        """
        smooth = self.smooth
        start = fmean(smooth[:SETTLED])
        fall = start - min(smooth)
        low = start
        for rate, loss in zip(self.rates, smooth, strict=True):
            low = min(low, loss)
            if fall > 0 and start - low > fall / 2 and loss - low > fall / 4:
                return rate
        return self.rates[-1]

    @property
    def steepest(self) -> float:
        """Rate before the loss rises around which the smoothed loss fell most."""
        smooth, end = self.smooth, self.rates.index(self.rises)
        around = range(NEAR, max(NEAR + 1, end - NEAR + 1))
        falls = [smooth[min(k + NEAR, end)] - smooth[k - NEAR] for k in around]
        return self.rates[NEAR + falls.index(min(falls))]

    @property
    def suggested(self) -> float:
        """Rate to train with: a third of that at which the loss rises."""
        return self.rises / BELOW


def rate_range(
    model: nn.Module,
    task: TrainTask,
    recipe: Recipe,
    *,
    lowest: float = 1e-6,
    highest: float = 10.0,
    steps: int = 100,
    stop: StopRequest | None = None,
    progress: Progress | None = None,
) -> RateRange:
    """Train for a few steps while the rate climbs, until the loss rises past use.

    The model is worth nothing afterwards. Optimiser, batch and augmentation are the recipe's; its
    schedule is not.

    Args:
        lowest: the first rate.
        highest: the last rate, where the loss does not end it earlier.
        steps: from one to the other.

    Raises:
        ConvatlasError: the very first loss is no finite number.
        Stopped: a signal came.
    """
    progress = progress or Silent()
    rates: list[float] = []
    losses: list[float] = []
    diverged = False
    with on_training_device(model, recipe.precision) as accelerator:
        network = accelerator.prepare(model)
        batches, _ = task.loaders(recipe.batch_size, recipe.seed)
        optimizer = build_optimizer(accelerator.unwrap_model(network), recipe)
        optimizer, batches = accelerator.prepare(optimizer, batches)
        bar = progress.bar("rates", total=1.0)
        for step, batch in zip(range(steps), _endless(batches), strict=False):
            if stop is not None:
                stop.check()
            rate = lowest * (highest / lowest) ** (step / max(1, steps - 1))
            for group in optimizer.param_groups:
                group["lr"] = rate * group["lr_scale"]
            with accelerator.autocast():
                loss = task.loss(network.train(), batch)
            value = float(loss.detach())
            if not math.isfinite(value):
                if not rates:
                    raise ConvatlasError(f"the loss of the first step is {value}: no rate helps")
                diverged = True
                break
            accelerator.backward(loss)
            if recipe.clip_norm:
                accelerator.clip_grad_norm_(network.parameters(), recipe.clip_norm)
            optimizer.step()
            optimizer.zero_grad()
            rates.append(rate)
            losses.append(value)
            bar.update((step + 1) / steps, note=f"rate {rate:.2g}, loss {value:.3f}")
            if diverged := _past_use(losses):
                break
        bar.close()
    return RateRange(tuple(rates), tuple(losses), diverged)


def _past_use(losses: Sequence[float]) -> bool:
    """Return whether the loss has risen above its start by what it fell, or by half of it."""
    if len(losses) < 2 * SETTLED:
        return False
    means = [fmean(losses[k : k + NEAR]) for k in range(0, len(losses) - NEAR + 1, NEAR)]
    start = fmean(losses[:SETTLED])
    latest = fmean(losses[-NEAR:])
    return latest > start + max(start - min(means), abs(start) / 2)


def _endless(batches: Any) -> Iterator[Any]:
    while True:
        yield from batches
