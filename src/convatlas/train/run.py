"""The pieces of a run, which its steps, its judging and its checkpoints share."""

import itertools
import threading
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from convatlas.progress import Progress
from convatlas.train.batch_order import in_fixed_order
from convatlas.train.best import BestWeights
from convatlas.train.checkpoints import Checkpoints
from convatlas.train.ema import weight_average
from convatlas.train.frozen_parts import FrozenParts, let_learn
from convatlas.train.log import RunLog
from convatlas.train.optimizer import build_optimizer, parameter_groups
from convatlas.train.recipe import Recipe
from convatlas.train.run_state import RunState
from convatlas.train.sample_reading import named_samples, tables_of
from convatlas.train.schedule import Plateau
from convatlas.train.stop import StopRequest
from convatlas.train.task import TrainTask
from convatlas.train.way import FastestWay

if TYPE_CHECKING:
    from accelerate import Accelerator


WEIGHTS_S = 0.5  # to wait for the end of what moves the weights


@dataclass(frozen=True)
class RunOptions:
    """What `train` was asked for beside its recipe; the same arguments."""

    limit_s: float | None
    log: RunLog
    stop: StopRequest | None
    progress: Progress
    title: str
    epochs_before: float
    validate_every_s: float
    pretrained_names: Collection[str]
    checkpoints: Checkpoints | None
    judge_stopped: bool


class Run:
    """A network, its batches and all that changes while it trains.

    Attributes:
        model: as accelerate wraps it; `state.network` is the bare one.
        told: hear before each step which share of the run is done.
        start: when it began, by `time.perf_counter`, as if without the time between checkpoints.
        over: nothing more is done, not even judging.
    """

    def __init__(
        self,
        accelerator: "Accelerator",
        model: nn.Module,
        task: TrainTask,
        recipe: Recipe,
        options: RunOptions,
        *,
        fastest_way: FastestWay,
        frozen: FrozenParts,
    ):
        self.accelerator, self.task, self.recipe = accelerator, task, recipe
        self.options, self.progress = options, options.progress
        self.fastest_way, self.frozen = fastest_way, frozen
        self.model = accelerator.prepare(model)
        bare = accelerator.unwrap_model(self.model)
        # After the move, which on some devices gives the network new parameters.
        optimizer = build_optimizer(bare, recipe, options.pretrained_names)
        batches, validation = task.loaders(recipe.batch_size, recipe.seed)
        self.examples = batches.dataset
        batches, self.order = in_fixed_order(batches, recipe.seed)
        validation = named_samples(validation)
        self.reading = tables_of(batches, validation)
        optimizer, self.batches, self.validation = accelerator.prepare(
            optimizer, batches, validation
        )
        average = weight_average(bare, recipe.ema_decay) if recipe.ema_decay else None
        best, plateau = BestWeights(task.metric), Plateau(recipe)
        self.state = RunState(bare, recipe, optimizer, average, best, plateau, options.log)
        # What changes while it trains: a network (paths that freeze), a task (mixing that ends).
        told = (getattr(each, "training_progress", None) for each in (bare, task))
        self.told = [tell for tell in told if tell is not None]
        fastest_way.watch(bare, accelerator)
        self.total_steps = max(1, round(recipe.epochs * len(self.batches)))
        self.bar = self.progress.bar(options.title, total=1.0)
        self.start, self.over = time.perf_counter(), False
        self.weights = threading.Lock()  # held while a step moves them
        self.begun: dict[str, Tensor] | None = None  # what work in hand has changed, as it was
        if options.stop is not None:
            options.stop.late = self.save_last_step

    def batches_of(self, epoch: int, first: int = 0) -> Iterator[Any]:
        """Yield the batches of an epoch, from one of them on."""
        if self.order is None:  # a stream, which cannot begin in its middle
            return itertools.islice(self.batches, first, None)
        self.order.go_to(epoch, first * self.accelerator.num_processes)
        return iter(self.batches)

    def save(self, *, best: bool = False) -> bool:
        """Write a checkpoint; return whether there is one of this step now."""
        state, accelerator, checkpoints = self.state, self.accelerator, self.options.checkpoints
        if checkpoints is None or not accelerator.is_main_process or not state.finite():
            return False
        tensors = state.tensors(accelerator.device)
        values = state.values(accelerator, self.fastest_way.way)
        return checkpoints.save(state.result.steps, tensors, values, best=best)

    def save_last_step(self) -> bool:
        """Write a checkpoint of the last step while the next is computed; for another thread.

        Holds the weights from then on, so that the process has to end.
        """
        state, accelerator, checkpoints = self.state, self.accelerator, self.options.checkpoints
        if checkpoints is None or not self.weights.acquire(timeout=WEIGHTS_S):
            return False
        if self.begun is None or not accelerator.is_main_process or not state.finite():
            return False
        tensors = state.tensors(accelerator.device)
        tensors |= {name: value for name, value in self.begun.items() if name in tensors}
        values = state.values(accelerator, self.fastest_way.way)
        return checkpoints.save(state.result.steps, tensors, values, best=False)

    def stops(self) -> bool:
        """Return whether a stop was asked for; a checkpoint then holds this very step.

        Without one, or where that was asked for, what was reached is judged and kept.
        """
        stop, state = self.options.stop, self.state
        if stop is None or not stop.requested:
            return False
        saved = state.result.steps > 0 and self.save()
        self.over = saved and not self.options.judge_stopped
        state.result.ended, state.result.resumable = "interrupted", saved
        state.done = 1.0
        return True

    def let_all_learn(self) -> None:
        """Train from now on what was frozen."""
        state, names, recipe = self.state, self.frozen.params, self.recipe
        let_learn(state.network, names, learn=True)
        for group in parameter_groups(state.network, recipe, names, self.options.pretrained_names):
            state.optimizer.add_param_group(group)
        self.frozen, state.all_learn = FrozenParts(), True
        self.model.train()
