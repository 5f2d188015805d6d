"""Steps of a generator and a discriminator in turn, and a look at how both stand."""

import math
from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convatlas.train.adversarial_recipe import AdversarialRecipe
from convatlas.train.adversarial_watch import diversity
from convatlas.train.device import training_device
from convatlas.train.update_bn import BATCHES, update_bn

LOOKED_AT = 256  # images whose diversity is measured
BETA2 = 0.999
FIGURES = ("discriminator_loss", "generator_loss", "accuracy")


class AdversarialSteps:
    """Both networks on the training device, their optimizers, and what was seen since a look.

    Args:
        images: uint8 (count, c, h, w), a batch at least.

    Attributes:
        epoch_steps: steps in which each image is seen once, but for the rest of a batch.
    """

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        images: Tensor,
        recipe: AdversarialRecipe,
    ):
        self.generator, self.discriminator = generator, discriminator
        self.images, self.recipe = images, recipe
        self.homes = {net: next(net.parameters()).device for net in (generator, discriminator)}
        self.device = training_device()
        self.epoch_steps = len(images) // recipe.batch_size
        self.random = torch.Generator().manual_seed(recipe.seed)
        # Numbers of their own, so that looking does not change what is trained on.
        self.shown = draw_noise(generator, LOOKED_AT, torch.Generator().manual_seed(recipe.seed))
        self.real_diversity = diversity(scaled(images[:: max(1, len(images) // LOOKED_AT)]))
        for net in self.homes:
            net.to(self.device).train()
        self.optimizers = {
            net: torch.optim.Adam(net.parameters(), lr=recipe.lr, betas=(recipe.beta1, BETA2))
            for net in self.homes
        }
        self.seen: list[Tensor] = []
        self.kept = _copy(generator)

    def batches(self) -> Iterator[Tensor]:
        """Yield batches of real images without end; each epoch has an order of its own."""
        size = self.recipe.batch_size
        while True:
            order = torch.randperm(len(self.images), generator=self.random)
            for part in order[: self.epoch_steps * size].split(size):
                yield scaled(self.images[part]).to(self.device)

    def noise(self) -> Tensor:
        """Return numbers for a batch of images. Shape: (batch_size, latent)"""
        return draw_noise(self.generator, self.recipe.batch_size, self.random).to(self.device)

    def step(self, real: Tensor) -> None:
        """Take a step of the discriminator, then one of the generator for the same drawn images."""
        drawn = self.generator(self.noise())
        # Real and drawn images in batches of their own, each with its own statistics.
        for_real, for_drawn = self.discriminator(real), self.discriminator(drawn.detach())
        loss = _loss(for_real, self.recipe.real_label) + _loss(for_drawn, 0.0)
        self._update(self.discriminator, loss)
        opposed = _loss(self.discriminator(drawn), 1.0)
        self._update(self.generator, opposed)
        right = torch.cat([for_real > 0, for_drawn <= 0]).float().mean()
        self.seen.append(torch.stack([loss.detach(), opposed.detach(), right]))

    def _update(self, net: nn.Module, loss: Tensor) -> None:
        """Take a step of one network; the other one gets no gradient."""
        weights = [weight for weight in net.parameters() if weight.requires_grad]
        for weight, gradient in zip(weights, torch.autograd.grad(loss, weights), strict=True):
            weight.grad = gradient
        self.optimizers[net].step()

    @torch.no_grad()
    def look(self) -> dict[str, float]:
        """Return the figures since the last look, and keep the generator if all are finite.

        Otherwise the generator becomes the one that was kept.
        """
        means = torch.stack(self.seen).mean(0).tolist()
        self.seen = []
        figures: dict[str, float] = {}
        figures.update(zip(FIGURES, means, strict=True))
        # As in training, since running statistics trail the weights; they stay as they are.
        before = {name: value.clone() for name, value in self.generator.named_buffers()}
        drawn = self.generator(self.shown.to(self.device))
        for name, value in self.generator.named_buffers():
            value.copy_(before[name])
        figures["diversity"] = diversity(drawn) / max(self.real_diversity, 1e-12)
        if all(map(math.isfinite, figures.values())):
            self.kept = _copy(self.generator)
        else:
            self.generator.load_state_dict(self.kept)
        return figures

    def finish(self) -> None:
        """Measure the running statistics of the generator for the weights that it ends with."""
        update_bn(self.generator, (self.noise() for _ in range(BATCHES)), self.generator)

    def put_back(self) -> None:
        """Move both networks to where they lay, in evaluation mode."""
        for net, home in self.homes.items():
            net.to(home).eval()


def draw_noise(generator: Any, count: int, random: torch.Generator) -> Tensor:
    """Draw what images are made of, uniformly from -1 to 1. Shape: (count, generator.latent)"""
    return 2 * torch.rand(count, generator.latent, generator=random) - 1


def scaled(images: Tensor) -> Tensor:
    """Scale bytes to the generator's range, from -1 to 1. Shape: (…) -> (…)"""
    return images.float() / 127.5 - 1


def _loss(logits: Tensor, label: float) -> Tensor:
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, label))


def _copy(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}
