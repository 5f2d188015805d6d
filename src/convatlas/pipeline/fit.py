"""`fit`: data and a budget in; the best network that fits, trained, tested and exported, out."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from convatlas.launched import alone_only
from convatlas.pipeline.call import record_call
from convatlas.pipeline.fit_job import FitJob
from convatlas.pipeline.folder import claimed
from convatlas.pipeline.initial_checkpoints import pretrained_word
from convatlas.pipeline.run import Run
from convatlas.pipeline.run_fit import run_fit
from convatlas.progress import Progress, Silent
from convatlas.search.budget import Budget
from convatlas.train.recipe import Recipe
from convatlas.typed_numbers import parse_seconds


def fit(
    data: str | Path,
    *,
    budget: Budget | None = None,
    task: str | None = None,
    model: str | None = None,
    pretrained: str | bool = "auto",
    time_limit_s: float | str | None = None,
    epochs: float | None = None,
    max_trials: int | None = None,
    out: str | Path | None = None,
    seed: int = 0,
    save_front: bool = False,
    force: bool = False,
    max_broken: float = 0.05,
    recipe: Recipe | Mapping[str, Any] | None = None,
    device: str = "auto",
    workers: int | None = None,
    folds: int | None = None,
    progress: Progress | None = None,
    started: float | None = None,
    **options: Any,
) -> Run:
    """Choose, train, test and export the best network within a budget.

    Args:
        data: `digits`, or a folder or file in a layout of the task.
        budget: what the network may cost; None asks for the best that the time allows.
        task: what the network is for; None takes that of `model`, or the one whose layout the data
            have.
        model: a registered name, to try only that network (at every input size).
        pretrained: start from public weights. `auto` does where the data are of the kind that
            they were trained on (photographs) and some that fit the budget are on this machine;
            what a download would bring is said, and nothing is downloaded. `yes` (or True) takes
            those of `model`, downloaded if need be, or of every network whose weights are on this
            machine. `no` (or False) trains from fresh weights.
        time_limit_s: wall-clock seconds for everything together, from the start to the report;
            or text such as "10m". 10 minutes where neither it nor `epochs` is given.
        epochs: passes over the training examples that the chosen network gets in all, with fewer
            for those that drop out. Without a time limit no clock decides anything: the same seed
            gives the same network with the same weights on the same machine, as far as torch does.
        max_trials: how many networks are trained at the most.
        out: the run folder; None makes `runs/<name of the data>`.
        seed: of the split, the weights, the order and the augmentation.
        save_front: also keep the networks that no other beats (`Run.pareto`), each as a run of its
            own in `front/<n>-<model>/` of the run folder.
        force: replace a run that the folder holds.
        max_broken: share of unreadable files that is skipped; above it the job stops.
        recipe: how to train; the default suits every registered network, or its public weights. A
            mapping such as `{"batch_size": 32, "lr": 1e-3, "precision": "bf16"}` changes these
            options of the default and keeps them as they are; a whole `Recipe` has its batch and
            passes adapted to the number of examples, as the default has. `freeze` keeps a part of
            the public weights as they are: a number of stages, the name of the last part to keep
            (`stages.2`), or `all-but-head`; norms of these parts stay in evaluation mode.
        device: that networks train on: `auto` (a GPU, if there is one), `cpu`, `mps`, `cuda`, or
            `cuda:1` for the second GPU. Latency, test and export are always those of the CPU.
        workers: threads that read, decode and resize files; None takes one for each core, at most
            8. Augmentation needs none: it runs on whole batches where the network trains.
        folds: validate the chosen network by that many folds of training and validation examples,
            for each of which it is trained anew as long as it was itself: a limit is shared out
            between them. Heads on frozen features are all validated so, and compared by it. Below
            150 validation examples that is done with 5 folds where it takes no other work's time.
        started: `time.perf_counter()` when the job began, from which the limit counts; now where
            not given.
        options: of the task, stored with the run. For images with classes: `augmentation`, one of
            `none digits tiny photo` (the data decide where not given); `label_smoothing` (0.1
            where not given); `metric`, `accuracy` or `balanced_accuracy`, which decides;
            `class_weights` of the loss, `none`, `balanced` or a number for each class;
            `max_pixels` of one image (64 million where not given; a larger JPEG is read at a
            reduced size, a larger image of any other format counts as broken); `value_range`, the
            values that mean black and white in files deeper than 8 bits (the depth that the files
            state, or else that of the training images, where not given).

    Raises:
        DataError: the data cannot be used.
        UsageError: an option cannot be used.
        BudgetError: no network fits; the message names the nearest.
        WeightsError: public weights were asked for and cannot be had.
    """
    alone_only("fit")
    if isinstance(time_limit_s, str):
        time_limit_s = parse_seconds(time_limit_s)
    pretrained = pretrained_word(pretrained)
    call = record_call(fit, {**locals(), **options})
    asked = FitJob(
        os.fspath(data),
        budget or Budget(),
        task,
        model,
        pretrained,
        time_limit_s,
        epochs,
        max_trials,
        seed,
        save_front,
        max_broken,
        recipe,
        device,
        workers,
        folds,
        {name: value for name, value in options.items() if value is not None},
        call,
    )
    return run_fit(
        asked,
        lambda: claimed(Path(out), force=force, data=data) if out else None,
        progress or Silent(),
        started,
    )
