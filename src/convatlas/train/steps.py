"""A step: the loss of a batch, its gradients, and the weights moved against them."""

import time
from typing import Any

from torch import Tensor

from convatlas.train.bad_steps import BadSteps
from convatlas.train.loss_check import finite_gradients
from convatlas.train.random_draws import STEP, seed_of, set_generators
from convatlas.train.run import Run
from convatlas.train.share_done import count_step
from convatlas.train.small_batches import SmallBatches, free_memory

SLOW_S = 0.5  # a step that a stop may not wait for: its running statistics are kept before it


class Steps:
    """Takes the steps of a run."""

    def __init__(self, run: Run, bad_steps: BadSteps):
        self.run, self.bad_steps = run, bad_steps
        self.small_batches = SmallBatches(run)
        self._last_s = 0.0

    def step(self, batch: Any) -> None:
        """Train on a batch."""
        run, start = self.run, time.perf_counter()
        for tell in run.told:
            tell(run.state.done)
        if run.frozen.modules and run.state.done >= run.recipe.freeze_until:
            run.let_all_learn()
        self._set_rate()
        self.bad_steps.begin()
        if self._last_s > SLOW_S:
            run.begun = run.state.buffers(average=False)
        loss, bad = self._gradients(batch)
        if not run.together.alone:
            loss, bad = self._of_all(loss)
        with run.weights:
            self._finish(loss, bad, batch)
            run.begun = None
        self._last_s = time.perf_counter() - start

    def _finish(self, loss: Tensor, bad: tuple[int, float] | None, batch: Any) -> None:
        """Move the weights, or deal with a loss that is no number, and count the step."""
        if bad is None:
            self._update(loss, batch)
        elif not self.bad_steps.skipping:
            self.bad_steps.diverge(*bad, batch)
            return
        else:
            self.bad_steps.leave_out(f"its loss is {bad[1]}", batch)
        count_step(self.run, loss)

    def _gradients(self, batch: Any) -> tuple[Tensor, tuple[int, float] | None]:
        """Compute the loss and its gradients, in smaller batches if memory is short.

        Returns the loss, and what `BadSteps.first` says of it.

        Raises:
            MemoryError | RuntimeError: not enough memory for a single example.
        """
        while True:
            self._seed()
            try:
                found = self._gradients_of_parts(batch)
            except (MemoryError, RuntimeError) as error:
                self.small_batches.shrink(batch, error)
            else:
                self.small_batches.done()
                return found
            # Here, as the error holds what the step has computed until it is forgotten.
            self._begin_anew()

    def _gradients_of_parts(self, batch: Any) -> tuple[Tensor, tuple[int, float] | None]:
        run, losses = self.run, []
        for part, share in self.small_batches.of(batch):
            with run.accelerator.autocast():
                loss = run.task.loss(run.model, part)
            bad = self.bad_steps.first(loss) if run.together.alone else None
            if bad is not None:
                return loss.detach(), bad
            if share != 1:
                loss = share * loss
            run.accelerator.backward(loss)
            losses.append(loss.detach())
        return sum(losses[1:], losses[0]), None

    def _of_all(self, loss: Tensor) -> tuple[Tensor, tuple[int, float] | None]:
        """Add up the gradients of all processes; return what `_gradients` does, of the batch."""
        run, state = self.run, self.run.state
        own = time.perf_counter() - run.start
        loss = run.together.gradients(loss, own, state.micro_batch)
        state.micro_batch = run.together.micro_batch
        return loss, self.bad_steps.first(loss)

    def _begin_anew(self) -> None:
        """Undo what a step did that memory was not enough for.

        Running statistics that it has moved stay so: they are measured anew before a validation.
        """
        run = self.run
        run.state.optimizer.zero_grad()
        self.bad_steps.put_back()
        run.fastest_way.forget()
        free_memory(run.accelerator.device)

    def _set_rate(self) -> None:
        state, recipe = self.run.state, self.run.recipe
        rate = recipe.rate(state.done, state.plateau.dropped)
        for group in state.optimizer.param_groups:
            group["lr"] = recipe.lr * rate * group["lr_scale"]

    def _seed(self) -> None:
        accelerator = self.run.accelerator
        place = (self.run.state.result.steps, accelerator.process_index)
        set_generators(seed_of(self.run.recipe.seed, STEP, *place), accelerator.device)

    def _update(self, loss: Tensor, batch: Any) -> None:
        """Move the weights against the gradients."""
        run, state, accelerator = self.run, self.run.state, self.run.accelerator
        if not state.result.steps:
            run.fastest_way.choose(
                state.network, state.kept, steps=run.total_steps, limit_s=run.options.limit_s
            )
        if run.recipe.clip_norm:
            accelerator.clip_grad_norm_(run.model.parameters(), run.recipe.clip_norm)
        unscaled = accelerator.scaler is None
        if self.bad_steps.skipping and unscaled and not finite_gradients(state.network):
            self.bad_steps.leave_out("a gradient is no finite number", batch)
            return
        state.optimizer.step()
        state.optimizer.zero_grad()
        if state.average is not None:
            state.average.update_parameters(state.network)
        state.losses.append(loss.detach())
        self.bad_steps.none()
