"""The training loop: one, for every task, readable from top to bottom.

`epochs` goes through a run, `steps` takes a step, `judging` validates, `bad_steps` deals with
losses that are no numbers; `run` has the pieces that they share.
"""

from collections.abc import Collection

from torch import nn

from convatlas.kernels.layers.choose import CHANNELS_LAST, TORCH
from convatlas.progress import Progress, Silent
from convatlas.train.checkpoints import Checkpoints
from convatlas.train.device import on_training_device
from convatlas.train.epochs import Epochs
from convatlas.train.frozen_parts import FrozenParts, holding
from convatlas.train.log import RunLog
from convatlas.train.processes import processes
from convatlas.train.recipe import Recipe
from convatlas.train.run import Run, RunOptions
from convatlas.train.run_state import check_recipe
from convatlas.train.sample_reading import reading_named
from convatlas.train.stop import StopRequest
from convatlas.train.task import TrainTask
from convatlas.train.trained import Trained
from convatlas.train.way import FastestWay


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
    judge_stopped: bool = False,
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

    In several processes (torchrun) each takes its part of every batch, so that a step is that of
    one process with the same batch. All end with the same network and result; only the main one
    judges and writes, and what is random in a step is drawn in each process for itself.

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
        judge_stopped: where a stop is asked for and a checkpoint holds it, judge and keep what was
            reached all the same, as a run without checkpoints does.

    Raises:
        DataError: the newest checkpoint is of another network, recipe or version; or a sample
            cannot be read, or no batch came within ten minutes (the loader's own `timeout`).
        ConvatlasError: a worker process of a loader was killed.
    """
    from accelerate.utils import set_seed

    team = processes()
    log = log or RunLog()
    if not team.main:
        log.write_nothing()
        progress = Silent()
    read = checkpoints.newest if checkpoints is not None else lambda: None
    checkpoint = team.from_main(team.main_does(read))
    if not team.main:
        checkpoints = None
    if checkpoint is not None:
        check_recipe(checkpoint, recipe)
        way = checkpoint.values["way"]
    set_seed(recipe.seed)
    frozen = frozen or FrozenParts()
    if frozen.modules and way != CHANNELS_LAST:
        way = TORCH
    options = RunOptions(
        limit_s=limit_s,
        log=log,
        stop=stop,
        progress=progress or Silent(),
        title=title,
        epochs_before=epochs_before,
        validate_every_s=validate_every_s,
        pretrained_names=pretrained_names,
        checkpoints=checkpoints,
        judge_stopped=judge_stopped,
    )
    with (
        on_training_device(model, recipe.precision) as accelerator,
        holding(model, frozen),
        FastestWay(model, way, options.progress.say) as fastest_way,
    ):
        run = Run(
            accelerator,
            model,
            task,
            recipe,
            options,
            fastest_way=fastest_way,
            frozen=frozen,
            processes=team,
        )
        epochs = Epochs(run)
        if checkpoint is not None:
            epochs.take(checkpoint)
        with reading_named(run.reading, options.progress):
            return epochs.train()
