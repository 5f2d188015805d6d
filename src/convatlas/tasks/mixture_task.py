"""What every task on mixtures of voices has in common, whatever is asked of them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor

from convatlas.data.audio.statistics import sound_statistics
from convatlas.data.dataset import Dataset, Split
from convatlas.data.statistics import Statistics
from convatlas.errors import UsageError
from convatlas.pretrained.checkpoint import Checkpoint
from convatlas.search.space import Candidate
from convatlas.tasks.answers import Evaluation
from convatlas.tasks.task import Rows, Task
from convatlas.tasks.voice_options import only_max_seconds


class MixtureSplit(Split, Protocol):
    """A split of mixtures, each made of sound files."""

    def behind(self, index: int) -> list[str]:
        """Return the files behind one mixture."""
        ...


D = TypeVar("D", bound=Dataset)
E = TypeVar("E", bound=Evaluation)


class MixtureTask(Task[D, E]):
    """Answer mixtures of voices; which voices come out is left to the task itself."""

    items = "mixtures"
    right = ("length", "loudness")

    def unseen(self, data: D, split: MixtureSplit, known: set[str]) -> list[int]:
        """Return the mixtures of which no recording is known."""
        return [
            place
            for place in range(len(split))
            if not any(data.digests.get(file) in known for file in split.behind(place))
        ]

    def with_options(self, facts: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
        return {**facts, **only_max_seconds(options)}

    def pretrained(self, checkpoints: Sequence[Checkpoint], data: D) -> Rows:
        raise UsageError(f"there are no public weights for the task {self.name}")

    def statistics(
        self, data: D, split: str, progress: Callable[[int, int], None]
    ) -> list[Statistics]:
        part, rate_hz = data.splits[split], int(data.facts()["rate_hz"])

        def mixture(place: int) -> Tensor:
            item = part.read(place)  # with what else the network is given
            return item if isinstance(item, Tensor) else item[0]

        return sound_statistics(mixture, len(part), rate_hz, progress)

    def settings(self, candidate: Candidate, facts: Mapping[str, Any]) -> dict[str, Any]:
        return {}

    def sample(self, split: MixtureSplit, count: int) -> list[Any]:
        places = torch.linspace(0, len(split) - 1, min(count, len(split))).round().int().tolist()
        return [split.read(place) for place in places]
