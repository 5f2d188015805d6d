"""What `TrialData` answers where opening the data read all that any network needs."""

from collections.abc import Iterable

import torch

from convatlas.search.space import Candidate


class NothingToRead:
    """Reading beforehand for tasks whose networks all share what was read at opening."""

    def read(self, candidate: Candidate) -> None:
        """Do nothing: all was read when the data were opened."""

    def is_read(self, candidate: Candidate) -> bool:
        """Return True: there is nothing to read beforehand."""
        return True

    def all_read(self) -> None:
        """Do nothing: what was read is used throughout."""

    def keep(self, candidates: Iterable[Candidate]) -> None:
        """Do nothing: all candidates share what was read."""


def judged_places(total: int, count: int | None, seed: int) -> list[int]:
    """Draw the places of `count` validation examples, the same each time; None takes all.

    Args:
        total: validation examples there are.
    """
    order = torch.randperm(total, generator=torch.Generator().manual_seed(seed))
    return order[:count].tolist()
