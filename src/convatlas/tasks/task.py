"""What a task is: how its data are opened, its networks trained, used, judged and shown.

A task holds no state. It is one file in this room, named in `convatlas.tasks.TASKS`; everything
above (the pipeline, the command line) asks it and knows nothing else of it.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

from torch import nn

from convatlas.data.dataset import Dataset
from convatlas.data.statistics import Statistics
from convatlas.deploy.predictor import Item, Predictor
from convatlas.errors import UsageError
from convatlas.explain.contact_sheet import Sample
from convatlas.metric import Metric
from convatlas.models.registry import Entry
from convatlas.pretrained.checkpoint import Checkpoint
from convatlas.progress import Progress
from convatlas.search.space import Candidate
from convatlas.tasks.answers import Evaluation, Prediction
from convatlas.tasks.report_content import ReportContent
from convatlas.tasks.trial_data import TrialData
from convatlas.train.recipe import Recipe

Rows = Mapping[str, Sequence[Sequence[Candidate]]]  # by network: each size, largest first


D = TypeVar("D", bound=Dataset)
E = TypeVar("E", bound=Evaluation)


class Task(ABC, Generic[D, E]):
    """How the data of a task are opened and its networks trained, used, judged and shown.

    Attributes:
        name: as `register` and `--task` take it.
        metric: decides between networks, unless an option asks for another.
        borrows: further tasks whose networks suit this one: those of images suit spectrograms.
        before: tasks whose looser layouts such data have as well: an image folder with boxes is
            one of images, too.
        items: what an example is called, in the plural: `images`.
        layouts: of data that it takes, a line each.
        columns: headings of `Prediction.rows`.
        right: those of them that are flush right.
        next: what a new file is called in a command: `photo.png`.
        asking: what `predict` does, for the report: `Classify new images`.
        by_folds: whether its `TrialData` is a `FoldData` as well.
        recipe: how its networks are trained, unless the user says otherwise.
        transfer_recipe: the same from public weights.
    """

    name: str
    metric: Metric
    borrows: Sequence[str] = ()
    before: Sequence[str] = ()
    items: str
    layouts: Sequence[str]
    columns: Sequence[str]
    right: Sequence[str] = ()
    next: str
    asking: str
    by_folds: bool = False
    recipe: Recipe = Recipe()
    transfer_recipe: Recipe = Recipe()

    # Its data

    @abstractmethod
    def takes(self, source: str | Path) -> bool:
        """Return whether the data look like those of this task."""

    @abstractmethod
    def check_options(self, options: Mapping[str, Any]) -> None:
        """Refuse options of the task that cannot be used, before anything is read.

        Raises:
            UsageError: the option is unknown, or its value is none.
        """

    @abstractmethod
    def open(
        self,
        source: str | Path,
        *,
        seed: int,
        max_broken: float,
        options: Mapping[str, Any],
        progress: Callable[[int, int], None],
    ) -> D:
        """Open data for training: every file is read once, and what is wrong is named."""

    @abstractmethod
    def open_test(
        self,
        source: str | Path,
        facts: Mapping[str, Any],
        *,
        max_broken: float,
        progress: Callable[[int, int], None],
    ) -> D:
        """Open labelled data for judging: one split, `test`, whose answers suit the facts."""

    @abstractmethod
    def reopen(self, stored: Path, source: str | Path | None, facts: Mapping[str, Any]) -> D:
        """Open the splits that `Dataset.save` wrote.

        Args:
            source: where the data lie now, if they moved.

        Raises:
            DataError: the file is damaged, says otherwise than the facts, or data are gone.
        """

    @abstractmethod
    def learnt_from(self, stored: Path) -> set[str] | None:
        """Return the digests of what was trained or validated on, from what `Dataset.save` wrote.

        None where a run of an older version stored none. The data themselves may be gone.
        """

    def unseen(self, data: D, split: Any, known: set[str]) -> list[int]:
        """Return the places of a split's examples that a run was not trained on.

        Args:
            known: digests of what it was trained on.
        """
        return [i for i, file in enumerate(split.files) if data.digests.get(file) not in known]

    @abstractmethod
    def with_options(self, facts: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
        """Return facts for reading files otherwise than the run did; None changes nothing."""

    def facts_for_answers(
        self, facts: Mapping[str, Any], validation: Mapping[str, float]
    ) -> Mapping[str, Any]:
        """Return facts with what the validation found to be best for answers, such as a score.

        Args:
            validation: figures of the chosen network on the validation split.
        """
        return facts

    def answer_notes(self, facts: Mapping[str, Any]) -> list[str]:
        """Return what people should know of the answers that `predict` shows, a sentence each."""
        return []

    def prediction_doubts(self, predictions: Sequence[Any]) -> list[str]:
        """Return what speaks against trusting some of the answers, a sentence each."""
        return []

    @abstractmethod
    def check(self, facts: Mapping[str, Any], settings: Mapping[str, Any], run: Any) -> None:
        """Refuse what no run can have said.

        Args:
            run: its `RunConfig`, for what must agree with options, input and figures.

        Raises:
            ValueError: names the first thing wrong.
        """

    # Its networks

    @abstractmethod
    def fresh(self, entries: Sequence[Entry], data: D, *, fixed_width: bool) -> Rows:
        """Return networks with fresh weights, at the sizes and widths worth trying.

        Args:
            fixed_width: the user asked for this very network.
        """

    @abstractmethod
    def pretrained(self, checkpoints: Sequence[Checkpoint], data: D) -> Rows:
        """Return networks that start from public weights, at the sizes that suit them."""

    def at_size(self, entry: Entry, data: D, size: int) -> Candidate:
        """Return a network with fresh weights for inputs of a size, where the task has sizes.

        Raises:
            UsageError: it has none.
        """
        raise UsageError(f"size: networks of the task {self.name} take inputs as the data are")

    def suits_public_weights(self, data: D) -> bool:
        """Return whether the inputs are of the kind that public weights were trained on."""
        return False

    @abstractmethod
    def input_words(self, example: Mapping[str, Any]) -> str:
        """Return the form of an input in words: `32 px`."""

    def metric_for(self, options: Mapping[str, Any]) -> Metric:
        """Return the metric that decides, where the options may ask for another than `metric`."""
        return self.metric

    @abstractmethod
    def trial_data(
        self, data: D, recipe: Recipe, options: Mapping[str, Any], progress: Progress
    ) -> TrialData:
        """Return the data as networks are trained with them.

        Args:
            options: of the task, as `check_options` let them pass.
        """

    def form_words(self, candidate: Candidate) -> str:
        """Return the form of a candidate's input in words, with how it is prepared."""
        return self.input_words(candidate.example)

    def other_forms(
        self, candidate: Candidate, data: D, options: Mapping[str, Any]
    ) -> list[Candidate]:
        """Return the candidate with inputs prepared in other ways that are worth trying as well."""
        return []

    @abstractmethod
    def settings(self, candidate: Candidate, facts: Mapping[str, Any]) -> dict[str, Any]:
        """Return settings of a predictor as far as they are known without the data."""

    @abstractmethod
    def predictor(
        self, network: nn.Module, settings: Mapping[str, Any], facts: Mapping[str, Any]
    ) -> Predictor:
        """Return pre-processing, network and post-processing as one module."""

    # Its answers

    @abstractmethod
    def sample(self, split: Any, count: int) -> Sequence[Item]:
        """Read evenly spaced inputs for the predictor, fewer where they are large."""

    def small(self, item: Any) -> Item:
        """Return an input cut to what a run folder may keep."""
        return item

    @abstractmethod
    def predict(
        self,
        predictor: Callable[[], Predictor],
        asked: Any,
        facts: Mapping[str, Any],
        progress: Progress,
    ) -> tuple[int | None, Iterator[Prediction]]:
        """Answer files, or inputs in memory, in order; what cannot be read gets an error.

        Args:
            predictor: gives it; called only where there is something to answer.

        Returns how many answers there will be, where that is known, and the answers.
        """

    @abstractmethod
    def evaluate(
        self, predictor: Predictor, split: Any, facts: Mapping[str, Any], progress: Progress
    ) -> E:
        """Answer every example of a split."""

    def by_crops(self, predictor: Predictor, crops: int) -> Predictor:
        """Return what answers an input by several parts of it.

        Raises:
            UsageError: the task has no such answers, or not from this number of parts.
        """
        raise UsageError(f"crops are parts of images with one class; this is the task {self.name}")

    def judged_by(self, evaluation: E, metric: Metric) -> E:
        """Return answers whose words, interval and doubts are about a metric of the task."""
        return evaluation

    def cannot_tell(self, first: float, second: float, count: int) -> bool:
        """Return whether `count` examples cannot tell two values of the metric apart."""
        return False

    def noise(self, count: int, around: float) -> str | None:
        """Return the difference below which `count` examples tell no two networks apart.

        Args:
            around: the metric of the better one.

        Returns it in words, such as `20 points`; None where it is not known.
        """
        return None

    # What is shown

    def preview(self, data: D, split: str, place: int) -> Sample | None:
        """Return a picture of an example with its answer; None where the task draws none.

        Raises:
            DataError: the example cannot be read.
        """
        return None

    def augmented_previews(
        self, data: D, split: str, places: Sequence[int], size: int, seed: int
    ) -> list[Sample] | None:
        """Return examples as a network of that input size gets them in training; None for none.

        Raises:
            DataError: an example cannot be read.
        """
        return None

    def statistics(
        self, data: D, split: str, progress: Callable[[int, int], None]
    ) -> list[Statistics]:
        """Return figures of the examples of a split, beside the balance of classes.

        Args:
            progress: called with the examples read and their total.

        Raises:
            DataError: an example cannot be read.
        """
        return []

    def describe_facts(self, facts: Mapping[str, Any]) -> list[tuple[str, str]]:
        """Return what people should know of the facts, in rows: name and value."""
        return []

    @abstractmethod
    def csv_columns(self, top: int) -> list[str]:
        """Return the headings of `Prediction.cells`."""

    def json_answers(self, predictions: Sequence[Prediction], facts: Mapping[str, Any]) -> Any:
        """Return answers as a JSON file holds them: in a form of the field, if it has one."""
        return predictions

    @abstractmethod
    def describe_settings(
        self, settings: Mapping[str, Any], facts: Mapping[str, Any]
    ) -> list[tuple[str, str]]:
        """Return how inputs are prepared, in rows of a table: name and value."""

    @abstractmethod
    def show(self, evaluation: E, data: D, scan: Mapping[str, Any]) -> ReportContent:
        """Return what the report shows of the answers and the data."""

    @abstractmethod
    def runtime_code(self, path: Path, run: Any) -> str:
        """Return Python code that uses the exported file without this package."""


AnyTask = Task[Any, Any]
