"""The training loop: one, for every task, readable from top to bottom."""

import math
import time
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from convatlas.kernels.layers.choose import CHANNELS_LAST, TORCH
from convatlas.metric import Metric
from convatlas.progress import Bar, Progress, Silent
from convatlas.train.best import BestWeights
from convatlas.train.device import on_training_device
from convatlas.train.ema import weight_average
from convatlas.train.frozen_parts import FrozenParts, hold_still, holding, let_learn
from convatlas.train.log import RunLog
from convatlas.train.optimizer import build_optimizer, parameter_groups
from convatlas.train.recipe import Recipe
from convatlas.train.schedule import Plateau
from convatlas.train.stop import StopRequest
from convatlas.train.task import VALIDATED, TrainTask
from convatlas.train.update_bn import BATCHES as STATISTICS
from convatlas.train.update_bn import update_bn
from convatlas.train.way import FastestWay

if TYPE_CHECKING:
    from accelerate import Accelerator

STEPS_BETWEEN_REPORTS = 10
VALIDATION_BATCH = 4  # times the batch of a step, as tasks validate without gradients
STATISTICS_SHARE = 0.2  # of the time at most, for the running statistics before a validation
MIN_STEP_FRACTION = 0.3  # steps get at least this fraction of the time, whatever validation takes


@dataclass
class Trained:
    """How a run went. `ended` is `epochs`, `time`, `patience`, `interrupted` or `diverged`."""

    ended: str = "epochs"
    steps: int = 0
    epochs: float = 0.0
    seconds: float = 0.0
    figures: dict[str, float] = field(default_factory=dict)
    kept_epoch: float = 0.0


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
) -> Trained:
    """Train in place; the model ends with the averaged weights that were validated best.

    `figures` of the result are theirs, and `kept_epoch` says when that was. The model comes back to
    the device that it was on.

    The learning rate follows the share of the run that is done, by steps or by time, whichever
    is further: a run that its time limit ends has still gone through its whole schedule.

    A network that changes while it trains (paths that freeze) has `training_progress(share)`, which
    is called before every step with the share of the run that is done, from 0 to under 1. So may a
    task.

    On a CPU, a run that is long enough finds out in its first step whether the network trains
    faster with the CPU kernels or in torch's other memory format, with 5 % of its time at most, and
    goes on that way. Results differ by rounding (and by dropout of maps, which torch draws in the
    order of memory); the layers are torch's again at the end.

    Args:
        limit_s: wall-clock limit in seconds, the last validation included: it is kept time for,
            as measured, or before the first one as the steps let expect.
        stop: asked before every step.
        epochs_before: epochs that the network was trained for already; the log and the bar count
            on from there.
        validate_every_s: at least so long between validations; 0 validates every epoch.
        pretrained_names: names of parameters that were trained before, which move more slowly.
        frozen: parts that keep their weights and, as they stay in evaluation mode, the running
            statistics of their norms; such a network is not trained by the CPU kernels.
        way: None finds out how the network trains fastest; "torch" leaves it as it is; others are
            in `convatlas.kernels.layers.choose`.
    """
    from accelerate.utils import set_seed

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
        return _train(
            accelerator,
            model,
            task,
            recipe,
            limit_s=limit_s,
            log=log or RunLog(),
            stop=stop,
            bar=progress.bar(title, total=1.0),
            epochs_before=epochs_before,
            validate_every_s=validate_every_s,
            pretrained_names=pretrained_names,
            fastest_way=fastest_way,
            frozen=frozen,
        )


