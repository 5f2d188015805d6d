"""From an image to its reconstruction, and the numbers that it was made from."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from convatlas.data.pixels.latent_facts import LatentFacts
from convatlas.deploy.pixel_model import CLASSES
from convatlas.deploy.predictor import Agreement, Predictor, stacked_by_size
from convatlas.train.tasks.reconstruct import WHITE


class Reconstructor(Predictor):
    """Scaling, network and clamping as one module.

    Args:
        network: (n, c, h, w) from 0 to 1 -> latent (n, latent), reconstruction
            (n, c, h, w).
        facts: of the data.

    Shape: uint8 (n, h, w, c) -> reconstruction float32 (n, h, w, c) from 0 to 1, latent float32
        (n, latent)
    """

    outputs = ("reconstruction", "latent")
    items = "images"
    decision = "the same reconstruction"

    def __init__(self, network: nn.Module, facts: LatentFacts):
        super().__init__()
        self.network, self.facts = network, facts
        self.inputs = {"image": {0: "n"}}
        self.metadata = {"latent": str(facts.latent), CLASSES: "[]"}
        form = f"(n, {facts.height}, {facts.width}, {facts.channels})"
        self.usage = (
            f"input `image`: uint8 {form}; outputs `reconstruction` {form} from 0 to 1 and "
            f"`latent` (n, {facts.latent})"
        )

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        latent, y = self.network(image.movedim(-1, 1).float() / WHITE)
        return y.float().clamp(0, 1).movedim(1, -1), latent.float()

    def example(self, batch: int = 2) -> tuple[Tensor, ...]:
        """Return random images."""
        facts = self.facts
        shape = (batch, facts.height, facts.width, facts.channels)
        return (torch.randint(0, 256, shape, dtype=torch.uint8),)

    def answers(
        self, items: Sequence[Any], run: Callable[..., tuple[Tensor, Tensor]]
    ) -> tuple[Tensor, Tensor]:
        """Return reconstructions and latent numbers. Shape: as `forward`"""
        images, latents = zip(*stacked_by_size(items, run), strict=True)
        return torch.stack(images), torch.stack(latents)

    def compare(
        self, expected: tuple[Tensor, Tensor], answered: tuple[Tensor, Tensor], tolerance: float
    ) -> Agreement:
        """Compare every value; latent numbers by the largest of an image. Shape: as `forward`"""
        images = (expected[0] - answered[0]).abs().flatten(1).amax(1)
        size = expected[1].abs().amax(1).clamp(min=1)
        apart = torch.maximum(images, (expected[1] - answered[1]).abs().amax(1) / size)
        return Agreement(float((apart <= tolerance).float().mean()), float(apart.max()))
