"""Principal components: the best linear way to write an image as a few numbers."""

from collections.abc import Iterable

import torch
from torch import Tensor

MAX_EXACT = 2048  # values of a vector whose covariance is taken apart whole
BATCH = 4096  # vectors that are summed at once
OVERSAMPLED, ROUNDS = 16, 6  # of the randomised way beyond it


class PrincipalComponents:
    """The directions in which some vectors differ most, and their mean.

    Args:
        vectors: at least one. Shape: (n, d)
        count: of components; fewer where the vectors span no more.

    Up to 2,048 values a vector the components are exact; beyond, a randomised way gives them with
    an error that its rounds make small (Halko, Martinsson, Tropp, 2011, arXiv:0909.4061).
    """

    def __init__(self, vectors: Tensor, count: int):
        self.mean = vectors.mean(0, dtype=torch.float64)
        n, d = vectors.shape
        count = min(count, n, d)
        if d <= MAX_EXACT:
            covariance = torch.zeros(d, d, dtype=torch.float64)
            for part in vectors.split(BATCH):
                centred = part.double() - self.mean
                covariance += centred.T @ centred
            values, directions = torch.linalg.eigh(covariance)
            self.directions = directions[:, -count:].flip(1)
            self.spread, self.total = values[-count:].flip(0).clamp(min=0), float(values.sum())
        else:
            centred = vectors.float() - self.mean.float()
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)
                wide = min(count + OVERSAMPLED, n, d)
                _, sizes, found = torch.svd_lowrank(centred, wide, niter=ROUNDS)
            self.directions = found[:, :count].double()
            self.spread = sizes[:count].double().square()
            self.total = float(centred.double().square().sum())

    @property
    def shares(self) -> list[float]:
        """The share of all variance that lies along each component."""
        return (self.spread / self.total).tolist() if self.total else [0.0] * len(self.spread)

    def encode(self, vectors: Tensor) -> Tensor:
        """Return the coordinates along the components. Shape: (n, d) -> (n, count)"""
        return (vectors.double() - self.mean) @ self.directions

    def decode(self, coordinates: Tensor) -> Tensor:
        """Return vectors from their coordinates. Shape: (n, count) -> (n, d)"""
        return coordinates @ self.directions.T + self.mean


def image_vectors(images: Iterable[Tensor]) -> Tensor:
    """Lay images out as vectors with values from 0 to 1. Shape: each uint8 (…) -> (n, d)"""
    return torch.stack([image.flatten() for image in images]).float() / 255
