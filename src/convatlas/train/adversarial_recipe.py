"""The options of adversarial training, as DCGAN's paper has them."""

import math
from dataclasses import dataclass

from convatlas.errors import UsageError


@dataclass(frozen=True)
class AdversarialRecipe:
    """How to train a generator and its discriminator; the values given are DCGAN's.

    Args:
        lr: of both optimizers, which are Adam.
        beta1: of both: how much of the last steps' direction is kept.
        batch_size: real images a step, and as many drawn ones.
        epochs: passes over the images.
        real_label: what the discriminator shall answer for real images; 0.9 keeps it from becoming
            too sure (one-sided label smoothing, Salimans et al., 2016, arXiv:1606.03498).
        seed: of the order of images and of the random numbers that images are made of.

    Raises:
        UsageError: names the option that no run can have.
    """

    lr: float = 2e-4
    beta1: float = 0.5
    batch_size: int = 128
    epochs: float = 25
    real_label: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        checks = {
            "lr must be above 0 and finite": 0 < self.lr < math.inf,
            "beta1 must be from 0 to under 1": 0 <= self.beta1 < 1,
            "batch_size must be 2 or more": self.batch_size >= 2,
            "epochs must be above 0 and finite": 0 < self.epochs < math.inf,
            "real_label must be above 0.5 and at most 1": 0.5 < self.real_label <= 1,
        }
        for rule, holds in checks.items():
            if not holds:
                raise UsageError(f"{rule}, got {getattr(self, rule.split()[0])}")
