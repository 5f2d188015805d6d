"""Extraction of one voice: SI-SDR against the clean voice, and its improvement over the mixture."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from convatlas.metric import Metric
from convatlas.train.signal_losses import si_snr

SI_SDRI = Metric("si_sdri_db", "improvement of SI-SDR", "dB")


class Extract:
    """What extraction brings to the loop.

    Args:
        train: dataset of (mixture (t,), vector of the speaker, voice (t,)), all of one length;
            `validate` too.
    """

    metric = SI_SDRI

    def __init__(self, train: Dataset, validate: Dataset):
        self._train, self._validate = train, validate

    def loaders(self, batch_size: int, seed: int) -> tuple[DataLoader, DataLoader]:
        """Return batches for training, in an order that the seed fixes, and for validation."""
        order = torch.Generator().manual_seed(seed)
        train = DataLoader(self._train, batch_size, shuffle=True, generator=order)
        return train, DataLoader(self._validate, batch_size)

    def loss(self, model: nn.Module, batch: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        """Return the negative mean SI-SDR in dB."""
        mixture, speaker, voice = batch
        return -si_snr(model(mixture, speaker), voice, zero_mean=False).mean()

    @torch.no_grad()
    def validate(self, model: nn.Module, loader: DataLoader, gather: Callable) -> dict[str, float]:
        """Return `val_loss` and `val_si_sdri_db` over the whole split and all processes."""
        model.eval()
        loss, gain, seen = 0.0, 0.0, 0
        for mixture, speaker, voice in loader:
            values = si_snr(model(mixture, speaker), voice, zero_mean=False)
            before = si_snr(mixture, voice, zero_mean=False)
            values, before = gather((values, before))
            loss -= float(values.sum())
            gain += float((values - before).sum())
            seen += len(values)
        return {"val_loss": loss / seen, "val_si_sdri_db": gain / seen}
