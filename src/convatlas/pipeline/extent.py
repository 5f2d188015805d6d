"""How much a job trains, where that is not left to the clock alone."""

from dataclasses import dataclass

from convatlas.errors import UsageError


@dataclass(frozen=True)
class Extent:
    """Limits beside the time.

    Args:
        epochs: passes over the training examples that the chosen network gets in all.
        trials: how many networks are trained at the most.
        timed: whether the clock limits anything. If not, nothing that is measured decides anything.
    """

    epochs: float | None = None
    trials: int | None = None
    timed: bool = True

    def __post_init__(self) -> None:
        if self.epochs is not None and not 0 < self.epochs < float("inf"):
            raise UsageError(f"--epochs must be above zero and finite, got {self.epochs}")
        if self.trials is not None and self.trials < 1:
            raise UsageError(f"--max-trials must be at least 1, got {self.trials}")


TIME_ONLY = Extent()
