"""What the loop gives back."""

from dataclasses import dataclass, field


@dataclass
class Trained:
    """How a run went. `ended` is `epochs`, `time`, `patience`, `interrupted` or `diverged`.

    Args:
        reason: of a run that diverged, with the examples that it did at.
        seconds: of training, those before a checkpoint included.
        seconds_before: of them, those before the checkpoint that the run went on from.
        resumable: a checkpoint holds the very step that the run was interrupted at.
    """

    ended: str = "epochs"
    steps: int = 0
    epochs: float = 0.0
    seconds: float = 0.0
    figures: dict[str, float] = field(default_factory=dict)
    kept_epoch: float = 0.0
    reason: str = ""
    seconds_before: float = 0.0
    resumable: bool = False
