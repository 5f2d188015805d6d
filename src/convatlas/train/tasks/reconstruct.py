"""Learning to give an image back after it went through a few numbers."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from convatlas.metric import Metric

MSE = Metric("mse", "mean squared error", higher_is_better=False)
WHITE = 255  # of an 8-bit value


class Reconstruct:
    """What reconstruction brings to the loop; networks answer with latent numbers and images.

    Args:
        train: pairs of an image, uint8 (c, h, w), and its class, which is not looked at.
        validate: the same.
    """

    metric = MSE

    def __init__(self, train: Dataset, validate: Dataset):
        self._train, self._validate = train, validate

    def loaders(self, batch_size: int, seed: int) -> tuple[DataLoader, DataLoader]:
        """Return batches for training, in an order that the seed fixes, and for validation."""
        order = torch.Generator().manual_seed(seed)
        train = DataLoader(self._train, batch_size, shuffle=True, generator=order)
        return train, DataLoader(self._validate, batch_size)

    def loss(self, model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        """Return the mean squared error of the values, which lie from 0 to 1."""
        x = batch[0].float() / WHITE
        _, y = model(x)
        return F.mse_loss(y.float(), x)

    @torch.no_grad()
    def validate(self, model: nn.Module, loader: DataLoader, gather: Callable) -> dict[str, float]:
        """Return `val_loss`, and `val_mse` of answers cut to 0..1: means over all values."""
        model.eval()
        sums, seen = torch.zeros(2, dtype=torch.float64), 0
        for images, _ in loader:
            x = images.float() / WHITE
            _, y = model(x)
            y = y.float()
            errors = torch.stack([image_errors(y, x), image_errors(y.clamp(0, 1), x)], dim=1)
            found = gather(errors)
            sums += found.double().sum(0).cpu()
            seen += len(found)
        loss, mse = (sums / max(seen, 1)).tolist()
        return {"val_loss": loss, f"val_{MSE.key}": mse}


def image_errors(y: Tensor, x: Tensor) -> Tensor:
    """Return the mean squared error of each image. Shape: (n, …), (n, …) -> (n,)"""
    return (y - x).square().flatten(1).mean(1)
