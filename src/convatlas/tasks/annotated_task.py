"""What the tasks on images with boxes or masks have in common, whatever is marked on them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from convatlas.data.images.annotated import AnnotatedData, AnnotatedFacts
from convatlas.data.images.stored_annotated import learnt_from
from convatlas.models.registry import find_entry
from convatlas.pretrained.checkpoint import Checkpoint
from convatlas.search.space import Candidate
from convatlas.tasks.answers import Evaluation
from convatlas.tasks.images import with_reading
from convatlas.tasks.task import Rows, Task

D = TypeVar("D", bound=AnnotatedData[Any])
E = TypeVar("E", bound=Evaluation)


class AnnotatedTask(Task[D, E]):
    """Answer for parts of an image; what a part is, is left to the task itself."""

    items = "images"
    next = "photo.png"

    def learnt_from(self, stored: Path) -> set[str] | None:
        return learnt_from(stored)

    def with_options(self, facts: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
        return with_reading(facts, options)

    def pretrained(self, checkpoints: Sequence[Checkpoint], data: D) -> Rows:
        """Return the networks whose backbones have public weights."""
        rows = self.fresh([find_entry(each.model) for each in checkpoints], data, fixed_width=True)

        def started(each: Checkpoint) -> list[list[Candidate]]:
            return [[replace(c, checkpoint=each) for c in sweep] for sweep in rows[each.model]]

        return {each.model: started(each) for each in checkpoints}

    def suits_public_weights(self, data: D) -> bool:
        """Return whether images have colours, as the weights expect; few of them are annotated."""
        return data.channels == 3


def check_annotated_run(
    known: AnnotatedFacts, mean: Sequence[float], std: Sequence[float], run: Any
) -> None:
    """Refuse a run whose preprocessing or network does not agree with its data.

    Raises:
        ValueError: names the first thing wrong.
    """
    if not len(mean) == len(std) == known.channels:
        raise ValueError(f"mean and std must have {known.channels} values")
    expected = {"num_classes": len(known.classes), "in_channels": known.channels}
    for option, value in expected.items():
        if run.options.get(option, value) != value:
            raise ValueError(f"options: {option} is {run.options[option]}, not {value}")
