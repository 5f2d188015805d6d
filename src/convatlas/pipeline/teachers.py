"""Which network teaches another: of a run folder, or with public weights."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from convatlas.data import Preprocess
from convatlas.data.dataset import Dataset
from convatlas.errors import UsageError
from convatlas.models.registry import model_names
from convatlas.pipeline.config import FILE_NAMES
from convatlas.pipeline.initial_checkpoints import initial_checkpoints
from convatlas.pipeline.run import open_run
from convatlas.pretrained.create import load_public
from convatlas.progress import Progress
from convatlas.tasks.trial_data import TrialData
from convatlas.train.distillation import Teacher


def teacher_of(
    word: str,
    data: Dataset,
    trial_data: TrialData,
    progress: Progress,
    *,
    temperature: float,
    soft_fraction: float,
) -> None:
    """Let a trained network teach what is trained on these data.

    Args:
        word: a run folder of the same classes, or a network whose public weights answer for them.

    Raises:
        UsageError: there is no such network, its classes are others, or such data take no teacher.
    """
    if not temperature > 0 or not 0 <= soft_fraction <= 1:
        raise UsageError(
            "--temperature must be above 0 and --soft-fraction from 0 to 1, got "
            f"{temperature} and {soft_fraction}"
        )
    if not hasattr(trial_data, "teacher"):
        raise UsageError("--teacher: only image classification takes a teacher")
    mixing: Any = getattr(trial_data, "mixing", None)
    if mixing:
        raise UsageError("--teacher: goes with neither mixup nor cutmix, which it would not see")
    classes, channels = list(data.facts()["classes"]), data.facts()["channels"]
    if (Path(word) / FILE_NAMES["config"]).is_file():
        network, prepare = _of_run(Path(word), classes, channels)
    elif word in model_names():
        network, prepare = _public(word, len(classes), channels, progress)
    else:
        raise UsageError(f"--teacher: '{word}' is no run folder and no network")
    taught: Any = trial_data
    how = {"temperature": temperature, "soft_fraction": soft_fraction}
    taught.teacher = Teacher(network, _Prepared(prepare), name=word, **how)


def _of_run(path: Path, classes: list[str], channels: int) -> tuple[nn.Module, Preprocess]:
    run = open_run(path)
    facts = run.config.facts
    if list(facts.get("classes", ())) != classes or facts.get("channels") != channels:
        raise UsageError(f"--teacher {path}: was trained for other classes or channels")
    return run.model(), Preprocess(channels, **run.config.settings)


def _public(
    name: str, classes: int, channels: int, progress: Progress
) -> tuple[nn.Module, Preprocess]:
    start = initial_checkpoints(name, progress, ("classify",))[0]
    loaded = load_public(name, {"in_channels": channels}, checkpoint=start, say=progress.say)
    network = loaded.model.eval()
    with torch.no_grad():
        answered = network(torch.zeros(1, channels, start.size, start.size)).shape[1]
    if answered != classes:
        raise UsageError(
            f"--teacher {name}: its public weights answer for {answered} classes, the data have "
            f"{classes}; train it on them first and give the run folder"
        )
    return network, start.preprocess(channels, start.size)


class _Prepared:
    """Brings augmented images to the teacher's size and numbers."""

    def __init__(self, preprocess: Preprocess):
        self._preprocess = preprocess

    def __call__(self, images: Tensor) -> Tensor:
        size = self._preprocess.size
        if images.shape[-2:] == (size, size):
            return self._preprocess.normalise(images)
        sized = functional.interpolate(
            images.float(), (size, size), mode="bilinear", antialias=True
        )
        return self._preprocess.normalise(sized)
