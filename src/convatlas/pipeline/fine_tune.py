"""Train the last layers of a network on from its linear head, on what the frozen layers give.

The layers before the cut stay as public weights have them, so their maps are computed once. As
many layers are trained as the time allows some passes for, and what came of it is kept only if the
validation examples are answered better.

Source: Kumar et al., "Fine-Tuning can Distort Pretrained Features and Underperform
    Out-of-Distribution", ICLR 2022, arXiv:2202.10054, section 3.4 (first a linear probe, then
    fine-tuning from it).
Differs: early layers stay frozen, and so do the statistics of batch norm.
"""

import copy
import time
from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from convatlas.deadline import Deadline
from convatlas.deploy.frozen_network import frozen_network
from convatlas.errors import UsageError, short_of_memory
from convatlas.metric import Metric
from convatlas.models.split_network import Cut, freeze_norms, layers_between
from convatlas.pipeline.config import FEW_VALIDATED
from convatlas.pipeline.cut_shares import cut_shares, smallest_alike
from convatlas.pipeline.trials import VALIDATE_SHARE, KeptMaps, LiveTrial, TrialRunner
from convatlas.tasks.trial_data import FeatureData
from convatlas.train.frozen_parts import frozen_parts
from convatlas.train.log import RunLog
from convatlas.train.loop import train
from convatlas.train.recipe import Recipe
from convatlas.train.task import VALIDATED, validation_rank

GOOD_PASSES, MIN_PASSES, MAX_PASSES = 6, 3, 20  # over the training examples
MIN_TUNING_STEPS = 150  # also with few examples
BATCH, LR = 32, 1e-3
FEW_EXAMPLES = 1000  # for training, up to which layers are moved less, and fewer of them
LR_OF_FEW, SHARE_OF_FEW = 3e-4, 0.35
MIN_TUNING_S = 4.0  # with less it is not begun
EXPORT_S = 3.0  # seconds, about, until a runtime answers for other frozen layers
PROBE = 16  # examples of the step that is timed


class FineTuning(NamedTuple):
    """What is trained: the layers after `cut`, for about `passes`."""

    cut: Cut
    share: float  # of the network's work that comes after the cut
    passes: float


def fine_tune(runner: TrialRunner, trial: LiveTrial, deadline: Deadline, log: RunLog) -> None:
    """Train a network on that was given a linear head, as far as time allows.

    Its record then holds what was reached; where that is not better than the head, the network
    and its record are as they were.
    """
    model, start = trial.model, time.perf_counter()
    if model is None or runner.stop.requested or deadline.for_training() < MIN_TUNING_S:
        return
    before, kept = copy.deepcopy(model.state_dict()), False
    try:
        kept = _trained_on(runner, trial, model, deadline, log)
    except UsageError as error:  # no graph of it can be drawn
        runner.progress.say(f"not trained further: {error}")
    except (MemoryError, RuntimeError) as error:
        if not short_of_memory(error):
            raise
        runner.progress.say(f"{trial.record.model}: not enough memory to train it further")
    finally:
        if not kept:
            model.load_state_dict(before)
        trial.maps = None  # what follows needs the memory
    trial.record.seconds = round(trial.record.seconds + time.perf_counter() - start, 2)


def _trained_on(
    runner: TrialRunner, trial: LiveTrial, model: nn.Module, deadline: Deadline, log: RunLog
) -> bool:
    """Train the layers that time allows; return whether they answer better than the head alone."""
    data, record = runner.trial_data, trial.record
    if trial.maps is None or not isinstance(data, FeatureData):
        return False
    plan = _plan(runner, trial, model, deadline.for_training())
    if plan is None:
        return False
    name = f"{record.model} {record.input}"
    words = f"the last layers, {plan.share:.0%} of its work"
    runner.progress.say(f"{name}: {words}, are trained on from the head")
    maps = _maps_at(runner, trial, model, plan.cut)
    if runner.stop.requested:
        return False
    seconds = max(MIN_TUNING_S, deadline.for_training())
    result = train(
        freeze_norms(layers_between(model, plan.cut.name, None)),
        data.training_on(*maps),
        _recipe(runner, len(maps[0]), plan.passes),
        limit_s=seconds,
        log=log,
        stop=runner.stop,
        progress=runner.progress,
        title=f"fine-tuning {name}",
        validate_every_s=VALIDATE_SHARE * seconds,
    )
    metric, old = runner.metric, record.figures
    reached = {key.removeprefix(VALIDATED): value for key, value in result.figures.items()}
    better = bool(reached) and _rank(reached, metric) > _rank(old, metric)
    if reached and (record.validated or 0) < FEW_VALIDATED:
        better = reached["loss"] < old["loss"]  # of few examples it tells more than the metric
    if reached:
        runner.progress.say(
            f"{name}: {metric.text(reached[metric.key])} on validation after {result.epochs:.1f} "
            f"passes, {metric.text(old[metric.key])} with the head alone"
        )
    if better:
        record.figures, record.epochs = reached, round(result.epochs, 2)
        record.kept_epoch = round(result.kept_epoch, 2)
        if record.folds is not None:
            words_of = f"{record.folds.words}, before the last layers were trained on"
            record.folds = record.folds.model_copy(update={"words": words_of})
        trial.tuned_words = f"{words}, for {record.kept_epoch} passes"
        record.reason = f"{record.reason}; then {trial.tuned_words}"
    return better


