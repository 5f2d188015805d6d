"""Separation: SI-SNR under the best order of the voices, and its improvement over the mixture."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from convatlas.metric import Metric
from convatlas.train.signal_losses import improvement, separation

SI_SNRI = Metric("si_snri_db", "improvement of SI-SNR", "dB")


class Separate:
    """What separation brings to the loop.

    Args:
        train: dataset of (mixture (t,), voices (s, t)), all of one length; `validate` too.
        fixed: number of the last voices that have a place of their own, such as a background; the
            others come in any order.
    """

    metric = SI_SNRI

    def __init__(self, train: Dataset, validate: Dataset, *, fixed: int = 0):
        self._train, self._validate, self._fixed = train, validate, fixed

    def loaders(self, batch_size: int, seed: int) -> tuple[DataLoader, DataLoader]:
        """Return batches for training, in an order that the seed fixes, and for validation."""
        order = torch.Generator().manual_seed(seed)
        train = DataLoader(self._train, batch_size, shuffle=True, generator=order)
        return train, DataLoader(self._validate, batch_size)

    def loss(self, model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        """Return the negative mean SI-SNR in dB, each mixture's voices in their best order."""
        mixture, voices = batch
        return -separation(model(mixture), voices, fixed=self._fixed).value.mean()

    @torch.no_grad()
    def validate(self, model: nn.Module, loader: DataLoader, gather: Callable) -> dict[str, float]:
        """Return `val_loss` and `val_si_snri_db` over the whole split and all processes."""
        model.eval()
        loss, gain, seen = 0.0, 0.0, 0
        for mixture, voices in loader:
            estimates = model(mixture)
            values = separation(estimates, voices, fixed=self._fixed).value
            gains = improvement(estimates, voices, mixture, fixed=self._fixed)
            values, gains = gather((values, gains))
            loss -= float(values.sum())
            gain += float(gains.sum())
            seen += len(values)
        return {"val_loss": loss / seen, "val_si_snri_db": gain / seen}
