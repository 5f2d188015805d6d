"""Steps that no weights can follow: they end the run, or are left out, and name their examples."""

import math
from typing import Any

from torch import Tensor

from convatlas.train.batch_names import names_of
from convatlas.train.batch_order import odd_rows
from convatlas.train.loss_check import MAX_SKIPPED, LossCheck
from convatlas.train.run import Run
from convatlas.train.run_state import copied_buffers, put_back


class BadSteps:
    """Looks at the loss of each step, and deals with those that are no finite number."""

    def __init__(self, run: Run):
        self.run, self.skipping = run, run.recipe.on_nan == "skip"
        self._check = LossCheck(run.accelerator.device, at_once=self.skipping)
        self._in_a_row = 0
        self._before: list[Tensor] = []  # the buffers, before a step that may be left out

    def begin(self) -> None:
        """Keep what a step changes before its loss is known."""
        if self.skipping:
            self._before = copied_buffers(self.run.state.network)

    def put_back(self) -> None:
        """Give the network back what `begin` kept, if anything."""
        if self.skipping:
            put_back(self.run.state.network, self._before)

    def first(self, loss: Tensor) -> tuple[int, float] | None:
        """Return the step whose loss is no finite number, and that loss; None while all are."""
        return self._check.first_bad(self.run.state.result.steps, loss.detach())

    def rest(self) -> bool:
        """Check the losses that were not checked yet; return whether one ended the run."""
        bad = self._check.rest()
        if bad is not None:
            self.diverge(*bad, None)
        return bad is not None

    def none(self) -> None:
        """Take into account that a step was as it should be."""
        self._in_a_row = 0

    def diverge(self, step: int, loss: float, batch: Any) -> None:
        """End the run at a step."""
        result = self.run.state.result
        self.run.over, result.ended = True, "diverged"
        result.reason = f"the loss is {loss} at {self._words(step, batch)}"

    def leave_out(self, why: str, batch: Any) -> None:
        """Go on without a step; if there are many in a row, do not."""
        state = self.run.state
        state.optimizer.zero_grad()
        self.put_back()
        self._in_a_row += 1
        step = state.result.steps
        self.run.progress.say(f"left out, as {why}: {self._words(step, batch)}")
        if self._in_a_row >= MAX_SKIPPED:
            self.diverge(step, math.nan, batch)

    def _words(self, step: int, batch: Any) -> str:
        """Return which step it is, of which examples."""
        run, batches = self.run, len(self.run.batches)
        indices = run.order.indices(step % batches) if run.order is not None else []
        current = step == run.state.result.steps
        odd = [indices[row] for row in odd_rows(batch, len(indices))] if current else []
        if not run.together.alone:  # the others name theirs now, too
            of_all = run.together.processes.all_of
            odd, indices = (list(dict.fromkeys(of_all(each))) for each in (odd, indices))
        of = f"of {names_of(run.examples, odd or indices)}" if indices else "of a stream"
        which = "inputs that are no numbers, " if odd else ""
        return f"step {step + 1:,} (epoch {step // batches + 1}), {which}{of}"
