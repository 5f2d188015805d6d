"""The pieces of a run, which its steps, its judging and its checkpoints share."""

import itertools
import threading
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.data import DataLoader

from convatlas.progress import Progress
from convatlas.train.batch_order import in_fixed_order
from convatlas.train.best import BestWeights
from convatlas.train.checkpoints import Checkpoints
from convatlas.train.ema import weight_average
from convatlas.train.frozen_parts import FrozenParts, let_learn
from convatlas.train.log import RunLog
from convatlas.train.optimizer import build_optimizer, parameter_groups
from convatlas.train.processes import Processes
from convatlas.train.recipe import Recipe
from convatlas.train.run_state import RunState
from convatlas.train.sample_reading import named_samples, tables_of
from convatlas.train.schedule import Plateau
from convatlas.train.split_batch import examples_in, split_batch
from convatlas.train.stop import StopRequest
from convatlas.train.task import TrainTask
from convatlas.train.together import Together
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
        together: what the processes of the run have in common.
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
        processes: Processes,
    ):
        self.accelerator, self.task, self.recipe = accelerator, task, recipe
        self.options, self.progress = options, options.progress
        self.fastest_way, self.frozen = fastest_way, frozen
        # As for evaluation in several processes: `Together` adds up the gradients.
        self.model = (
            accelerator.prepare(model)
            if processes.alone
            else accelerator.prepare_model(model, evaluation_mode=True)
        )
        bare = accelerator.unwrap_model(self.model)
        self.together = Together(processes, bare, options.stop)
        # After the move, which on some devices gives the network new parameters.
        optimizer = build_optimizer(bare, recipe, options.pretrained_names)
        batches, validation = task.loaders(recipe.batch_size, recipe.seed)
        self.examples = batches.dataset
        batches, self.order = in_fixed_order(
            batches, recipe.seed, None if processes.alone else self._part
        )
        validation = named_samples(validation)
        self.reading = tables_of(batches, validation)
        self._at_least = smallest_batch(bare)
        optimizer = accelerator.prepare(optimizer)
        self.batches, self.validation = (
            on_device(each, accelerator) for each in (batches, validation)
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

    @property
    def seconds(self) -> float:
        """Seconds since the run began, the same in all processes."""
        alone = self.together.alone
        return time.perf_counter() - self.start if alone else self.together.seconds

    def batches_of(self, epoch: int, first: int = 0, *, whole: bool = False) -> Iterator[Any]:
        """Yield the batches of an epoch, from one of them on; in several processes its own part.

        Args:
            whole: yield whole batches in any case.
        """
        if self.order is None:  # a stream, which cannot begin in its middle
            stream = itertools.islice(self.batches, first, None)
            return stream if whole or self.together.alone else map(self._own, stream)
        self.order.go_to(epoch, first, whole=whole)
        return iter(self.batches) if self.together.alone or whole else self._counted(first)

    def _counted(self, first: int) -> Iterator[Any]:
        """Yield batches, each after noting how many of its examples count here."""
        assert self.order is not None
        for number, batch in enumerate(self.batches, first):
            self.together.examples = self.order.counted(number)
            yield batch

    def _own(self, batch: Any) -> Any:
        """Return the part of a stream's batch that is this process's."""
        count = examples_in(batch)
        first, end = self._part(count)
        self.together.examples = end - first
        parts = max(1, min(self.together.processes.count, count // self._at_least))
        return split_batch(batch, parts, count)[min(self.together.processes.number, parts - 1)][0]

    def _part(self, count: int) -> tuple[int, int]:
        """Return which examples of a batch are this process's: the first, and their end."""
        return self.together.processes.rows(count, self._at_least)

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
        asked = stop is not None and stop.requested
        if not (asked if self.together.alone else self.together.stopping):
            return False
        saved = state.result.steps > 0 and self.save()
        saved = self.together.processes.from_main(saved)
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


def on_device(loader: DataLoader, accelerator: "Accelerator") -> Any:
    """Return a loader whose batches lie on the training device, none left to other processes."""
    if accelerator.num_processes == 1:
        return accelerator.prepare(loader)
    from accelerate.data_loader import prepare_data_loader

    return prepare_data_loader(
        loader,
        accelerator.device,
        num_processes=1,
        process_index=0,
        put_on_device=True,
        dispatch_batches=False,
    )


def smallest_batch(network: nn.Module) -> int:
    """Return the fewest examples to train on: batch norm has no variance of a single one."""
    return 2 if any(isinstance(module, _BatchNorm) for module in network.modules()) else 1
