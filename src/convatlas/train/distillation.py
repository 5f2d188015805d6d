"""Learning from another network's probabilities beside the labels.

Source: Hinton, Vinyals, Dean, 2015, arXiv:1503.02531, section 2; weights and temperatures for
    sounds from Hussain, Haque, "SwishNet", 2018, arXiv:1812.00149, section III.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convatlas.errors import UsageError

SOFT_FRACTION = 0.9  # of the loss, in SwishNet
# The best temperature for SwishNet of width 1 and 2, by the seconds of a clip.
SWISHNET_TEMPERATURES = {1: {2.0: 4, 1.0: 2, 0.5: 1}, 2: {2.0: 10, 1.0: 10, 0.5: 8}}


def distillation_loss(
    logits: Tensor,
    teacher: Tensor,
    labels: Tensor,
    *,
    temperature: float,
    soft_fraction: float = SOFT_FRACTION,
    scaled: bool = False,
) -> Tensor:
    """Return the mean cross-entropy against a teacher's softened answers and against the labels.

    Args:
        teacher: its logits for the same examples; no gradient goes there.
        temperature: by which both logits are divided before the softmax.
        soft_fraction: weight of the teacher's part; the labels have the rest.
        scaled: multiply the teacher's part by the squared temperature, so that its gradients are
            of the same size at every temperature (Hinton); SwishNet does not say.

    Shape: (n, k), (n, k), (n,) -> ()

    Raises:
        UsageError: a temperature that is not above 0, or a fraction outside 0..1.
    """
    if not temperature > 0 or not 0 <= soft_fraction <= 1:
        raise UsageError(
            "distillation_loss: temperature must be above 0 and soft_fraction from 0 to 1, got "
            f"{temperature} and {soft_fraction}"
        )
    softened = (teacher.detach() / temperature).softmax(1)
    soft = F.cross_entropy(logits / temperature, softened)
    if scaled:
        soft = soft * temperature**2
    return soft_fraction * soft + (1 - soft_fraction) * F.cross_entropy(logits, labels)


Criterion = Callable[[Tensor, Tensor], Tensor]


class Teacher:
    """A trained network whose softened answers are learned beside the labels.

    Args:
        network: in evaluation mode; it is not trained.
        prepare: uint8 images as they are augmented -> what the teacher takes.
        name: of it, for the notes of a run.
        temperature: by which both networks' logits are divided.
        soft_fraction: weight of the teacher's part of the loss.

    """

    def __init__(
        self,
        network: nn.Module,
        prepare: Callable[[Tensor], Tensor],
        *,
        name: str = "",
        temperature: float = 4.0,
        soft_fraction: float = SOFT_FRACTION,
    ):
        self._network, self._prepare, self._name = network.eval(), prepare, name
        self._temperature, self._soft_fraction = temperature, soft_fraction

    def notes(self) -> dict[str, str | float]:
        """Return who teaches, and how, for JSON."""
        how = {"temperature": self._temperature, "soft_fraction": self._soft_fraction}
        return {"teacher": self._name, **how}

    def criterion(self, images: Tensor, usual: Criterion) -> Criterion:
        """Return the loss of these images: the teacher's part, scaled by Hinton, and the usual one.

        Shape: images (n, c, h, w), uint8
        """
        with torch.no_grad():
            answers = self._network.to(images.device)(self._prepare(images))

        def loss(logits: Tensor, labels: Tensor) -> Tensor:
            soft = distillation_loss(
                logits,
                answers,
                labels,
                temperature=self._temperature,
                soft_fraction=1.0,
                scaled=True,
            )
            return self._soft_fraction * soft + (1 - self._soft_fraction) * usual(logits, labels)

        return loss
