"""Segmentation: cross-entropy and overlap of masks, mean IoU on the validation split."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from convatlas.metric import Metric
from convatlas.models.segment.mask_losses import dice_loss, enlarge_logits, pixel_cross_entropy
from convatlas.train.mask_figures import MEAN_IOU, MaskFigures, count_pixels, make_counts
from convatlas.train.task import VALIDATED

Normalise = Callable[[Tensor], Tensor]


class Segment:
    """What segmentation brings to the loop.

    A network with a loss of its own has the method `losses(images, masks)`.

    Args:
        train: dataset of (uint8 image (c, h, w), int64 mask), all of one size, the mask for the
            pixels that the network answers for; a third tensor says how much each pixel counts.
        validate: the same without weights.
        num_classes: of a pixel.
        normalise: uint8 batch -> what the network takes.
        class_weights: how much a pixel of each class counts in the training loss. Shape: (k,)
        dice: share of the overlap in the training loss; the rest is cross-entropy.
    """

    metric: Metric = MEAN_IOU

    def __init__(
        self,
        train: Dataset,
        validate: Dataset,
        *,
        num_classes: int,
        normalise: Normalise,
        class_weights: Tensor | None = None,
        dice: float = 0.5,
    ):
        self._train, self._validate = train, validate
        self._num_classes, self._normalise = num_classes, normalise
        self._class_weights, self._dice = class_weights, dice

    def loaders(self, batch_size: int, seed: int) -> tuple[DataLoader, DataLoader]:
        """Return batches for training, in an order that the seed fixes, and for validation."""
        order = torch.Generator().manual_seed(seed)
        # A last batch of one image may have no variance to normalise by.
        ragged = len(self._train) > 1 and len(self._train) % batch_size == 1  # pyright: ignore[reportArgumentType]
        train = DataLoader(self._train, batch_size, shuffle=True, generator=order, drop_last=ragged)
        return train, DataLoader(self._validate, batch_size)

    def loss(self, model: nn.Module, batch: Any) -> Tensor:
        """Return the loss of one batch, or what the network itself asks in training."""
        images, masks, *weights = batch
        images = self._normalise(images)
        own = getattr(getattr(model, "module", model), "losses", None) if model.training else None
        if own is not None:
            return torch.stack(list(own(images, masks).values())).sum()
        logits = enlarge_logits(model(images), masks)
        loss = (1 - self._dice) * pixel_cross_entropy(
            logits,
            masks,
            class_weights=self._class_weights,
            pixel_weights=weights[0] if weights else None,
        )
        return loss + self._dice * dice_loss(logits, masks) if self._dice else loss

    @torch.no_grad()
    def validate(self, model: nn.Module, loader: DataLoader, gather: Callable) -> dict[str, float]:
        """Return `val_loss`, the cross-entropy, and mean IoU, Dice and accuracy of all pixels.

        Raises:
            ValueError: the network answers for another number of classes.
        """
        model.eval()
        counts, loss, seen = make_counts(self._num_classes), 0.0, 0
        for images, masks in loader:
            logits = enlarge_logits(model(self._normalise(images)), masks)
            logits, masks = gather((logits, masks))
            if logits.shape[1] != self._num_classes:
                raise ValueError(
                    f"Segment: the network must answer for {self._num_classes} classes, "
                    f"got {logits.shape[1]}"
                )
            counts += count_pixels(logits.argmax(1), masks, self._num_classes)
            pixels = int((masks < self._num_classes).sum())
            loss += float(pixel_cross_entropy(logits.float(), masks)) * pixels
            seen += pixels
        figures = {"loss": loss / max(1, seen), **MaskFigures(counts).figures()}
        return {VALIDATED + key: value for key, value in figures.items()}