def _plan(
    runner: TrialRunner, trial: LiveTrial, model: nn.Module, seconds: float
) -> FineTuning | None:
    """Choose the earliest cut after which layers can be trained for `GOOD_PASSES`.

    Where there is time for that nowhere, the earliest with `MIN_PASSES`; None without any.
    """
    kept = trial.maps
    assert kept is not None
    data = runner.trial_data
    assert isinstance(data, FeatureData)
    images, _ = next(iter(data.frozen_batches(trial.counted.candidate, "train", range(2))))
    count, asked = len(kept.train), len(kept.train) + len(kept.val)
    shares = cut_shares(model, trial.counted, images, asked, held=kept.cut.elements)
    step_s = _step_seconds(model, kept) / shares[kept.cut]  # an example, all layers
    passes = {}
    for cut, share in shares.items():
        if share <= shares[kept.cut]:  # a forward pass from the maps that are there
            frozen_s = (shares[kept.cut] - share) * step_s / 3 * asked
        else:
            frozen_s = (1 - share) * trial.frozen_s * asked + EXPORT_S
        passes[cut] = (seconds - frozen_s) / (step_s * share * count)
    kept_as_is = frozen_parts(model, runner.recipe.freeze).modules
    most = SHARE_OF_FEW if count <= FEW_EXAMPLES else 1.0
    free = {
        cut: share
        for cut, share in shares.items()
        if not kept_as_is & {*cut.layers} and share <= most
    }
    least = max(MIN_PASSES, MIN_TUNING_STEPS * BATCH / count)
    good = max(GOOD_PASSES, least)
    for wanted in (good, least):
        possible = {cut: share for cut, share in free.items() if passes[cut] >= wanted}
        if possible:
            break
    else:
        return None
    cut = smallest_alike(possible, max(possible.values()))
    return FineTuning(cut, shares[cut], min(passes[cut], max(MAX_PASSES, good)))


def _step_seconds(model: nn.Module, kept: KeptMaps) -> float:
    """Time a training step of the layers after the maps, for each example."""
    rest = layers_between(copy.deepcopy(model).eval(), kept.cut.name, None)
    maps, labels = kept.train[:PROBE]

    def step() -> float:
        start = time.perf_counter()
        torch.nn.functional.cross_entropy(rest(maps), labels).backward()
        return (time.perf_counter() - start) / len(labels)

    step()
    return step()


def _maps_at(
    runner: TrialRunner, trial: LiveTrial, model: nn.Module, cut: Cut
) -> tuple[TensorDataset, TensorDataset]:
    """What the layers before a cut give: as kept, from what was kept, or from the inputs."""
    kept = trial.maps
    assert kept is not None
    if cut.name == kept.cut.name:
        return kept.train, kept.val
    if cut.layers == kept.cut.layers[-len(cut.layers) :]:
        further = layers_between(model, kept.cut.name, cut.name).eval()
        train, val = (
            TensorDataset(_in_parts(further, each.tensors[0]), each.tensors[1])
            for each in (kept.train, kept.val)
        )
        return train, val
    trial.maps = None  # their memory is needed
    return _asked(runner, trial, model, cut, "train"), _asked(runner, trial, model, cut, "val")


def _in_parts(layers: nn.Module, maps: Tensor) -> Tensor:
    with torch.no_grad():
        return torch.cat([layers(part) for part in maps.split(BATCH)])


def _asked(
    runner: TrialRunner, trial: LiveTrial, model: nn.Module, cut: Cut, split: str
) -> TensorDataset:
    """Ask the layers before a cut about a split; of validation, what the head was judged on."""
    data, count, record = runner.trial_data, len(runner.data.splits[split]), trial.record
    assert isinstance(data, FeatureData)
    order = torch.randperm(count, generator=torch.Generator().manual_seed(runner.recipe.seed))
    rows = order[: record.validated] if split == "val" else order
    title = f"maps of {split}: {record.model} {record.input}"
    bar = runner.progress.bar(title, len(rows), unit=runner.task.items)
    frozen, maps, labels, done = None, [], [], 0
    for inputs, answers in data.frozen_batches(trial.counted.candidate, split, rows.tolist()):
        if runner.stop.requested:
            break
        frozen = frozen or frozen_network(layers_between(model, None, cut.name), inputs, count)
        maps.append(frozen.answer(inputs))
        labels.append(answers)
        done += len(answers)
        bar.update(done)
    bar.close()
    return TensorDataset(torch.cat(maps), torch.cat(labels))


def _recipe(runner: TrialRunner, examples: int, passes: float) -> Recipe:
    """Return the recipe of training on; what the user asked for stays."""
    lr = LR_OF_FEW if examples <= FEW_EXAMPLES else LR
    options = {"lr": lr, "batch_size": min(BATCH, max(1, examples // 2)), "epochs": passes}
    own = {name: value for name, value in options.items() if name not in runner.fixed}
    return runner.recipe.with_options(**own)


def _rank(figures: Mapping[str, float], metric: Metric) -> tuple[float, float]:
    return validation_rank({VALIDATED + key: each for key, each in figures.items()}, metric)
