"""Classification: cross-entropy on logits, accuracy on the validation split."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from convatlas.metric import ACCURACY

Normalise = Callable[[Tensor], Tensor]
Augment = Callable[[Tensor], Tensor]


class Classify:
    """What classification brings to the loop.

    Args:
        train: dataset of (uint8 image (c, h, w), label); `validate` too.
        augment: uint8 batch -> uint8 batch of the network's size, training only.
        normalise: uint8 batch -> what the network takes.
        label_smoothing: share of the target spread evenly over the classes.
    """

    metric = ACCURACY

    def __init__(
        self,
        train: Dataset,
        validate: Dataset,
        *,
        num_classes: int,
        augment: Augment,
        normalise: Normalise,
        label_smoothing: float = 0.0,
    ):
        self._train, self._validate = train, validate
        self._num_classes = num_classes
        self._augment, self._normalise = augment, normalise
        self._label_smoothing = label_smoothing

    def loaders(self, batch_size: int, seed: int) -> tuple[DataLoader, DataLoader]:
        """Return batches for training, in an order that the seed fixes, and for validation."""
        order = torch.Generator().manual_seed(seed)
        # A last batch of one image has no variance to normalise by.
        ragged = len(self._train) % batch_size == 1  # pyright: ignore[reportArgumentType]
        train = DataLoader(
            self._train,
            batch_size,
            shuffle=True,
            generator=order,
            drop_last=ragged,
        )
        return train, DataLoader(self._validate, 4 * batch_size)

    def loss(self, model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        """Return the mean cross-entropy of one augmented batch, or what the network itself asks.

        A network with parts that only train (auxiliary classifiers, a reconstruction) has a method
        `loss(outputs, target, criterion)`, and its outputs in training are its own business.
        """
        images, labels = batch
        outputs = model(self._normalise(self._augment(images)))
        own = getattr(getattr(model, "module", model), "loss", None) if model.training else None
        return own(outputs, labels, self._criterion) if own else self._criterion(outputs, labels)

    def _criterion(self, logits: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(logits, labels, label_smoothing=self._label_smoothing)

    @torch.no_grad()
    def validate(self, model: nn.Module, loader: DataLoader, gather: Callable) -> dict[str, float]:
        """Return `val_loss` and `val_accuracy` (0..1) over the whole split and all processes.

        Raises:
            ValueError: the network answers for another number of classes.
        """
        model.eval()
        loss, right, seen = 0.0, 0, 0
        for images, labels in loader:
            logits, labels = gather((model(self._normalise(images)), labels))
            if logits.shape[1] != self._num_classes:
                raise ValueError(
                    f"Classify: the network must answer for {self._num_classes} classes, "
                    f"got {logits.shape[1]}"
                )
            right += int((logits.argmax(1) == labels).sum())
            loss += float(F.cross_entropy(logits, labels, reduction="sum"))
            seen += len(labels)
        return {"val_loss": loss / seen, "val_accuracy": right / seen}
