"""Classification: cross-entropy on logits, (balanced) accuracy on the validation split."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from convatlas.metric import ACCURACY, BALANCED_ACCURACY, Metric
from convatlas.train.distillation import Teacher
from convatlas.train.task import VALIDATED

Normalise = Callable[[Tensor], Tensor]
Augment = Callable[[Tensor], Tensor]
Mix = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


class Classify:
    """What classification brings to the loop.

    Args:
        train: dataset of (uint8 image (c, h, w), label); `validate` too.
        augment: uint8 batch -> uint8 batch of the network's size, training only.
        normalise: uint8 batch -> what the network takes.
        label_smoothing: share of the target spread evenly over the classes.
        metric: accuracy or balanced accuracy, which decides.
        class_weights: how much an image of each class counts in the training loss, a weighted
            mean; the validation loss has no weights. Shape: (num_classes,)
        mix: normalised batch and labels -> both mixed, the labels as shares of the classes.
        teacher: another network's part of the loss.
    """

    def __init__(
        self,
        train: Dataset,
        validate: Dataset,
        *,
        num_classes: int,
        augment: Augment,
        normalise: Normalise,
        label_smoothing: float = 0.0,
        metric: Metric = ACCURACY,
        class_weights: Tensor | None = None,
        mix: Mix | None = None,
        teacher: Teacher | None = None,
    ):
        self._train, self._validate = train, validate
        self._num_classes = num_classes
        self._augment, self._normalise = augment, normalise
        self._label_smoothing = label_smoothing
        self.metric, self._class_weights = metric, class_weights
        self._mix, self._teacher = mix, teacher

    def training_progress(self, done: float) -> None:
        """Take which share of the run is done; mixing may end before the run does."""
        tell = getattr(self._mix, "training_progress", None)
        if tell is not None:
            tell(done)

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
        pixels = self._augment(images)
        inputs = self._normalise(pixels)
        if self._mix is not None and model.training:
            inputs, labels = self._mix(inputs, labels)
        outputs = model(inputs)
        own = getattr(getattr(model, "module", model), "loss", None) if model.training else None
        criterion = self._criterion
        if self._teacher is not None and model.training:
            criterion = self._teacher.criterion(pixels, criterion)
        return own(outputs, labels, criterion) if own else criterion(outputs, labels)

    def _criterion(self, logits: Tensor, labels: Tensor) -> Tensor:
        weights = self._class_weights
        if weights is not None:
            weights = weights.to(logits)  # where and in what numbers the network answers
        return F.cross_entropy(logits, labels, weights, label_smoothing=self._label_smoothing)

    @torch.no_grad()
    def validate(self, model: nn.Module, loader: DataLoader, gather: Callable) -> dict[str, float]:
        """Return `val_loss`, `val_accuracy` (0..1) and the metric over split and processes.

        Raises:
            ValueError: the network answers for another number of classes.
        """
        model.eval()
        loss, hits, seen = 0.0, 0, 0
        for images, labels in loader:
            logits, labels = gather((model(self._normalise(images)), labels))
            if logits.shape[1] != self._num_classes:
                raise ValueError(
                    f"Classify: the network must answer for {self._num_classes} classes, "
                    f"got {logits.shape[1]}"
                )
            right, of_class = hits_by_class(logits, labels)
            hits, seen = hits + right, seen + of_class
            loss += float(F.cross_entropy(logits, labels, reduction="sum"))
        assert isinstance(hits, Tensor)
        assert isinstance(seen, Tensor)
        figures = answer_figures(hits, seen, loss / int(seen.sum()), self.metric)
        return {VALIDATED + key: value for key, value in figures.items()}


def hits_by_class(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Count right answers and examples of each class.

    Shape: (n, k), (n,) -> both (k,)
    """
    classes = logits.shape[1]
    right = labels[logits.argmax(1) == labels]
    return right.bincount(minlength=classes).cpu(), labels.bincount(minlength=classes).cpu()


def answer_figures(hits: Tensor, seen: Tensor, loss: float, metric: Metric) -> dict[str, float]:
    """Return loss, accuracy and, where it is the metric, balanced accuracy.

    Balanced accuracy is the mean over the classes of the share that is right; classes without
    examples do not count.

    Args:
        hits: right answers by class.
        seen: examples by class.
    """
    figures = {"loss": loss, "accuracy": int(hits.sum()) / int(seen.sum())}
    if metric.key == BALANCED_ACCURACY.key:
        there = seen > 0
        figures[metric.key] = float((hits[there] / seen[there]).double().mean())
    return figures
