"""The options of a training run, all in one frozen place, saved with what they made."""

import math
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal

from convatlas.errors import UsageError, nearest


@dataclass(frozen=True)
class Recipe:
    """How to train, whatever the task; which network and which data are not its business.

    Args:
        optimizer: `sgd` (Nesterov momentum) or `adamw`.
        lr: highest learning rate, reached at the end of the warm-up.
        pretrained_lr_fraction: of `lr`, for weights that were trained before; others get all of it.
        momentum: of SGD.
        weight_decay: on filters and matrices, as `weight_decay.py` tells them by the kind of layer;
            never on biases, slopes and embeddings.
        depthwise_decay: share of it on depthwise filters, whose few weights need none.
        norm_decay: share of it on scales of norms.
        epochs: passes over the training split; a time limit may end them earlier.
        batch_size: images a step, over all processes.
        warmup: share of the run in which the rate climbs from zero.
        final_lr_fraction: share of `lr` that the cosine ends at.
        ema_decay: of the moving average of weights that is evaluated and kept; 0 keeps the last.
        clip_norm: gradients with a larger norm are scaled down to it; 0 leaves them.
        seed: of the weights, the order of the examples and what is drawn at random.
        precision: `no`, `bf16` or `fp16`, as accelerate names them; `auto` takes bf16 or fp16 on a
            GPU that has units for it, else `no`.
        freeze: what keeps the weights that it starts from, as `frozen_parts` reads it: `none`, a
            number of stages, the name of a part, or `all-but-head`.
    """

    optimizer: Literal["sgd", "adamw"] = "adamw"
    lr: float = 4e-3
    pretrained_lr_fraction: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 0.1
    depthwise_decay: float = 0.0
    norm_decay: float = 0.0
    epochs: float = 60
    batch_size: int = 64
    warmup: float = 0.1
    final_lr_fraction: float = 0.01
    ema_decay: float = 0.99
    clip_norm: float = 1.0
    seed: int = 0
    precision: Literal["no", "bf16", "fp16", "auto"] = "no"
    freeze: str = "none"

    def __post_init__(self) -> None:
        checks = {
            "optimizer": self.optimizer in ("sgd", "adamw"),
            "lr": 0 < self.lr < math.inf,
            "pretrained_lr_fraction": 0 <= self.pretrained_lr_fraction <= 1,
            "depthwise_decay": 0 <= self.depthwise_decay <= 1,
            "norm_decay": 0 <= self.norm_decay <= 1,
            "epochs": self.epochs > 0,
            "batch_size": self.batch_size >= 1,
            "warmup": 0 <= self.warmup < 1,
            "ema_decay": 0 <= self.ema_decay < 1,
            "precision": self.precision in ("no", "bf16", "fp16", "auto"),
        }
        for name, holds in checks.items():
            if not holds:
                raise UsageError(f"Recipe: {name} cannot be {getattr(self, name)}")

    def with_options(self, **options: Any) -> "Recipe":
        """Return a copy with some fields changed.

        Raises:
            UsageError: no such field.
        """
        known = [field.name for field in fields(self)]
        for name in options:
            if name not in known:
                raise UsageError(f"Recipe: no option '{name}'{nearest(name, known)}")
        return replace(self, **options)

    def to_dict(self) -> dict[str, Any]:
        """Return all fields by name."""
        return asdict(self)

    def rate(self, progress: float) -> float:
        """Share of `lr` at a share of the run in [0, 1]: linear warm-up, then half a cosine."""
        if progress < self.warmup:
            return progress / self.warmup
        done = min(1.0, (progress - self.warmup) / (1 - self.warmup))
        return self.final_lr_fraction + (1 - self.final_lr_fraction) * 0.5 * (
            1 + math.cos(math.pi * done)
        )
