"""Steps that memory is not enough for: taken in smaller batches whose gradients are added up."""

from typing import Any

import torch

from convatlas.errors import short_of_memory
from convatlas.train.run import Run, smallest_batch
from convatlas.train.split_batch import CannotSplit, examples_in, split_batch


class SmallBatches:
    """Says in which parts a batch is trained on, and makes them smaller where memory is short.

    The size stays for the rest of the run, and in its checkpoints. A network with batch norm gets
    two examples at least: one has no variance to normalise by.
    """

    def __init__(self, run: Run):
        self.run = run
        self._smallest = smallest_batch(run.state.network)
        self._begun_with: int | None = None  # examples of the step that was begun anew

    def of(self, batch: Any) -> list[tuple[Any, float]]:
        """Return the parts of a batch, each with its share of the examples."""
        if self.run.state.micro_batch is None:
            return [(batch, 1.0)]
        count = self._count(batch)
        return split_batch(batch, self._parts(count), count)

    def shrink(self, batch: Any, error: BaseException) -> None:
        """Let the step in hand, and those after it, be taken in batches of half the size.

        Raises:
            BaseException: `error`, where it is not about memory or nothing smaller is left.
        """
        run, state = self.run, self.run.state
        if not short_of_memory(error):
            raise error
        try:
            count = self._count(batch)
            before = self._parts(count)
            largest = -(-count // before)
            size = max(self._smallest, (largest + 1) // 2)
            after = self._parts(count, size)
            if after <= before:
                raise error
            split_batch(batch, after, count)
        except CannotSplit as reason:
            run.progress.say(f"a batch cannot be split into smaller ones: {reason}")
            raise error from None
        state.micro_batch = size
        self._begun_with = count

    def done(self) -> None:
        """Say, once the step is through, how it was taken if not as the last one was."""
        if self._begun_with is None:
            return
        norm = "; batch norm sees only these" if self._smallest > 1 else ""
        self.run.progress.say(
            f"not enough memory for a step of {self._begun_with} examples: from now on at most "
            f"{self.run.state.micro_batch} at once, their gradients added up{norm}"
        )
        self._begun_with = None

    def _parts(self, count: int, size: int | None = None) -> int:
        """Return into how many parts a batch is cut."""
        size = size or self.run.state.micro_batch or count
        return max(1, min(-(-count // size), count // self._smallest))

    def _count(self, batch: Any) -> int:
        """Return how many examples a batch has."""
        run = self.run
        place = run.state.result.steps % len(run.batches)
        indices = run.order.indices(place) if run.order is not None else []
        return len(indices) or examples_in(batch)


def free_memory(device: torch.device) -> None:
    """Give back what a step that failed has left in an accelerator's pool."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()
