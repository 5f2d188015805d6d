"""Keeps the weights of trials that drop out, for a front that is saved at the end."""

from pathlib import Path

from torch import nn

from convatlas.errors import ConvatlasError
from convatlas.pipeline.config import Trial
from convatlas.progress import Progress
from convatlas.text import printable
from convatlas.train.weights import save_weights


class DroppedWeights:
    """Files with the weights of trials, by their lines of the leaderboard.

    Args:
        folder: where they are written; it is made with the first.
        progress: told of weights that cannot be written; the job goes on without them.
    """

    def __init__(self, folder: Path, progress: Progress):
        self._folder, self._progress = folder, progress
        self._names: dict[int, str] = {}

    def put(self, record: Trial, network: nn.Module) -> None:
        """Write the weights of a trial."""
        name = f"{len(self._names)}.safetensors"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            save_weights(network, self._folder / name, metadata={"model": record.model})
        except (ConvatlasError, OSError) as error:
            self._progress.say(f"warning: weights of {printable(record.model)} not kept: {error}")
            return
        self._names[id(record)] = name

    def name(self, record: Trial) -> str | None:
        """Return the name of the file of a trial; None where there is none."""
        return self._names.get(id(record))
