"""The training loop: one, for every task, readable from top to bottom."""

import itertools
import math
import time
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from convatlas.kernels.layers.choose import CHANNELS_LAST, TORCH
from convatlas.progress import Progress, Silent
from convatlas.train.batch_order import in_fixed_order, names_of, odd_rows
from convatlas.train.best import BestWeights
from convatlas.train.checkpoint import Checkpoint
from convatlas.train.checkpoints import Checkpoints
from convatlas.train.device import on_training_device
from convatlas.train.ema import weight_average
from convatlas.train.frozen_parts import FrozenParts, hold_still, holding, let_learn
from convatlas.train.log import RunLog
from convatlas.train.loss_check import MAX_SKIPPED, LossCheck, finite_gradients
from convatlas.train.optimizer import build_optimizer, parameter_groups
from convatlas.train.random_draws import JUDGING, STEP, seed_of, set_generators
from convatlas.train.recipe import Recipe
from convatlas.train.run_state import RunState, check_recipe, copied_buffers, put_back
from convatlas.train.schedule import Plateau
from convatlas.train.stop import StoppedHere, StopRequest, UntilStopped
from convatlas.train.task import VALIDATED, TrainTask
from convatlas.train.trained import Trained
from convatlas.train.update_bn import BATCHES as STATISTICS
from convatlas.train.update_bn import update_bn
from convatlas.train.way import FastestWay

if TYPE_CHECKING:
    from accelerate import Accelerator

STEPS_BETWEEN_REPORTS = 10
VALIDATION_BATCH = 4  # times the batch of a step, as tasks validate without gradients
STATISTICS_SHARE = 0.2  # of the time at most, for the running statistics before a validation
MIN_STEP_FRACTION = 0.3  # steps get at least this fraction of the time, whatever validation takes


def train(
    model: nn.Module,
    task: TrainTask,
    recipe: Recipe,
    *,
    limit_s: float | None = None,
    log: RunLog | None = None,
    stop: StopRequest | None = None,
    progress: Progress | None = None,
    title: str = "training",
    epochs_before: float = 0.0,
    validate_every_s: float = 0.0,
    pretrained_names: Collection[str] = (),
    way: str | None = None,
    frozen: FrozenParts | None = None,
    checkpoints: Checkpoints | None = None,
) -> Trained:
    """Train in place; the model ends with the averaged weights that were validated best.

    `figures` of the result are theirs, and `kept_epoch` says when that was. The model comes back to
    the device that it was on.

    The learning rate follows the share of the run that is done, by steps or by time, whichever
    is further: a run that its time limit ends has still gone through its whole schedule.

    A network that changes while it trains (paths that freeze) has `training_progress(share)`, which
    is called before every step with the share of the run that is done, from 0 to under 1. So may a
    task.

    What is drawn at random is a function of (seed, step), and the order of examples one of (seed,
    epoch). With `checkpoints` the run goes on from the newest, and ends with the weights and
    figures of a run that was never interrupted, as long as no time limit decides anything.

    On a CPU, a run that is long enough finds out in its first step whether the network trains
    faster with the CPU kernels or in torch's other memory format, with 5 % of its time at most, and
    goes on that way. Results differ by rounding (and by dropout of maps, which torch draws in the
    order of memory); the layers are torch's again at the end.

    Args:
        limit_s: wall-clock limit in seconds, the last validation included: it is kept time for,
            as measured, or before the first one as the steps let expect.
        stop: asked before every step, and within a validation where there are checkpoints.
        epochs_before: epochs that the network was trained for already; the log and the bar count
            on from there.
        validate_every_s: at least so long between validations; 0 validates every epoch.
        pretrained_names: names of parameters that were trained before, which move more slowly.
        frozen: parts that keep their weights and, as they stay in evaluation mode, the running
            statistics of their norms; such a network is not trained by the CPU kernels.
        way: None finds out how the network trains fastest; "torch" leaves it as it is; others are
            in `convatlas.kernels.layers.choose`.
        checkpoints: where they are written to, and the newest is taken from.

    Raises:
        DataError: the newest checkpoint is of another network, recipe or version.
    """
    from accelerate.utils import set_seed

    checkpoint = checkpoints.newest() if checkpoints is not None else None
    if checkpoint is not None:
        check_recipe(checkpoint, recipe)
        way = checkpoint.values["way"]
    set_seed(recipe.seed)
    frozen = frozen or FrozenParts()
    if frozen.modules and way != CHANNELS_LAST:
        way = TORCH
    progress = progress or Silent()
    with (
        on_training_device(model, recipe.precision) as accelerator,
        holding(model, frozen),
        FastestWay(model, way, progress.say) as fastest_way,
    ):
        loop = Loop(
            accelerator,
            model,
            task,
            recipe,
            limit_s=limit_s,
            log=log or RunLog(),
            stop=stop,
            progress=progress,
            title=title,
            epochs_before=epochs_before,
            validate_every_s=validate_every_s,
            pretrained_names=pretrained_names,
            fastest_way=fastest_way,
            frozen=frozen,
            checkpoints=checkpoints,
        )
        if checkpoint is not None:
            loop.take(checkpoint)
        return loop.run()


