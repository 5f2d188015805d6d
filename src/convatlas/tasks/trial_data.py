"""The data of a contest between networks, whatever they are."""

from collections.abc import Iterable, Sequence
from typing import Any, Protocol, runtime_checkable

from torch import Tensor
from torch.utils.data import Dataset

from convatlas.progress import Progress
from convatlas.search.space import Candidate
from convatlas.train.recipe import Recipe
from convatlas.train.task import TrainTask


class TrialData(Protocol):
    """The training and validation data of a contest between networks, in the form of each."""

    progress: Progress

    def training_options(self) -> dict[str, Any]:
        """Return how the task trains beside the recipe, for `run.json` and the report."""
        ...

    def settings(self, candidate: Candidate) -> dict[str, Any]:
        """Return the settings of the candidate's predictor, as the training data suggest."""
        ...

    def read(self, candidate: Candidate) -> None:
        """Read the data in the candidate's form, before its training time runs."""
        ...

    def is_read(self, candidate: Candidate) -> bool:
        """Return whether `read` has nothing left to do."""
        ...

    def all_read(self) -> None:
        """Give back what was only kept for `read`: training needs the memory."""
        ...

    def keep(self, candidates: Iterable[Candidate]) -> None:
        """Free what none of these candidates needs."""
        ...

    def training(self, candidate: Candidate, recipe: Recipe, judged: int | None) -> TrainTask:
        """Return batches, loss and validation for the candidate.

        Args:
            judged: of the validation examples, the same part each time; None takes all.
        """
        ...


@runtime_checkable
class FoldData(Protocol):
    """What a `TrialData` offers where training and validation examples together can be folded."""

    def folds(self, count: int, seed: int) -> dict[str, list[int]]:
        """Return the fold of each example of `train` and of `val`, from 0 on.

        There are fewer than `count` where the data have folds of their own, and fewer of them.
        """
        ...

    def fold(self, candidate: Candidate, numbers: dict[str, list[int]], held: int) -> TrainTask:
        """Return batches and loss of all folds but one, and validation on that one.

        Args:
            numbers: as `folds` gave them.
            held: the fold that is not trained on.
        """
        ...


@runtime_checkable
class FeatureData(Protocol):
    """What a `TrialData` offers where a linear classifier on frozen features answers the task."""

    def frozen_batches(
        self, candidate: Candidate, split: str, rows: Sequence[int] | None
    ) -> Iterable[tuple[Tensor, Tensor]]:
        """Return inputs and labels as the predictor gives inputs to the network: not augmented.

        Args:
            split: `train` or `val`.
            rows: of the split, in the order wanted; None takes all in their order.
        """
        ...

    def training_on(self, train: Dataset, val: Dataset) -> TrainTask:
        """Return batches, loss and validation for the rest of a network.

        Args:
            train: pairs of what the layers before the rest give, and the label; `val`, too.
        """
        ...

    def figures(self, logits: Tensor, labels: Tensor) -> dict[str, float]:
        """Return the task's metric and `loss` of answers, as validation figures have them."""
        ...

    def example_weights(self, labels: Tensor) -> Tensor | None:
        """Return how much each example counts in the loss; None where all count alike."""
        ...
