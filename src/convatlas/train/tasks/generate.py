"""Learning the probability of each value of an image, given the values before it."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from convatlas.metric import Metric
from convatlas.models.generate.pixel_network import scaled, value_nats

BITS_PER_DIM = Metric("bits_per_dim", "bits per dimension", "bits", higher_is_better=False)


class Generate:
    """What generating brings to the loop.

    Args:
        train: pairs of levels, uint8 (c, h, w), and class.
        validate: the same.
        levels: that a value can have.
        told: how many classes the network is told one of; 0 tells it none.
    """

    metric = BITS_PER_DIM

    def __init__(self, train: Dataset, validate: Dataset, *, levels: int, told: int):
        self._train, self._validate = train, validate
        self._levels, self._told = levels, told

    def loaders(self, batch_size: int, seed: int) -> tuple[DataLoader, DataLoader]:
        """Return batches for training, in an order that the seed fixes, and for validation."""
        order = torch.Generator().manual_seed(seed)
        train = DataLoader(self._train, batch_size, shuffle=True, generator=order)
        return train, DataLoader(self._validate, batch_size)

    def loss(self, model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        """Return the mean of the values' minus log-probabilities, in nats."""
        return self._nats(model, batch).mean()

    def _nats(self, model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        """Return what each value costs. Shape: -> (n, c, h, w)"""
        values, labels = batch
        told = (F.one_hot(labels, self._told).float(),) if self._told else ()
        logits = model(scaled(values, self._levels), *told)
        return value_nats(logits.float(), values.long())

    @torch.no_grad()
    def validate(self, model: nn.Module, loader: DataLoader, gather: Callable) -> dict[str, float]:
        """Return `val_loss` in nats and `val_bits_per_dim`, means over all values."""
        model.eval()
        total, seen = 0.0, 0
        for batch in loader:
            nats = gather(self._nats(model, batch).flatten(1).double().mean(1))
            total += float(nats.sum())
            seen += len(nats)
        nats = total / max(seen, 1)
        return {"val_loss": nats, f"val_{BITS_PER_DIM.key}": nats / math.log(2)}
