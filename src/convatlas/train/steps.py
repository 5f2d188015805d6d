"""A step: the loss of a batch, its gradients, and the weights moved against them."""

from typing import Any

from torch import Tensor

from convatlas.train.bad_steps import BadSteps
from convatlas.train.loss_check import finite_gradients
from convatlas.train.random_draws import STEP, seed_of, set_generators
from convatlas.train.run import Run
from convatlas.train.share_done import count_step


class Steps:
    """Takes the steps of a run."""

    def __init__(self, run: Run, bad_steps: BadSteps):
        self.run, self.bad_steps = run, bad_steps

    def step(self, batch: Any) -> None:
        """Train on a batch."""
        run = self.run
        for tell in run.told:
            tell(run.state.done)
        if run.frozen.modules and run.state.done >= run.recipe.freeze_until:
            run.let_all_learn()
        self._set_rate()
        self._seed()
        self.bad_steps.begin()
        with run.accelerator.autocast():
            loss = run.task.loss(run.model, batch)
        bad = self.bad_steps.first(loss)
        if bad is None:
            run.accelerator.backward(loss)
            self._update(loss, batch)
        elif not self.bad_steps.skipping:
            self.bad_steps.diverge(*bad, batch)
            return
        else:
            self.bad_steps.leave_out(f"its loss is {bad[1]}", batch)
        count_step(run, loss)

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
