"""From an image to the bits that each of its values costs, and from nothing to new images."""

import json
import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from convatlas.data.pixels.levels import from_levels, to_levels
from convatlas.data.pixels.pixel_data import PixelFacts
from convatlas.deploy.predictor import Agreement, Predictor, answer_by_size
from convatlas.models.generate.draw import draw_values
from convatlas.models.generate.pixel_network import PixelNetwork, WholePass, scaled, value_nats

MAX_LOGITS = 1 << 25  # numbers that the answers to a batch may have
CLASSES = "classes"  # in the metadata of an exported file: their names as JSON
MAX_TOGETHER = 64  # images that are drawn side by side


class PixelModel(Predictor):
    """Levels, network and log-probabilities as one module.

    Args:
        network: (n, c, h, w) from -1 to 1, and where it is told the class (n, classes), ->
            (n, outputs, c, h, w).
        facts: of the data.

    Shape: uint8 (n, h, w, c), and where classes are told int64 (n,), -> bits of each value
        float32 (n, c, h, w), logits float32 (n, outputs, c, h, w)
    """

    outputs = ("bits", "logits")
    items = "images"
    decision = "the same bits for every value"

    def __init__(self, network: nn.Module, facts: PixelFacts):
        super().__init__()
        self.network, self.facts = network, facts
        self.inputs = {"image": {0: "n"}, **({"class": {0: "n"}} if facts.told else {})}
        told = facts.classes if facts.told else []
        self.metadata = {
            "levels": str(facts.levels),
            CLASSES: json.dumps(told, ensure_ascii=False),
        }
        label = ", and `class` int64 (n,)" if facts.told else ""
        outputs = 1 if facts.levels == 2 else facts.levels
        self.usage = (
            f"input `image`: uint8 (n, {facts.height}, {facts.width}, {facts.channels}){label}; "
            f"outputs `bits` of each value (n, {facts.channels}, {facts.height}, {facts.width}) "
            f"and `logits` (n, {outputs}, {facts.channels}, {facts.height}, {facts.width})"
        )

    def forward(self, image: Tensor, label: Tensor | None = None) -> tuple[Tensor, Tensor]:
        values = to_levels(image.movedim(-1, 1), self.facts.levels)
        logits = self.network(scaled(values, self.facts.levels), *self._told(label)).float()
        return value_nats(logits, values.long()) / math.log(2), logits

    def _told(self, label: Tensor | None) -> tuple[Tensor, ...]:
        """Return the class as the network is told it. Shape: (n,) -> (n, classes)"""
        if label is None or not self.facts.told:
            return ()
        return (F.one_hot(label, len(self.facts.classes)).float(),)

    def example(self, batch: int = 2) -> tuple[Tensor, ...]:
        """Return random images, and classes where they are told."""
        facts = self.facts
        shape = (batch, facts.height, facts.width, facts.channels)
        image = torch.randint(0, 256, shape, dtype=torch.uint8)
        return (image, torch.arange(batch) % len(facts.classes)) if facts.told else (image,)

    def answers(self, items: Sequence[Any], run: Callable[..., tuple[Tensor, Tensor]]) -> Tensor:
        """Return the bits of each value; logits are large and not kept.

        Shape: items (h, w, c) -> (n, c, h, w)
        """
        step = max(1, MAX_LOGITS // (self.facts.levels * self.facts.dimensions))
        parts = [
            answer_by_size(items[start : start + step], lambda *batch: run(*batch)[0])
            for start in range(0, len(items), step)
        ]
        return torch.cat(parts)

    def image_bits(self, images: Sequence[Tensor]) -> tuple[Tensor, Tensor | None]:
        """Return the bits per value of images without a class, and how probable each class is.

        Where the network is told classes, all count alike: the probability of an image is the mean
        of those that it has in each class.

        Shape: each uint8 (h, w, c) -> (n,), (n, classes)
        """
        facts = self.facts
        if not facts.told:
            return self.predict(images).double().flatten(1).mean(1), None
        count = len(facts.classes)
        asked = [(image, torch.tensor(place)) for image in images for place in range(count)]
        bits = self.predict(asked).double().flatten(1).sum(1).view(-1, count)
        logs = -bits * math.log(2)
        mixed = logs.logsumexp(1) - math.log(count)
        return -mixed / math.log(2) / facts.dimensions, logs.softmax(1)

    @torch.no_grad()
    def draw(
        self,
        count: int,
        *,
        labels: Sequence[int] | None = None,
        given: Tensor | None = None,
        known: Tensor | None = None,
        seed: int = 0,
        done: Callable[[int, int], None] = lambda rows, total: None,
    ) -> Tensor:
        """Draw images; the same seed draws the same ones, and the first of more.

        Args:
            labels: the class of each, where the network is told classes.
            given: images some of whose places stay as they are.
            known: those places.
            done: told the rows that are drawn, and how many there will be.

        Shape: given uint8 (count, h, w, c), known bool (count, h, w) -> uint8 (count, h, w, c)
        """
        facts, home = self.facts, next(self.parameters()).device
        form = (facts.channels, facts.height, facts.width)
        if given is None or known is None:
            given = torch.zeros(count, facts.height, facts.width, facts.channels)
            known = torch.zeros(count, facts.height, facts.width, dtype=torch.bool)
        values = to_levels(given.movedim(-1, 1), facts.levels).long()
        random = torch.Generator().manual_seed(seed)
        uniform = torch.rand((count, *form), generator=random, dtype=torch.float64)
        starts = range(0, count, MAX_TOGETHER)
        total, drawn = facts.height * len(starts), []
        training = self.training
        self.eval()
        try:
            for number, start in enumerate(starts):
                part = slice(start, start + MAX_TOGETHER)
                told = None if labels is None else torch.tensor(labels[part], device=home)
                image = torch.zeros_like(values[part], dtype=torch.float32, device=home)
                before = number * facts.height
                drawn.append(
                    draw_values(
                        self._steps(image, told),
                        values[part].to(home),
                        known[part].to(home),
                        facts.levels,
                        uniform[part].to(home),
                        row_done=lambda row, before=before: done(before + row, total),
                    ).cpu()
                )
        finally:
            self.train(training)
        return from_levels(torch.cat(drawn), facts.levels).movedim(1, -1).contiguous()

    def _steps(self, image: Tensor, label: Tensor | None) -> Any:
        told = self._told(label)
        if isinstance(self.network, PixelNetwork):
            return self.network.steps(image, *told)
        return WholePass(self.network, *told)  # a network of a user's own

    def compare(self, expected: Tensor, answered: Tensor, tolerance: float) -> Agreement:
        """Compare the bits of every value. Shape: (n, c, h, w)"""
        apart = (expected - answered).abs().flatten(1).amax(1)
        return Agreement(float((apart <= tolerance).float().mean()), float(apart.max()))