class Loop:
    """One run: its pieces, and what is done with them in which order; arguments as of `train`."""

    def __init__(
        self,
        accelerator: "Accelerator",
        model: nn.Module,
        task: TrainTask,
        recipe: Recipe,
        *,
        limit_s: float | None,
        log: RunLog,
        stop: StopRequest | None,
        progress: Progress,
        title: str,
        epochs_before: float,
        validate_every_s: float,
        pretrained_names: Collection[str],
        fastest_way: FastestWay,
        frozen: FrozenParts,
        checkpoints: Checkpoints | None,
    ):
        self.accelerator, self.task, self.recipe = accelerator, task, recipe
        self.limit_s, self.stop, self.progress = limit_s, stop, progress
        self.epochs_before, self.validate_every_s = epochs_before, validate_every_s
        self.pretrained_names, self.fastest_way = pretrained_names, fastest_way
        self.frozen, self.checkpoints = frozen, checkpoints
        self.model = accelerator.prepare(model)
        bare = accelerator.unwrap_model(self.model)
        # After the move, which on some devices gives the network new parameters.
        optimizer = build_optimizer(bare, recipe, pretrained_names)
        batches, validation = task.loaders(recipe.batch_size, recipe.seed)
        self.examples = batches.dataset
        batches, self.order = in_fixed_order(batches, recipe.seed)
        optimizer, self.batches, self.validation = accelerator.prepare(
            optimizer, batches, validation
        )
        average = weight_average(bare, recipe.ema_decay) if recipe.ema_decay else None
        best, plateau = BestWeights(task.metric), Plateau(recipe)
        self.state = RunState(bare, recipe, optimizer, average, best, plateau, log)
        # What changes while it trains: a network (paths that freeze), a task (mixing that ends).
        told = (getattr(each, "training_progress", None) for each in (bare, task))
        self.told = [tell for tell in told if tell is not None]
        self.check = LossCheck(accelerator.device, at_once=recipe.on_nan == "skip")
        fastest_way.watch(bare, accelerator)
        self.total_steps = max(1, round(recipe.epochs * len(self.batches)))
        self.bar = progress.bar(title, total=1.0)
        self.start = time.perf_counter()
        self.over, self.left_out = False, 0
        self.before: list[Tensor] = []  # the buffers, before a step that may be left out

    def take(self, checkpoint: Checkpoint) -> None:
        """Go on from a checkpoint."""
        if checkpoint.values["all_learn"]:
            self._let_all_learn()
        self.state.take(checkpoint, self.accelerator)
        self.start = time.perf_counter() - self.state.result.seconds
        steps, epochs = self.state.result.steps, self.state.result.epochs
        total = f"{self.total_steps:,}"
        self.progress.say(f"going on after step {steps:,} of {total}, {epochs:.1f} epochs")

    def run(self) -> Trained:
        """Train until the end, or until something ends it earlier."""
        while (self.state.done < 1 or self.state.judging) and not self.over:
            if not self.state.judging:
                self._train_epoch()
            if not self.over:
                self._close_epoch()
        self.bar.close()
        state = self.state
        state.network.load_state_dict(state.kept.state_dict())
        state.best.restore(state.network)
        state.result.figures, state.result.kept_epoch = state.best.figures, state.best.epoch
        return state.result

    def _train_epoch(self) -> None:
        """Take the steps that are left of an epoch."""
        state = self.state
        self.model.train()
        hold_still(state.network, self.frozen.modules)
        for batch in self._batches_of(state.epoch, state.place):
            if self._stops():
                return
            self._step(batch)
            if self.over or state.done >= 1:
                return
            if self.checkpoints is not None and self.checkpoints.due(epoch_ends=False):
                self._save()

    def _batches_of(self, epoch: int, first: int = 0) -> Iterator[Any]:
        """Yield the batches of an epoch, from one of them on."""
        if self.order is None:  # a stream, which cannot begin in its middle
            return itertools.islice(self.batches, first, None)
        self.order.go_to(epoch, first * self.accelerator.num_processes)
        return iter(self.batches)

    def _stops(self) -> bool:
        """Return whether a stop was asked for; a checkpoint then holds this very step.

        Without one, what was reached is judged and kept.
        """
        if self.stop is None or not self.stop.requested:
            return False
        state = self.state
        self.over = state.result.steps > 0 and self._save()
        state.result.ended, state.result.resumable = "interrupted", self.over
        state.done = 1.0
        return True

    def _step(self, batch: Any) -> None:
        state, recipe, device = self.state, self.recipe, self.accelerator.device
        for tell in self.told:
            tell(state.done)
        if self.frozen.modules and state.done >= recipe.freeze_until:
            self._let_all_learn()
        rate = recipe.rate(state.done, state.plateau.dropped)
        for group in state.optimizer.param_groups:
            group["lr"] = recipe.lr * rate * group["lr_scale"]
        place = (state.result.steps, self.accelerator.process_index)
        set_generators(seed_of(recipe.seed, STEP, *place), device)
        if recipe.on_nan == "skip":
            self.before = copied_buffers(state.network)
        with self.accelerator.autocast():
            loss = self.task.loss(self.model, batch)
        judged: Any = loss.detach()
        if self.accelerator.num_processes > 1:  # all processes stop, or leave it out, together
            judged = self.accelerator.reduce(judged, "mean")
        bad = self.check.first_bad(state.result.steps, judged)
        if bad is None:
            self._update(loss, batch)
        elif recipe.on_nan == "stop":
            self._diverge(*bad, batch)
            return
        else:
            self._leave_out(f"its loss is {bad[1]}", batch)
        self._count(loss)

    def _update(self, loss: Tensor, batch: Any) -> None:
        """Move the weights against the gradient of a loss."""
        state, recipe, accelerator = self.state, self.recipe, self.accelerator
        accelerator.backward(loss)
        if not state.result.steps:
            self.fastest_way.choose(
                state.network, state.kept, steps=self.total_steps, limit_s=self.limit_s
            )
        if recipe.clip_norm:
            accelerator.clip_grad_norm_(self.model.parameters(), recipe.clip_norm)
        if (
            recipe.on_nan == "skip"
            and accelerator.scaler is None
            and not finite_gradients(state.network)
        ):
            self._leave_out("a gradient is no finite number", batch)
            return
        state.optimizer.step()
        state.optimizer.zero_grad()
        if state.average is not None:
            state.average.update_parameters(state.network)
        state.losses.append(loss.detach())
        self.left_out = 0

    def _count(self, loss: Tensor) -> None:
        """Take a step into account: how far the run is, by steps or by time."""
        state, result = self.state, self.state.result
        result.steps += 1
        state.place += 1
        result.epochs = result.steps / len(self.batches)
        result.seconds = time.perf_counter() - self.start
        state.done = result.steps / self.total_steps
        if self.limit_s is not None:
            state.done = max(state.done, result.seconds / self._seconds_of_steps(self.limit_s))
        if result.steps % STEPS_BETWEEN_REPORTS == 0:
            self.bar.update(min(1.0, state.done), note=self._note(loss))
        if state.done >= 1:
            result.ended = "epochs" if result.steps >= self.total_steps else "time"

    def _seconds_of_steps(self, limit_s: float) -> float:
        """Return the time within a limit that the last validation leaves."""
        state, result = self.state, self.state.result
        if not state.best.figures:  # a forward pass is about a third of a step
            batches = len(self.batches)
            passes = len(self.validation) * VALIDATION_BATCH + min(STATISTICS, batches)
            stepping = result.seconds - self.fastest_way.measuring_s
            state.closing_s = passes * stepping / result.steps / 3
        return max(MIN_STEP_FRACTION * limit_s, limit_s - state.closing_s)

    def _close_epoch(self) -> None:
        """Judge what an epoch reached, if it is time for that, and write it down."""
        state, result = self.state, self.state.result
        bad = self.check.rest()
        if bad is not None:
            self._diverge(*bad, None)
            return
        if not result.steps:  # stopped before the first: there is nothing to judge
            self.over = True
            return
        since = time.perf_counter() - self.start - state.validated_s
        judged = state.judging or state.done >= 1 or since >= self.validate_every_s
        if judged and not self._judge():
            return
        if state.done < 1:
            state.epoch, state.place = state.epoch + 1, 0
        if self.checkpoints is not None and self.checkpoints.due(epoch_ends=True):
            self._save(best=judged and state.best.epoch == result.epochs)

    def _judge(self) -> bool:
        """Validate and log; return whether no stop came between, which a checkpoint then holds."""
        state, result, now = self.state, self.state.result, time.perf_counter()
        before = copied_buffers(state.kept)
        state.judging = True
        try:
            figures = self._validated()
        except StoppedHere:
            put_back(state.kept, before)
            self._stops()
            self.over = True
            return False
        state.judging, state.closing_s = False, time.perf_counter() - now
        state.best.consider(state.kept, figures, result.epochs)
        result.figures = state.best.figures
        state.validated_s = now - self.start
        result.seconds = time.perf_counter() - self.start
        losses, state.losses = state.losses, []
        state.log.write(
            epoch=round(self.epochs_before + result.epochs, 2),
            step=result.steps,
            seconds=round(result.seconds, 3),
            lr=self.recipe.lr * self.recipe.rate(min(1.0, state.done), state.plateau.dropped),
            train_loss=float(torch.stack(losses).mean()) if losses else math.nan,
            **figures,
            kept_epoch=round(self.epochs_before + state.best.epoch, 2),
        )
        state.plateau.validated(state.done, state.best.epoch / self.recipe.epochs)
        if state.done < 1 and 0 < self.recipe.patience <= result.epochs - state.best.epoch:
            result.ended, state.done = "patience", 1.0
        return True

    def _validated(self) -> dict[str, float]:
        """Return the figures of the network that is kept, its running statistics measured anew."""
        state, task = self.state, self.task
        seed = seed_of(self.recipe.seed, JUDGING, state.result.steps)
        set_generators(seed, self.accelerator.device)
        batches: Any = self._batches_of(state.epoch + 1)
        validation: Any = self.validation
        if self.checkpoints is not None and self.stop is not None:
            batches = UntilStopped(batches, self.stop)
            validation = UntilStopped(validation, self.stop)
        update_bn(
            state.kept,
            batches,
            lambda batch: task.loss(state.kept, batch),
            most_s=math.inf if self.limit_s is None else STATISTICS_SHARE * self.limit_s,
            frozen=self.frozen.modules,
        )
        return task.validate(state.kept, validation, self.accelerator.gather_for_metrics)

    def _save(self, *, best: bool = False) -> bool:
        """Write a checkpoint; return whether there is one of this step now."""
        state, accelerator = self.state, self.accelerator
        if self.checkpoints is None or not accelerator.is_main_process or not state.finite():
            return False
        tensors = state.tensors(accelerator.device)
        values = state.values(accelerator, self.fastest_way.way)
        return self.checkpoints.save(state.result.steps, tensors, values, best=best)

    def _let_all_learn(self) -> None:
        """Train from now on what was frozen."""
        state, names = self.state, self.frozen.params
        let_learn(state.network, names, learn=True)
        for group in parameter_groups(state.network, self.recipe, names, self.pretrained_names):
            state.optimizer.add_param_group(group)
        self.frozen, state.all_learn = FrozenParts(), True
        self.model.train()

    def _diverge(self, step: int, loss: float, batch: Any) -> None:
        self.over, self.state.result.ended = True, "diverged"
        self.state.result.reason = f"the loss is {loss} at {self._words(step, batch)}"

    def _leave_out(self, why: str, batch: Any) -> None:
        """Go on without a step; if there are many in a row, do not."""
        step = self.state.result.steps
        self.state.optimizer.zero_grad()
        put_back(self.state.network, self.before)
        self.left_out += 1
        self.progress.say(f"left out, as {why}: {self._words(step, batch)}")
        if self.left_out >= MAX_SKIPPED:
            self._diverge(step, math.nan, batch)

    def _words(self, step: int, batch: Any) -> str:
        """Return which step it is, of which examples."""
        place = step % len(self.batches)
        indices = self.order.indices(place) if self.order is not None else []
        current = step == self.state.result.steps
        odd = [indices[row] for row in odd_rows(batch, len(indices))] if current else []
        of = f"of {names_of(self.examples, odd or indices)}" if indices else "of a stream"
        which = "inputs that are no numbers, " if odd else ""
        return f"step {step + 1:,} (epoch {step // len(self.batches) + 1}), {which}{of}"

    def _note(self, loss: Tensor) -> str:
        result, metric = self.state.result, self.task.metric
        epoch = self.epochs_before + result.epochs
        rate = result.steps * self.recipe.batch_size / result.seconds
        value = result.figures.get(VALIDATED + metric.key)
        reached = f", val {metric.text(value)}" if value is not None else ""
        return f"epoch {epoch:.1f}, {rate:.0f} items/s, loss {loss.item():.3f}{reached}"