def _train(
    accelerator: "Accelerator",
    model: nn.Module,
    task: TrainTask,
    recipe: Recipe,
    *,
    limit_s: float | None,
    log: RunLog,
    stop: StopRequest | None,
    bar: Bar,
    epochs_before: float,
    validate_every_s: float,
    pretrained_names: Collection[str],
    fastest_way: FastestWay,
    frozen: FrozenParts,
) -> Trained:
    model = accelerator.prepare(model)
    bare = accelerator.unwrap_model(model)
    # After the move, which on some devices gives the network new parameters.
    optimizer = build_optimizer(bare, recipe, pretrained_names)
    batches, validation = task.loaders(recipe.batch_size, recipe.seed)
    optimizer, batches, validation = accelerator.prepare(optimizer, batches, validation)
    average = weight_average(bare, recipe.ema_decay) if recipe.ema_decay else None
    kept = average.module if average is not None else bare
    # What changes while it trains: a network (paths that freeze), a task (mixing that ends).
    told = [t for each in (bare, task) if (t := getattr(each, "training_progress", None))]
    plateau = Plateau(recipe)
    fastest_way.watch(bare, accelerator)

    result = Trained()
    total_steps = max(1, round(recipe.epochs * len(batches)))
    start = validated = time.perf_counter()
    losses: list[Tensor] = []
    done, closing = 0.0, 0.0
    best = BestWeights(task.metric)

    def note(loss: Tensor) -> str:
        epoch = epochs_before + result.steps / len(batches)
        return _note(result, epoch, recipe, loss, task.metric)

    while done < 1:
        model.train()
        hold_still(bare, frozen.modules)
        for batch in batches:
            if stop is not None and stop.requested:
                result.ended, done = "interrupted", 1.0
                break
            for tell in told:
                tell(done)
            if frozen.modules and done >= recipe.freeze_until:
                let_learn(bare, frozen.params, learn=True)
                for group in parameter_groups(bare, recipe, frozen.params, pretrained_names):
                    optimizer.add_param_group(group)
                frozen = FrozenParts()
                model.train()
            rate = recipe.rate(done, plateau.dropped)
            for group in optimizer.param_groups:
                group["lr"] = recipe.lr * rate * group["lr_scale"]
            with accelerator.autocast():
                loss = task.loss(model, batch)
            accelerator.backward(loss)
            if not result.steps:
                fastest_way.choose(bare, kept, steps=total_steps, limit_s=limit_s)
            if recipe.clip_norm:
                accelerator.clip_grad_norm_(model.parameters(), recipe.clip_norm)
            optimizer.step()
            optimizer.zero_grad()
            if average is not None:
                average.update_parameters(bare)

            losses.append(loss.detach())
            result.steps += 1
            result.seconds = time.perf_counter() - start
            done = result.steps / total_steps
            if limit_s is not None:
                if not best.figures:  # a forward pass is about a third of a step
                    passes = len(validation) * VALIDATION_BATCH + min(STATISTICS, len(batches))
                    stepping = result.seconds - fastest_way.measuring_s
                    closing = passes * stepping / result.steps / 3
                done = max(
                    done, result.seconds / max(MIN_STEP_FRACTION * limit_s, limit_s - closing)
                )
            if result.steps % STEPS_BETWEEN_REPORTS == 0:
                bar.update(min(1.0, done), note=note(loss))
            if done >= 1:
                result.ended = "epochs" if result.steps >= total_steps else "time"
                break
        result.epochs = result.steps / len(batches)
        mean_loss = float(torch.stack(losses).mean()) if losses else float("nan")
        if losses and not torch.isfinite(torch.tensor(mean_loss)):
            result.ended = "diverged"
            break
        now = time.perf_counter()
        if not result.steps:  # stopped before the first: there is nothing to judge
            break
        if done >= 1 or now - validated >= validate_every_s:
            most_s = math.inf if limit_s is None else STATISTICS_SHARE * limit_s
            update_bn(
                kept,
                batches,
                lambda batch: task.loss(kept, batch),
                most_s=most_s,
                frozen=frozen.modules,
            )
            figures = task.validate(kept, validation, accelerator.gather_for_metrics)
            closing = time.perf_counter() - now
            best.consider(kept, figures, result.epochs)
            result.figures = best.figures
            validated, result.seconds = now, time.perf_counter() - start
            log.write(
                epoch=round(epochs_before + result.epochs, 2),
                step=result.steps,
                seconds=round(result.seconds, 3),
                lr=recipe.lr * recipe.rate(min(1.0, done), plateau.dropped),
                train_loss=mean_loss,
                **figures,
                kept_epoch=round(epochs_before + best.epoch, 2),
            )
            losses = []
            plateau.validated(done, best.epoch / recipe.epochs)
            if done < 1 and 0 < recipe.patience <= result.epochs - best.epoch:
                result.ended, done = "patience", 1.0
    bar.close()
    if average is not None:
        bare.load_state_dict(average.module.state_dict())
    best.restore(bare)
    result.figures, result.kept_epoch = best.figures, best.epoch
    return result


def _note(result: Trained, epoch: float, recipe: Recipe, loss: Tensor, metric: Metric) -> str:
    rate = result.steps * recipe.batch_size / result.seconds
    value = result.figures.get(VALIDATED + metric.key)
    reached = f", val {metric.text(value)}" if value is not None else ""
    return f"epoch {epoch:.1f}, {rate:.0f} items/s, loss {loss.item():.3f}{reached}"
