"""Classification of sounds: a random window of each in training, the mean of all in validation."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader

from convatlas.train.task import VALIDATED
from convatlas.train.tasks.classify import Classify, answer_figures, hits_by_class

Mix = Callable[[Tensor], tuple[Tensor, Tensor, float]]
MIN_PROBABILITY = 1e-9


class ClassifySounds(Classify):
    """What the classification of sounds brings to the loop.

    The validation data give (features of a window, place of its sound). The other arguments are
    those of `Classify`, but that sounds are changed after they were normalised.

    Args:
        labels: the class of each validation sound. Shape: (sounds,)
        mixed: mixes the sounds of a batch in training; None leaves them alone.
    """

    def __init__(self, *args, labels: Tensor, mixed: Mix | None = None, **options):
        super().__init__(*args, **options)
        self._labels, self._mix = labels, mixed

    def loss(self, model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        """Return the mean cross-entropy of one augmented batch, mixed where that is asked for."""
        own = getattr(getattr(model, "module", model), "loss", None) if model.training else None
        sounds, labels = batch
        changed = self._augment(self._normalise(sounds))
        if own is not None:
            return own(model(changed), labels, self._criterion)
        if self._mix is None:
            return self._criterion(model(changed), labels)
        mixture, others, share = self._mix(changed)
        logits = model(mixture)
        first, second = (self._criterion(logits, each) for each in (labels, labels[others]))
        return share * first + (1 - share) * second

    @torch.no_grad()
    def validate(self, model: nn.Module, loader: DataLoader, gather: Callable) -> dict[str, float]:
        """Return `val_loss`, `val_accuracy` (0..1) and the metric of the windows' mean answers.

        Raises:
            ValueError: the network answers for another number of classes.
        """
        model.eval()
        sums = torch.zeros(len(self._labels), self._num_classes)
        for sounds, places in loader:
            logits, places = gather((model(self._normalise(sounds)), places))
            if logits.shape[1] != self._num_classes:
                raise ValueError(
                    f"ClassifySounds: the network must answer for {self._num_classes} classes, "
                    f"got {logits.shape[1]}"
                )
            answers = torch.softmax(logits.float(), dim=1).cpu()
            sums.index_add_(0, places.cpu(), answers)
        mean = sums / sums.sum(dim=1, keepdim=True).clamp(min=MIN_PROBABILITY)
        loss = functional.nll_loss(mean.clamp(min=MIN_PROBABILITY).log(), self._labels)
        figures = answer_figures(*hits_by_class(mean, self._labels), float(loss), self.metric)
        return {VALIDATED + key: value for key, value in figures.items()}
