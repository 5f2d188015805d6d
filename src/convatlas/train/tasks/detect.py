"""Detection: the network's own losses, average precision on the validation split."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from convatlas.metric import Metric
from convatlas.train.box_figures import BEST_SCORE, MAP, box_figures
from convatlas.train.task import VALIDATED

Targets = Sequence[dict[str, Tensor]]
Augment = Callable[[Tensor, list[dict[str, Tensor]]], tuple[Tensor, list[dict[str, Tensor]]]]


class Detect:
    """What detection brings to the loop.

    Args:
        train: dataset of (uint8 image (c, h, w), place of its target); `validate` too.
        train_targets: `boxes` (k, 4) in pixels of those images and `labels` (k,), by place.
        val_targets: the same for `validate`.
        num_classes: without background.
        augment: changes a batch of images together with their boxes, in training only.
        normalise: uint8 batch -> what the network takes.
        metric: which average precision decides.
    """

    def __init__(
        self,
        train: Dataset,
        validate: Dataset,
        train_targets: Targets,
        val_targets: Targets,
        *,
        num_classes: int,
        augment: Augment,
        normalise: Callable[[Tensor], Tensor],
        metric: Metric = MAP,
    ):
        self._train, self._validate = train, validate
        self._train_targets, self._val_targets = train_targets, val_targets
        self._num_classes, self.metric = num_classes, metric
        self._augment, self._normalise = augment, normalise

    def loaders(self, batch_size: int, seed: int) -> tuple[DataLoader, DataLoader]:
        """Return batches for training, in an order that the seed fixes, and for validation."""
        order = torch.Generator().manual_seed(seed)
        # A last batch of one image has no variance to normalise its coarsest map by.
        ragged = len(self._train) % batch_size == 1  # pyright: ignore[reportArgumentType]
        train = DataLoader(self._train, batch_size, shuffle=True, generator=order, drop_last=ragged)
        return train, DataLoader(self._validate, batch_size)

    def loss(self, model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        """Return the sum of the network's losses on one augmented batch."""
        images, places = batch
        targets = [self._train_targets[place] for place in places.tolist()]
        pixels, targets = self._augment(images, [dict(target) for target in targets])
        return _total(_bare(model).losses(self._normalise(pixels), targets))

    @torch.no_grad()
    def validate(self, model: nn.Module, loader: DataLoader, gather: Callable) -> dict[str, float]:
        """Return loss, average precision and the best score, over the split and all processes.

        They are `val_loss`, `val_map_50_95`, `val_map_50` and, where a box is right,
        `val_best_score`.
        """
        model.eval()
        network = _bare(model)
        found, truth = [], []
        total = 0.0
        for images, places in loader:
            pixels = self._normalise(images)
            targets = [dict(self._val_targets[place]) for place in places.tolist()]
            terms, boxes_found = network.judge(pixels, targets)
            total += float(_total(terms)) * len(places)
            boxes, scores, labels, places = gather((*boxes_found, places))
            for row, place in enumerate(places.tolist()):
                found.append((boxes[row].cpu(), scores[row].cpu(), labels[row].cpu()))
                target = self._val_targets[place]
                truth.append((target["boxes"], target["labels"]))
        judged = box_figures(found, truth, self._num_classes)
        figures = judged.figures() | {"loss": total / max(1, len(truth))}
        if judged.best_score is not None:
            figures[BEST_SCORE] = judged.best_score
        return {VALIDATED + key: value for key, value in figures.items()}


def _bare(model: nn.Module) -> Any:
    """The network inside what distributes it, with its own methods."""
    return getattr(model, "module", model)


def _total(terms: Mapping[str, Tensor]) -> Tensor:
    return torch.stack(list(terms.values())).sum()
